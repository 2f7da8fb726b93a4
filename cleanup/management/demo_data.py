"""A realistic mess for the demonstration: applications with several roots, same-named folders, files everywhere.

The mess depends on the seed alone. Rows are made application by application, so memory does not grow with their number.
"""

import itertools
import random
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import models, transaction

from cleanup.models import Application, File, Folder

Names = Mapping[str, Any]

#: What one application's folders are called; each with the folders within it.
STANDARD: Names = {
    "Borrower": {
        "Identity": {},
        "Income": {"Payslips": {}, "Tax Returns": {"2022": {}, "2023": {}}},
        "Bank Statements": {},
    },
    "Guarantor": {"Identity": {}, "Income": {}},
    "Collateral": {"Appraisals": {}, "Insurance": {}, "Titles": {}},
    "Business": {"Financial Statements": {"2022": {}, "2023": {}}, "Licences": {}},
    "Supporting Documents": {"Correspondence": {}, "Photos": {}, "Signed": {}},
}

DOCUMENTS = {
    "Identity": ("passport.pdf", "driving licence.jpg", "residence permit.pdf"),
    "Payslips": ("payslip january.pdf", "payslip february.pdf", "payslip march.pdf"),
    "Tax Returns": ("tax assessment.pdf",),
    "2022": ("annual report.pdf", "balance sheet.xlsx", "tax return.pdf"),
    "2023": ("annual report.pdf", "balance sheet.xlsx", "tax return.pdf"),
    "Bank Statements": ("statement Q1.pdf", "statement Q2.pdf", "statement Q3.pdf", "statement Q4.pdf"),
    "Appraisals": ("appraisal.pdf", "site plan.pdf", "valuation.xlsx"),
    "Insurance": ("policy.pdf", "premium notice.pdf"),
    "Titles": ("land register extract.pdf", "deed.pdf"),
    "Licences": ("trade licence.pdf", "register extract.pdf"),
    "Correspondence": ("letter.pdf", "e-mail.eml", "note of call.txt"),
    "Photos": ("front.jpg", "garden.jpg", "kitchen.jpg", "roof.jpg"),
    "Signed": ("contract.pdf", "consent.pdf"),
}
COMMON = ("scan.pdf", "cover letter.pdf", "notes.txt", "checklist.xlsx")
MIME_TYPES = {
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "txt": "text/plain",
    "eml": "message/rfc822",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

FIRST_DAY = datetime(2023, 1, 9, 8, tzinfo=UTC)


@dataclass(slots=True)
class Mess:
    """The rows of one application; folders stand after the folder they are in."""

    application: Application
    folders: list[Folder] = field(default_factory=list)
    files: list[File] = field(default_factory=list)

    @property
    def roots(self) -> int:
        """Count the root folders."""
        return sum(folder.parent_id is None for folder in self.folders)


def messes(*, applications: int, seed: int) -> Iterator[Mess]:
    """Yield applications; about two of five have several roots, and some have duplicates further down alone."""
    chance = random.Random(seed)  # noqa: S311  # no secret: the same mess for the same seed
    for number in range(1, applications + 1):
        yield _Maker(chance, number).make()


class _Maker:
    def __init__(self, chance: random.Random, number: int) -> None:
        self.chance = chance
        self.first = number == 1
        self.name = f"Loan 2023-{number:05}"
        self.now = FIRST_DAY + timedelta(hours=number, minutes=chance.randrange(60))
        self.mess = Mess(Application(id=self._key()))
        self.taken: dict[uuid.UUID, set[str]] = {}

    def make(self) -> Mess:
        roots = self.chance.choices((1, 2, 3, 4), weights=(58, 24, 12, 6))[0]
        if self.first:
            roots = 3  # however few there are, one is worth looking at
        # Most applications with a single root are fine.
        twins = 0.12 if roots > 1 else self.chance.choice((0.0, 0.0, 0.0, 0.0, 0.08))
        for number in range(roots):
            # The first was made with all its folders; the others by requests that raced for it, or came later.
            root = self._folder(self.name, None)
            self._fill(root, STANDARD if number == 0 else self._some_of(STANDARD), twins=twins)
        return self.mess

    def _some_of(self, folders: Names) -> Names:
        names = self.chance.sample(sorted(folders), k=self.chance.randint(1, len(folders)))
        return {name: folders[name] for name in names}

    def _fill(self, parent: Folder, folders: Names, *, twins: float) -> None:
        for name, within in folders.items():
            if self.chance.random() < 0.25 and parent.parent_id is not None:
                continue  # not every application needs every folder
            self._branch(parent, name, within, twins=twins)
            if self.chance.random() < twins:
                self._branch(parent, name, within, twins=0.0)
        if parent.name == "Supporting Documents" and self.chance.random() < 0.03:
            self._branch(parent, "signed", {}, twins=0.0)  # a different name, by one letter's case

    def _branch(self, parent: Folder, name: str, within: Names, *, twins: float) -> None:
        folder = self._folder(name, parent)
        for _ in range(self.chance.choices((0, 1, 2, 3, 5), weights=(15, 30, 30, 15, 10))[0]):
            self._file(folder)
        self._fill(folder, within, twins=twins)

    def _folder(self, name: str, parent: Folder | None) -> Folder:
        self.now += timedelta(minutes=self.chance.randint(1, 90))
        folder = Folder(
            id=self._key(),
            name=name,
            parent=parent,
            application=self.mess.application,
            # An import from long ago left some without a date.
            created_at=None if self.chance.random() < 0.05 else self.now,
            updated_at=self.now,
        )
        self.mess.folders.append(folder)
        return folder

    def _file(self, folder: Folder) -> None:
        name = self._file_name(folder)
        key = self._key()
        self.now += timedelta(seconds=self.chance.randint(5, 600))
        self.mess.files.append(
            File(
                id=key,
                filename=name,
                original_filename=name,
                display_name=self.chance.choice((None, name.rpartition(".")[0].capitalize())),
                file_path=f"uploads/{key.hex[:2]}/{key.hex}",
                file_size=self.chance.randint(4_000, 9_000_000),
                mime_type=MIME_TYPES[name.rpartition(".")[2]],
                application=self.mess.application,
                folder=folder,
                created_at=self.now,
            )
        )

    def _file_name(self, folder: Folder) -> str:
        names = (*DOCUMENTS.get(folder.name, ()), *COMMON)
        taken = self.taken.setdefault(folder.id, set())
        fresh = [name for name in names if name not in taken]
        # Uploaded twice, now and then.
        name = self.chance.choice(names if self.chance.random() < 0.05 or not fresh else fresh)
        taken.add(name)
        return name

    def _key(self) -> uuid.UUID:
        return uuid.UUID(int=self.chance.getrandbits(128), version=4)


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written."""

    applications: int
    folders: int
    files: int
    example: str
    """An application whose tree fits on a screen and has several roots."""


def fill(found: Iterable[Mess], *, using: str) -> Filled:
    """Write the rows in one transaction."""
    applications = folders = files = 0
    example, best = "", (False, -1_000_000)
    rest = iter(found)
    with transaction.atomic(using=using):
        while batch := list(itertools.islice(rest, 50)):
            _write(Application, [mess.application for mess in batch], using=using)
            _write(Folder, [folder for mess in batch for folder in mess.folders], using=using)
            _write(File, [file for mess in batch for file in mess.files], using=using)
            applications += len(batch)
            folders += sum(len(mess.folders) for mess in batch)
            files += sum(len(mess.files) for mess in batch)
            for mess in batch:
                if (fitness := _fitness(mess)) > best:
                    example, best = str(mess.application.pk), fitness
    return Filled(applications, folders, files, example)


def _write(model: type[models.Model], rows: Sequence[models.Model], *, using: str) -> None:
    model._base_manager.using(using).bulk_create(rows, batch_size=500)


def _fitness(mess: Mess) -> tuple[bool, int]:
    """Prefer three roots, and a tree that fits on a screen."""
    return mess.roots == 3, -abs(len(mess.folders) - 26)
