"""People at work: what a host's own code does to folders and files, knowing nothing of the cleanup.

Each action is what some program would do: look, then write, in a short transaction, with no lock of ours. What a person
uploads or deletes is put down, so that at the end every file can be accounted for.

Documented for programs that write beside a cleanup: a folder that was looked up a moment ago may have been merged away,
which the foreign key tells (`resolve_folder` knows where it went); and once guards stand, duplicates are refused.
"""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, connections, transaction

from cleanup.services import DatabaseCleanupService
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import START, new_key

FOREIGN_KEY, UNIQUE = "23503", "23505"
BOXES = 4


@dataclass(slots=True)
class Ledger:
    """What all of them did, and what went wrong."""

    files: dict[str, tuple] = field(default_factory=dict)
    """Of files that ought to be there: the columns that no one changes."""
    actions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def count(self, name: str) -> None:
        with self.lock:
            self.actions[name] += 1

    def refused(self, name: str, why: str) -> None:
        with self.lock:
            self.refusals[f"{name}: {why}"] += 1

    def fault(self, text: str) -> None:
        with self.lock:
            self.faults.append(text)


class Person:
    """One writer, with a connection of their own."""

    def __init__(self, database: str, number: int, ledger: Ledger) -> None:
        self.database = database
        self.rng = random.Random(number)
        self.ledger = ledger
        self.service = DatabaseCleanupService(using=database)
        self.applications = list(Application.objects.using(database).values_list("pk", flat=True))
        self.own: list[str] = []
        """Files that no one else deletes or moves."""

    def work(self, stop: threading.Event) -> None:
        """Do one thing after the other."""
        actions = (
            self.create_folder,
            self.create_root_carelessly,
            self.move_folder,
            self.rename_folder,
            self.delete_folder,
            self.upload,
            self.upload_two,
            self.delete_file,
            self.move_file,
            self.get_or_create_structure,
            self.get_or_create_folder,
        )
        try:
            while not stop.is_set() and not self.ledger.faults:
                action = self.rng.choice(actions)
                try:
                    action()
                except IntegrityError as error:
                    state = getattr(error.__cause__, "sqlstate", "")
                    if state not in (FOREIGN_KEY, UNIQUE):
                        raise
                    self.ledger.refused(action.__name__, state)
                else:
                    self.ledger.count(action.__name__)
        except Exception as error:  # noqa: BLE001  # whatever reaches a writer is what we are here to see
            self.ledger.fault(f"{action.__name__}: {error!r}")
        finally:
            connections[self.database].close()

    # Looking.

    def _application(self) -> Any:
        return self.rng.choice(self.applications)

    def _folder(self, application: Any, *, box: bool | None = None) -> str | None:
        """Return a folder: any, or one that people move about, or one that they leave where it is."""
        rows = Folder.objects.using(self.database).filter(application=application).values_list("pk", "name")
        found = [str(key) for key, name in rows if box is None or name.startswith("Box") is box]
        return self.rng.choice(sorted(found)) if found else None

    def _name(self) -> str:
        return f"Box {self.rng.randrange(BOXES)}"

    # Folders.

    def create_folder(self) -> None:
        application = self._application()
        self._insert_folder(application, self._name(), self._folder(application))

    def create_root_carelessly(self) -> None:
        self._insert_folder(self._application(), "Documents", None)

    def _insert_folder(self, application: Any, name: str, parent: str | None) -> None:
        Folder.objects.using(self.database).create(
            id=new_key(), name=name, parent_id=parent, application_id=application, created_at=START
        )

    def move_folder(self) -> None:
        """Into one that no one moves, so that people make no cycles."""
        application = self._application()
        box, place = self._folder(application, box=True), self._folder(application, box=False)
        if box and place:
            Folder.objects.using(self.database).filter(pk=box).update(parent_id=place)

    def rename_folder(self) -> None:
        box = self._folder(self._application(), box=True)
        if box:
            Folder.objects.using(self.database).filter(pk=box).update(name=self._name())

    def delete_folder(self) -> None:
        box = self._folder(self._application(), box=True)
        if box:
            with connections[self.database].cursor() as cursor:
                cursor.execute("DELETE FROM folders WHERE id = %s", [box])

    def get_or_create_structure(self) -> None:
        application = self._application()
        structure = self.service.get_or_create_folder_structure(application)
        self._upload_into(application, structure.root_id)

    def get_or_create_folder(self) -> None:
        application = self._application()
        place = self.service.get_or_create_folder(application, self._name())
        self._upload_into(application, place.folder_id)

    # Files.

    def upload(self) -> None:
        application = self._application()
        folder = self._folder(application)
        if folder:
            self._upload_into(application, folder)

    def _upload_into(self, application: Any, folder: str) -> None:
        """File it where the folder went, if it went meanwhile."""
        try:
            self._keep([self._insert_file(application, folder)])
        except IntegrityError:
            now = self.service.resolve_folder(folder)
            if now is None:  # deleted by someone
                raise
            self.ledger.refused("upload", "followed")
            self._keep([self._insert_file(application, now)])

    def upload_two(self) -> None:
        application = self._application()
        folders = [folder for folder in (self._folder(application), self._folder(application)) if folder]
        with transaction.atomic(using=self.database):
            files = [self._insert_file(application, folder) for folder in folders]
        self._keep(files)

    def _insert_file(self, application: Any, folder: str) -> Any:
        return File.objects.using(self.database).create(
            id=new_key(File),
            filename="new.pdf",
            original_filename="new.pdf",
            file_path="/new.pdf",
            file_size=self.rng.randrange(1000),
            mime_type="application/pdf",
            application_id=application,
            folder_id=folder,
        )

    def _keep(self, files: list[Any]) -> None:
        for file in files:
            self.own.append(str(file.pk))
            self.ledger.files[str(file.pk)] = (file.filename, file.file_size, file.application_id)

    def _own(self) -> str | None:
        return self.rng.choice(self.own) if self.own else None

    def delete_file(self) -> None:
        key = self._own()
        if key:
            deleted, _ = File.objects.using(self.database).filter(pk=key).delete()
            self.own.remove(key)
            del self.ledger.files[key]
            if deleted != 1:
                self.ledger.fault(f"file {key} was gone before its owner deleted it")

    def move_file(self) -> None:
        key = self._own()
        if key:
            folder = self._folder(self.ledger.files[key][2])
            if folder and File.objects.using(self.database).filter(pk=key).update(folder_id=folder) != 1:
                self.ledger.fault(f"file {key} was gone before its owner moved it")
