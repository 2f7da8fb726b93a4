"""A small dirty database, the same at every call, and what can be seen of it without the engine."""

import random
import uuid
from datetime import UTC, datetime, timedelta

from django.db import connections, models

from cleanup.folder_tables import folder_tables
from tests.support.model_roles import Application, File, Folder, Part
from tests.support.trees import named, sql

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)

#: Of one application: every mapped row of it, as the database holds it.
Picture = dict[str, tuple]


class Mess:
    """Makes applications with duplicate roots, duplicate children and files in all of them."""

    def __init__(self, *, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.applications: list[models.Model] = []
        self.folders: list[models.Model] = []
        self.files: list[models.Model] = []

    def key(self, part: Part) -> uuid.UUID | int | str:
        field = part.model._meta.pk
        if isinstance(field, models.UUIDField):
            return uuid.UUID(int=self.random.getrandbits(128), version=4)
        number = 2**30 + self.random.getrandbits(30)  # ten digits: a worklist goes by keys as text
        return number if isinstance(field, models.IntegerField) else f"No {number:010}"

    def application(self, *, roots: int = 2, children: int = 2, files: int = 2) -> models.Model:
        """Add an application: its roots are of one name, and so are their children; each child has files."""
        application = Application(id=self.key(Application))
        self.applications.append(application)
        for _ in range(roots):
            root = self._folder(application, "Documents", None)
            for number in range(children):
                child = self._folder(application, f"Folder {number}", root)
                self._files(application, child, files)
        return application

    def _folder(self, application: models.Model, name: str, parent: models.Model | None) -> models.Model:
        created = EPOCH + timedelta(minutes=self.random.randrange(1_000_000))
        folder = Folder(id=self.key(Folder), name=name, parent=parent, application=application, created_at=created)
        self.folders.append(folder)
        return folder

    def _files(self, application: models.Model, folder: models.Model, count: int) -> None:
        self.files += [
            File(
                id=self.key(File),
                filename=f"{number}.pdf",
                original_filename=f"{number}.pdf",
                file_path=f"/{number}.pdf",
                file_size=number,
                mime_type="application/pdf",
                application=application,
                folder=folder,
            )
            for number in range(count)
        ]

    def write(self, using: str) -> list[str]:
        """Write everything and return the applications' ids in key order."""
        for part, rows in ((Application, self.applications), (Folder, self.folders), (File, self.files)):
            part.objects.using(using).bulk_create(rows)
        return [str(key) for key in sorted(application.pk for application in self.applications)]


def make(using: str, *, applications: int, roots: int = 2, children: int = 2, files: int = 2) -> list[str]:
    """Fill the database with equal applications and return their ids in key order."""
    mess = Mess()
    for _ in range(applications):
        mess.application(roots=roots, children=children, files=files)
    return mess.write(using)


def applications(using: str) -> list[str]:
    """Return the ids of all applications."""
    return [str(key) for key in Application.objects.using(using).values_list("pk", flat=True)]


def picture(using: str) -> Picture:
    """Return the folders and files of each application, by its key."""
    rows: dict[str, list] = {str(key): [] for key in Application.objects.using(using).values_list("pk", flat=True)}
    with connections[using].cursor() as cursor:
        key = folder_tables().application_key
        for table in ("folders", "files"):
            cursor.execute(sql(using, f"SELECT * FROM :{table} ORDER BY :{table}.key"))
            place = [column[0] for column in cursor.description].index(named(f":{table}.application"))
            for row in cursor.fetchall():
                rows[key.text(row[place])].append((table, *row))
    return {key: tuple(found) for key, found in rows.items()}


def make_clean(using: str, *, applications: int) -> list[str]:
    """Add applications with nothing to merge and return their ids in key order."""
    some = Mess(seed=2)
    for _ in range(applications):
        some.application(roots=1)
    return some.write(using)
