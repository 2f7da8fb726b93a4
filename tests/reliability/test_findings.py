"""Every finding proves itself: brought about, found, mended, gone; and a clean database of any shape has none.

What else is true of each finding (its object, its hint, tables without foreign keys) is tested with the verification.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command

from cleanup.backends.finding_kinds import CODES, ERRORS
from cleanup.services import DatabaseCleanupService
from tests.hostapp.models import Watch
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import Tree, execute, missing_key, raw, tree, unchecked

NOWHERE, NOBODY = missing_key(Folder), missing_key(Application)


@dataclass(slots=True)
class Scene:
    """Two sound applications, and rows that were there before."""

    database: str
    loan: Tree
    other: Tree

    def change(self, label: str, **values: Any) -> None:
        part = File if label.endswith(".txt") else Folder
        with unchecked(self.database):
            part.objects.using(self.database).filter(pk=self.loan[label]).update(**values)

    def merge_something(self) -> str:
        """Have an application merged, and return the id of the folder that is gone."""
        made = tree(self.database, "A, gone:A", application=None)
        DatabaseCleanupService(using=self.database).consolidate_duplicate_folders(made.application)
        return made["gone"]

    def make_folder(self, **values: Any) -> None:
        with unchecked(self.database):
            Folder.objects.using(self.database).create(id=NOWHERE, **values)

    def delete_folder(self) -> None:
        execute(self.database, "DELETE FROM :folders WHERE :folders.key = %s", raw(self.database, NOWHERE))


Act = Callable[[Scene], Any]


def _changed(label: str, *, back: dict[str, Any], **values: Any) -> tuple[Act, Act]:
    def mend(scene: Scene) -> None:
        scene.change(label, **{name: value(scene) if callable(value) else value for name, value in back.items()})

    def spoil(scene: Scene) -> None:
        scene.change(label, **{name: value(scene) if callable(value) else value for name, value in values.items()})

    return spoil, mend


TOP: dict[str, Act] = {"parent": lambda s: s.loan["top"]}
DOCS: dict[str, Act] = {"folder": lambda s: s.loan["docs"]}
LOAN: dict[str, Act] = {"application": lambda s: s.loan.application}

#: For each code: what brings it about, and what mends it.
PROOFS: dict[str, tuple[Act, Act]] = {
    "several_roots": (
        lambda s: s.make_folder(name="Loan", application_id=s.loan.application),
        lambda s: s.delete_folder(),
    ),
    "same_named_siblings": _changed("photos", name="Docs", back={"name": "Photos"}),
    "missing_parent": _changed("photos", parent=NOWHERE, back=TOP),
    "cycle": _changed("photos", parent=lambda s: s.loan["photos"], back=TOP),
    "foreign_parent": _changed("photos", parent=lambda s: s.other["top"], back=TOP),
    "folder_of_missing_application": (
        lambda s: s.make_folder(name="Lost", application_id=NOBODY),
        lambda s: s.delete_folder(),
    ),
    "file_of_missing_application": _changed("a.txt", application=NOBODY, back=LOAN),
    "file_of_missing_folder": _changed("a.txt", folder=NOWHERE, back=DOCS),
    "file_in_other_application": _changed("a.txt", folder=lambda s: s.other["top"], back=DOCS),
    "dangling_reference": (
        lambda s: Watch.objects.using(s.database).create(watched_id=NOWHERE),
        lambda s: Watch.objects.using(s.database).all().delete(),
    ),
    "late_arrival": (
        lambda s: Watch.objects.using(s.database).create(watched_id=s.merge_something()),
        lambda s: Watch.objects.using(s.database).all().delete(),
    ),
    "folder_without_application": _changed("photos", application=None, back=LOAN),
    "file_without_folder": _changed("a.txt", folder=None, back=DOCS),
    "names_alike": _changed("photos", name="docs ", back={"name": "Photos"}),
    "blank_name": _changed("photos", name=" ", back={"name": "Photos"}),
    "guards_missing": (
        lambda s: call_command("migrate", "cleanup_guards", "zero", database=s.database, verbosity=0),
        lambda s: call_command("migrate", "cleanup_guards", database=s.database, verbosity=0),
    ),
}
#: A privilege; SQLite has none. Proved by test_integrity.TestRole.
NOT_ON_SQLITE = {"not_checked"}
#: Come with others, or by a setting. Proved by test_tree_shape and test_ready.
OF_THE_WHOLE_TABLE = {"no_live_folder", "no_root_folder", "path_out_of_date"}


def counts(database: str) -> dict[str, int]:
    found = DatabaseCleanupService(using=database).verify_cleanup_integrity()["counts"]
    return {code: number for code, number in found.items() if number}


def test_every_code_has_its_proof():
    assert set(PROOFS) | NOT_ON_SQLITE | OF_THE_WHOLE_TABLE == set(CODES)


class TestFinding:
    """On tables without guards, but for the finding that they are missing."""

    @pytest.mark.parametrize("code", [code for code in PROOFS if code != "guards_missing"])
    def test_is_found_and_gone_when_it_is_mended(self, database, code):
        spoil, mend = PROOFS[code]
        loan = tree(database, "top:Loan/{docs:Docs(a.txt), photos:Photos/old:Old}")
        scene = Scene(database, loan, tree(database, "top:Loan/Docs(c.txt)"))
        before = counts(database)
        assert before.keys() == {"guards_missing"}
        spoil(scene)
        assert counts(database).keys() - before.keys() == {code}
        assert DatabaseCleanupService(using=database).verify_cleanup_integrity()["verification_passed"] is (
            code not in ERRORS
        )
        mend(scene)
        assert counts(database) == before

    def test_of_missing_guards_is_gone_when_they_are_put(self, scratch_database):
        spoil, mend = PROOFS["guards_missing"]
        scene = Scene(scratch_database, tree(scratch_database, "Loan"), tree(scratch_database, "Loan"))
        mend(scene)
        assert counts(scratch_database) == {}
        spoil(scene)
        assert counts(scratch_database).keys() == {"guards_missing"}
        mend(scene)
        assert counts(scratch_database) == {}


DEEP = "/".join(f"Level {number}" for number in range(120))
SHAPES = {
    "empty": (),
    "applications without folders": ("", ""),
    "one folder": ("A",),
    "one folder each": ("A", "A", "B"),
    "deep": (f"A/{DEEP}(1)",),
    "wide": (f"A/{{{', '.join(f'N{number}(1)' for number in range(300))}}}",),
    "the same name on every level": ("A/A/A/A(2)",),
    "the same names in different places": ("A(3)/{B/{C, D}, E/{C, D}}",),
    "no times": ("A@-/{B@-(1), C@-}",),
    "odd names": ('"100% {0} [b]\\"\'"(1)/"\u202eabc"(1)', '"\U0001f4c1"/"\u6587\u4ef6"'),
    "files of one name": ("A(a.txt)/B(b.txt)",),
}


class TestCleanDatabase:
    @pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
    def test_gives_nothing(self, database, shape):
        for text in shape:
            tree(database, text)
        assert counts(database).keys() <= {"guards_missing"}
        report = DatabaseCleanupService(using=database).verify_cleanup_integrity()
        assert (report["verification_passed"], report["inconsistent_applications"]) == (True, [])

    def test_gives_nothing_after_a_cleanup_of_a_dirty_one(self, database):
        for _ in range(5):
            tree(database, "A*3/{B(1)*2, C/D*2}, A/B(2)")
        DatabaseCleanupService(using=database).cleanup_all_duplicate_folders()
        assert counts(database).keys() == {"guards_missing"}
