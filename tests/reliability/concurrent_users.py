"""People at work: what a host's own code does to folders and files, knowing nothing of the cleanup.

Each action is what some program would do: look, then write, in a short transaction, with no lock of ours. What a person
uploads or deletes is put down, so that at the end every file can be accounted for.

Documented for programs that write beside a cleanup: a folder that was looked up a moment ago may have been merged away,
which the foreign key tells (`resolve_folder` knows where it went); and once guards stand, duplicates are refused.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, connections, transaction

from cleanup.services import DatabaseCleanupService
from tests.reliability.ledger import Ledger
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import START, new_key

FOREIGN_KEY, UNIQUE = "23503", "23505"
BOXES = 4
#: Of those that a clerk works on; they make more.
MOST_APPLICATIONS = 12

#: A server that is shut down, that has crashed, or that is starting; a connection that was lost has no code.
OUTAGES = (None, "57P01", "57P02", "57P03", "08006", "08001", "08003")
#: Seconds until someone tries again whose connection was lost.
PAUSE = 0.2


def together(workers: list[Callable[[threading.Event], None]], *, seconds: float) -> None:
    """Have all of them work for so long."""
    stop = threading.Event()
    threads = [threading.Thread(target=worker, args=[stop]) for worker in workers]
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join()


class Person:
    """One writer, with a connection of their own, who may try again when the server is back."""

    def __init__(
        self, database: str, number: int, ledger: Ledger, *, pace: float = 0, outlives_the_server: bool = False
    ) -> None:
        self.database = database
        self.rng = random.Random(number)
        self.ledger = ledger
        self.service = DatabaseCleanupService(using=database)
        self.applications = list(Application.objects.using(database).values_list("pk", flat=True))
        self.own: list[str] = []
        """Files that no one else deletes or moves."""
        self.pace = pace
        """Seconds between two actions."""
        self.outlives_the_server = outlives_the_server
        self.at_stake: set[str] = set()
        """The keys that the action at hand writes."""

    def actions(self) -> list[Callable[[], None]]:
        """Return what they do, each as often as the other."""
        return [
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
        ]

    def work(self, stop: threading.Event) -> None:
        """Do one thing after the other."""
        try:
            while not stop.is_set() and not self.ledger.faults:
                action = self.rng.choice(self.actions())
                self.at_stake.clear()
                try:
                    self._do(action)
                except (OperationalError, InterfaceError) as error:
                    if not self.outlives_the_server or getattr(error.__cause__, "sqlstate", None) not in OUTAGES:
                        raise
                    self._doubt(action)
                    stop.wait(PAUSE)
                stop.wait(self.pace)
        except Exception as error:  # noqa: BLE001  # whatever reaches a writer is what we are here to see
            self.ledger.fault(f"{action.__name__}: {error!r}")
        finally:
            connections[self.database].close()

    def _do(self, action: Callable[[], None]) -> None:
        begun = time.monotonic()
        try:
            action()
        except IntegrityError as error:
            state = getattr(error.__cause__, "sqlstate", "")
            if state not in (FOREIGN_KEY, UNIQUE):
                raise
            self.ledger.refused(action.__name__, state)
        else:
            self.ledger.count(action.__name__, seconds=time.monotonic() - begun)

    def _doubt(self, action: Callable[[], None]) -> None:
        """Put down that no one knows whether it was committed, and connect again."""
        connections[self.database].close()
        self.ledger.refused(action.__name__, "the connection was lost")
        self.ledger.doubtful |= self.at_stake
        self.own = [key for key in self.own if key not in self.at_stake]

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

    def _insert_folder(self, application: Any, name: str, parent: str | None) -> str:
        key = new_key()
        self.at_stake.add(str(key))
        Folder.objects.using(self.database).create(
            id=key, name=name, parent_id=parent, application_id=application, created_at=START
        )
        self.ledger.folders.add(str(key))
        return str(key)

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
            self.at_stake.add(box)
            if self._execute("DELETE FROM folders WHERE id = %s RETURNING id", box):
                self.ledger.deleted.add(box)

    def _execute(self, statement: str, *parameters: Any) -> list[tuple]:
        """Return the rows that a statement returns."""
        with connections[self.database].cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall()

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
        key = new_key(File)
        self.at_stake.add(str(key))
        return File.objects.using(self.database).create(
            id=key,
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
            self.ledger.lies_in[str(file.pk)] = str(file.folder_id)

    def _own(self) -> str | None:
        return self.rng.choice(self.own) if self.own else None

    def delete_file(self) -> None:
        key = self._own()
        if key:
            self.at_stake.add(key)
            deleted, _ = File.objects.using(self.database).filter(pk=key).delete()
            self.own.remove(key)
            del self.ledger.files[key]
            if deleted != 1:
                self.ledger.fault(f"file {key} was gone before its owner deleted it")

    def move_file(self) -> None:
        key = self._own()
        folder = key and self._folder(self.ledger.files[key][2])
        if key and folder:
            self.at_stake.add(f"place {key}")
            if File.objects.using(self.database).filter(pk=key).update(folder_id=folder) != 1:
                self.ledger.fault(f"file {key} was gone before its owner moved it")
            self.ledger.lies_in[key] = folder


class Clerk(Person):
    """A writer of another program, on its own tables and in plain SQL; see `tests.benchmarks.adopted`."""

    def __init__(self, database: str, number: int, ledger: Ledger, **options: Any) -> None:
        super().__init__(database, number, ledger, **options)
        self.notes: list[int] = []
        self.folders: list[str] = []
        self.people = [str(uuid.UUID(int=self.rng.getrandbits(128))) for _ in range(3)]

    def actions(self) -> list[Callable[[], None]]:
        """Add what the other tables are for."""
        return [
            *super().actions(),
            self.make_application,
            self.retitle_file,
            self.set_quota,
            self.write_note,
            self.edit_note,
            self.share,
            self.share,
        ]

    def make_application(self) -> None:
        """With its first folders, in one transaction."""
        key = new_key(Application)
        self.at_stake.add(str(key))
        with transaction.atomic(using=self.database):
            self._execute("INSERT INTO customer_applications (id) VALUES (%s) RETURNING id", key)
            folder = self._insert_folder(key, "Documents", None)
        self.ledger.applications.add(str(key))
        self.folders.append(folder)
        if len(self.applications) < MOST_APPLICATIONS:
            self.applications.append(key)

    def retitle_file(self) -> None:
        key = self._own()
        if key:
            title = f"Title {self.rng.randrange(1000)}"
            self.at_stake.add(f"title {key}")
            if not self._execute("UPDATE files SET display_name = %s WHERE id = %s RETURNING id", title, key):
                self.ledger.fault(f"file {key} was gone before its owner gave it a title")
            self.ledger.titles[key] = title

    def set_quota(self) -> None:
        """Of a folder of theirs, which may have been merged away."""
        if self.folders:
            key, quota = self.rng.choice(self.folders), self.rng.randrange(1000)
            self.at_stake.add(f"quota {key}")
            if self._execute("UPDATE folders SET quota = %s WHERE id = %s RETURNING id", quota, key):
                self.ledger.quotas[key] = quota

    def delete_folder(self) -> None:
        """With its notes and shares, as the foreign keys do, after a look at which these are."""
        box = self._folder(self._application(), box=True)
        if box is None:
            return
        with transaction.atomic(using=self.database):
            self._execute("SELECT 1 FROM folders WHERE id = %s FOR UPDATE", box)
            notes = self._execute("DELETE FROM notes WHERE folder_id = %s RETURNING id", box)
            shares = self._execute("DELETE FROM shares WHERE folder_id = %s RETURNING person_id::text", box)
            self.at_stake |= {box, *(f"note {key}" for (key,) in notes)}
            deleted = self._execute("DELETE FROM folders WHERE id = %s RETURNING id", box)
        if deleted:
            self.ledger.deleted.add(box)
        self.ledger.deleted_notes |= {f"note {key}" for (key,) in notes}
        self.ledger.deleted_shares |= {(box, person) for (person,) in shares}

    def write_note(self) -> None:
        folder = self._folder(self._application())
        if folder:
            body = f"Note {self.rng.randrange(1000)}"
            query = "INSERT INTO notes (folder_id, body) VALUES (%s, %s) RETURNING id"
            ((key,),) = self._execute(query, folder, body)
            self.notes.append(key)
            self.ledger.notes[f"note {key}"] = (folder, body)

    def edit_note(self) -> None:
        if self.notes:
            key, body = self.rng.choice(self.notes), f"Note {self.rng.randrange(1000)}"
            name = f"note {key}"
            self.at_stake.add(name)
            if self._execute("UPDATE notes SET body = %s WHERE id = %s RETURNING id", body, key):
                self.ledger.notes[name] = (self.ledger.notes[name][0], body)

    def share(self) -> None:
        """With someone with whom it may be shared already."""
        folder, person = self._folder(self._application()), self.rng.choice(self.people)
        if folder:
            self.at_stake.add(folder)
            query = (
                "INSERT INTO shares (folder_id, person_id) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING folder_id"
            )
            self._execute(query, folder, person)
            self.ledger.shares.add((folder, person))
