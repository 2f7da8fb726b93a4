"""What people do between a cleanup and its rollback, and how each of these things is taken back.

    stays:A(s.pdf)/{aside:C, kept:B(b.pdf)}, gone:A(x.pdf, y.pdf)/{lost:B(z.pdf), moved:D(d.pdf)}

becomes, by the cleanup,

    stays:A(s.pdf, x.pdf, y.pdf)/{aside:C, kept:B(b.pdf, z.pdf), moved:D(d.pdf)}
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.management import call_command

from cleanup.models import Hold
from cleanup.services import DatabaseCleanupService
from tests.hostapp.models import Bookmark
from tests.support.model_roles import Application, File, Folder
from tests.support.trees import Tree, execute, key_type, new_key, raw, tree

TREE = "stays:A(s.pdf)/{aside:C, kept:B(b.pdf)}, gone:A(x.pdf, y.pdf)/{lost:B(z.pdf), moved:D(d.pdf)}"


@dataclass(slots=True)
class Scene:
    """One application after its cleanup, and what people who undo their own action must remember."""

    database: str
    made: Tree
    other: Tree
    point: Any = None
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def service(self) -> DatabaseCleanupService:
        return DatabaseCleanupService(using=self.database)

    def clean(self) -> Any:
        return self.service.consolidate_duplicate_folders(self.made.application).rollback_id

    def folder(self, label: str) -> Any:
        return Folder.objects.using(self.database).filter(pk=self.made[label])

    def file(self, name: str) -> Any:
        return File.objects.using(self.database).filter(pk=self.made[name])

    def delete(self, *labels: str) -> None:
        """Delete files and folders in this order, as a host's own SQL would."""
        for label in labels:
            rows = self.file(label) if label.endswith(".pdf") else self.folder(label)
            self.memory[label] = rows.get()
            table = "files" if label.endswith(".pdf") else "folders"
            execute(self.database, f"DELETE FROM {table} WHERE id = %s", raw(self.database, self.made[label]))

    def bring_back(self, *labels: str) -> None:
        """Insert what was deleted, just as it was."""
        for label in labels:
            self.memory[label].save(using=self.database, force_insert=True)

    def make_folder(self, label: str, **values: Any) -> None:
        made = {"id": new_key(), "application_id": self.made.application, **values}
        self.memory[label] = Folder.objects.using(self.database).create(**made)
        self.memory[label].refresh_from_db()  # keys as they are read

    def make_file(self, label: str, folder: str) -> None:
        self.memory[label] = File.objects.using(self.database).create(
            id=new_key(File),
            filename=label,
            file_size=1,
            application_id=self.made.application,
            folder_id=self.made[folder],
        )
        self.memory[label].refresh_from_db()

    def still_there(self, label: str) -> bool:
        """Return whether a row that was made is as it was made."""
        one = self.memory[label]
        fields = [f.attname for f in one._meta.concrete_fields]
        now = type(one)._base_manager.using(self.database).filter(pk=one.pk).values(*fields).first()
        return now == {name: getattr(one, name) for name in fields}

    def unmake(self, label: str) -> None:
        """Delete a row that was made."""
        one = self.memory[label]
        execute(self.database, f"DELETE FROM {one._meta.db_table} WHERE id = %s", raw(self.database, str(one.pk)))


Act = Callable[[Scene], Any]


def nothing(scene: Scene) -> None:
    """Do nothing."""


def always(scene: Scene) -> bool:
    """Return True: there is nothing to keep."""
    return True


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens between cleanup and rollback."""

    do: Act
    mend: Act
    kept: Act = always
    """Tells whether it is as the person left it."""
    refusal: str = ""
    """Code of the refusal; empty where nothing stands in the way."""
    conflicts: Sequence[tuple[str, str]] = ()
    """Code and label of each."""
    named: str = ""
    """What the refusal's message names: a text, or a label of the tree."""
    before: Act = nothing
    """Prepares what is there before the cleanup."""
    tree: str = TREE
    changes_schema: bool = False
    only: str = ""
    """Kind of database."""

    @property
    def can_be_skipped(self) -> bool:
        """Return whether the rest can be restored."""
        return not self.refusal or bool(self.conflicts)


def _put_file(name: str, folder: str | None) -> Act:
    return lambda s: s.file(name).update(folder=folder and s.made[folder])


def _put_folder(label: str, parent: str | None) -> Act:
    return lambda s: s.folder(label).update(parent=parent and s.made[parent])


def _file_is_in(name: str, folder: str | None) -> Act:
    return lambda s: s.file(name).filter(folder=folder and s.made[folder]).exists()


def _folder_is_in(label: str, parent: str | None) -> Act:
    return lambda s: s.folder(label).filter(parent=parent and s.made[parent]).exists()


def _gone(*labels: str) -> Act:
    def gone(scene: Scene) -> bool:
        rows = [scene.file(label) if label.endswith(".pdf") else scene.folder(label) for label in labels]
        return not any(row.exists() for row in rows)

    return gone


def _deleted(*labels: str) -> dict[str, Act]:
    return {
        "do": lambda s: s.delete(*labels),
        "mend": lambda s: s.bring_back(*reversed(labels)),
        "kept": _gone(*labels),
    }


def _all(*acts: Act) -> Act:
    return lambda s: [act(s) for act in acts]


def _sql(*statements: str) -> Act:
    return lambda s: [execute(s.database, statement) for statement in statements]


def _migrate(*target: str) -> Act:
    return lambda s: call_command("migrate", "cleanup_guards", *target, database=s.database, verbosity=0)


def _delete_application(scene: Scene) -> None:
    scene.delete("s.pdf", "b.pdf", "x.pdf", "y.pdf", "z.pdf", "d.pdf", "aside", "kept", "moved", "stays")
    scene.memory["application"] = Application.objects.using(scene.database).get(pk=scene.made.application)
    key = raw(scene.database, scene.made.application, Application)
    execute(scene.database, "DELETE FROM customer_applications WHERE id = %s", key)


def _bring_application_back(scene: Scene) -> None:
    scene.bring_back("application", "stays", "moved", "kept", "aside")
    scene.bring_back("d.pdf", "z.pdf", "y.pdf", "x.pdf", "b.pdf", "s.pdf")


def _give_id_anew(scene: Scene) -> None:
    scene.make_folder("imported", id=scene.made["gone"], name="Imported")


def _clean_again(scene: Scene) -> None:
    scene.make_folder("twin", name="C", parent_id=scene.made["stays"])
    scene.memory["second"] = scene.clean()
    scene.made.keys["second"] = str(scene.memory["second"])


def _undo_second(scene: Scene) -> None:
    scene.service.rollback_cleanup(scene.memory["second"])
    Hold.objects.using(scene.database).all().delete()


def _bookmark(scene: Scene) -> None:
    scene.memory["bookmark"] = Bookmark._base_manager.using(scene.database).create(folder_id=scene.made["gone"])
    scene.made.keys["bookmark"] = str(scene.memory["bookmark"].pk)


def _restore_bookmark(scene: Scene) -> None:
    Bookmark(pk=scene.memory["bookmark"].pk, folder_id=scene.made["stays"]).save(using=scene.database)


def _audit(scene: Scene) -> None:
    key = key_type(scene.database)
    execute(scene.database, f"CREATE TABLE audit (id integer PRIMARY KEY, subject {key} REFERENCES folders)")
    execute(scene.database, "INSERT INTO audit VALUES (1, %s)", raw(scene.database, scene.made["gone"]))


def _audit_anew(scene: Scene) -> None:
    _audit_of(scene, "stays")


def _audit_of(scene: Scene, label: str) -> None:
    key = key_type(scene.database)
    execute(scene.database, f"CREATE TABLE audit (id integer PRIMARY KEY, subject {key} REFERENCES folders)")
    execute(scene.database, "INSERT INTO audit VALUES (1, %s)", raw(scene.database, scene.made[label]))


def _into_other_application(scene: Scene) -> None:
    scene.file("x.pdf").update(folder=scene.other["theirs"], application=scene.other.application)


def _back_from_other_application(scene: Scene) -> None:
    scene.file("x.pdf").update(folder=scene.made["stays"], application=scene.made.application)


def _is_in_other_application(scene: Scene) -> bool:
    return scene.file("x.pdf").filter(folder=scene.other["theirs"], application=scene.other.application).exists()


def _recreate_file(scene: Scene) -> None:
    scene.delete("x.pdf")
    scene.make_file("x.pdf anew", "stays")


def _colour(scene: Scene) -> None:
    execute(scene.database, "ALTER TABLE folders ADD COLUMN colour varchar(9) DEFAULT 'red'")


CHANGED_X = {"refusal": "conflict", "conflicts": [("changed", "x.pdf")]}
CHANGED_D = {"refusal": "conflict", "conflicts": [("changed", "moved")]}
MISSING_X = {"refusal": "conflict", "conflicts": [("row_missing", "x.pdf")]}
UNREADABLE = {"refusal": "unreadable_journal", "changes_schema": True}

EVENTS = {
    # Files.
    "a file was moved": Event(
        _put_file("x.pdf", "aside"), _put_file("x.pdf", "stays"), _file_is_in("x.pdf", "aside"), **CHANGED_X
    ),
    "a file was moved into a folder that had been moved": Event(
        _put_file("x.pdf", "moved"), _put_file("x.pdf", "stays"), _file_is_in("x.pdf", "moved"), **CHANGED_X
    ),
    "a file was unfiled": Event(
        _put_file("x.pdf", None), _put_file("x.pdf", "stays"), _file_is_in("x.pdf", None), **CHANGED_X
    ),
    "a file was given to another application": Event(
        _into_other_application, _back_from_other_application, _is_in_other_application, **CHANGED_X
    ),
    "a file was renamed": Event(
        lambda s: s.file("x.pdf").update(filename="renamed"),
        lambda s: s.file("x.pdf").update(filename="x.pdf"),
        lambda s: s.file("x.pdf").filter(filename="renamed").exists(),
    ),
    "a file was deleted": Event(**_deleted("x.pdf"), **MISSING_X),
    "a file was deleted and uploaded again": Event(
        _recreate_file,
        lambda s: (s.unmake("x.pdf anew"), s.bring_back("x.pdf")),
        lambda s: _gone("x.pdf")(s) and s.still_there("x.pdf anew"),
        **MISSING_X,
    ),
    "a file was uploaded into the survivor": Event(
        lambda s: s.make_file("new", "stays"), lambda s: s.unmake("new"), lambda s: s.still_there("new")
    ),
    "a file was uploaded into a folder that had been moved": Event(
        lambda s: s.make_file("new", "moved"), lambda s: s.unmake("new"), lambda s: s.still_there("new")
    ),
    "a file that never moved was moved": Event(
        _put_file("s.pdf", "aside"), _put_file("s.pdf", "stays"), _file_is_in("s.pdf", "aside")
    ),
    # Folders.
    "a folder was moved": Event(
        _put_folder("moved", "aside"), _put_folder("moved", "stays"), _folder_is_in("moved", "aside"), **CHANGED_D
    ),
    "a folder was made a root": Event(
        _put_folder("moved", None), _put_folder("moved", "stays"), _folder_is_in("moved", None), **CHANGED_D
    ),
    "a folder was renamed": Event(
        lambda s: s.folder("moved").update(name="E"),
        lambda s: s.folder("moved").update(name="D"),
        lambda s: s.folder("moved").filter(name="E").exists(),
    ),
    "the survivor was renamed": Event(
        lambda s: s.folder("stays").update(name="Z"),
        lambda s: s.folder("stays").update(name="A"),
        lambda s: s.folder("stays").filter(name="Z").exists(),
    ),
    "a folder was deleted with its file": Event(
        **_deleted("d.pdf", "moved"), refusal="conflict", conflicts=[("row_missing", "moved")]
    ),
    "a survivor was deleted with its files": Event(
        **_deleted("b.pdf", "z.pdf", "kept"), refusal="conflict", conflicts=[("row_missing", "z.pdf")]
    ),
    "the surviving root was deleted with all that is in it": Event(
        **_deleted("s.pdf", "b.pdf", "x.pdf", "y.pdf", "z.pdf", "d.pdf", "aside", "kept", "moved", "stays"),
        refusal="conflict",
        conflicts=[("row_missing", label) for label in ("x.pdf", "y.pdf", "z.pdf", "moved")],
    ),
    "a folder of the same name was made": Event(
        lambda s: s.make_folder("new", name="B", parent_id=s.made["stays"]),
        lambda s: s.unmake("new"),
        lambda s: s.still_there("new"),
    ),
    "another root was made": Event(
        lambda s: s.make_folder("new", name="A"), lambda s: s.unmake("new"), lambda s: s.still_there("new")
    ),
    "the id of a removed folder was given anew": Event(
        _give_id_anew,
        lambda s: s.unmake("imported"),
        lambda s: s.still_there("imported"),
        refusal="conflict",
        conflicts=[("row_exists", "gone")],
    ),
    "folders were moved so that the old places would close a cycle": Event(
        _all(_put_folder("stays", "root"), _put_folder("mid", "below")),
        _all(_put_folder("mid", "root"), _put_folder("stays", "mid")),
        lambda s: _folder_is_in("mid", "below")(s) and _folder_is_in("stays", "root")(s),
        refusal="would_detach",
        named="",
        tree="root:R/mid:M/{stays:B, gone:B/below:C}",
    ),
    # Applications, references, cleanups.
    "the application was deleted": Event(
        _delete_application,
        _bring_application_back,
        _gone("stays", "kept", "gone", "lost", "x.pdf"),
        refusal="conflict",
        conflicts=[
            *(("row_missing", label) for label in ("x.pdf", "y.pdf", "z.pdf", "moved")),
            ("missing_target", "gone"),
            ("missing_target", "lost"),
        ],
    ),
    "a row that referred to a removed folder was deleted": Event(
        lambda s: execute(s.database, "DELETE FROM hostapp_bookmark"),
        _restore_bookmark,
        lambda s: not Bookmark._base_manager.using(s.database).exists(),
        refusal="conflict",
        conflicts=[("row_missing", "bookmark")],
        before=_bookmark,
    ),
    "the application was cleaned again": Event(
        _clean_again,
        lambda s: (_undo_second(s), s.unmake("twin")),
        refusal="superseded",
        named="second",
    ),
    # The schema.
    "guards were put in place": Event(
        _migrate(), _migrate("zero"), refusal="guarded", named="migrate cleanup_guards", changes_schema=True
    ),
    "an index was made that forbids twins": Event(
        _sql("CREATE UNIQUE INDEX one_a ON folders (application_id) WHERE parent_id IS NULL AND name = 'A'"),
        _sql("DROP INDEX one_a"),
        refusal="conflict",
        conflicts=[
            ("unique_taken", "gone"),
            *(("missing_target", label) for label in ("lost", "moved", "x.pdf", "y.pdf", "z.pdf")),
        ],
        changes_schema=True,
    ),
    "a column was added": Event(
        _sql("ALTER TABLE folders ADD COLUMN weight integer DEFAULT 7"),
        _sql("ALTER TABLE folders DROP COLUMN weight"),
        changes_schema=True,
    ),
    "a column without a default was added": Event(
        _sql(
            "ALTER TABLE folders ADD COLUMN weight integer NOT NULL DEFAULT 7",
            "ALTER TABLE folders ALTER COLUMN weight DROP DEFAULT",
        ),
        _sql("ALTER TABLE folders DROP COLUMN weight"),
        refusal="conflict",
        conflicts=(
            ("refused", "gone"),
            *(("missing_target", label) for label in ("lost", "moved", "x.pdf", "y.pdf", "z.pdf")),
        ),
        changes_schema=True,
        only="postgresql",
    ),
    "a column was dropped": Event(
        _sql("ALTER TABLE folders DROP COLUMN colour"), _colour, before=_colour, named="colour", **UNREADABLE
    ),
    "a column was renamed": Event(
        _sql("ALTER TABLE folders RENAME COLUMN colour TO shade"),
        _sql("ALTER TABLE folders RENAME COLUMN shade TO colour"),
        before=_colour,
        named="colour",
        **UNREADABLE,
    ),
    "the column of a moved reference was renamed": Event(
        _sql("ALTER TABLE audit RENAME COLUMN subject TO topic"),
        _sql("ALTER TABLE audit RENAME COLUMN topic TO subject"),
        before=_audit,
        named="audit.subject",
        **UNREADABLE,
    ),
    "a referring table was dropped": Event(
        _sql("DROP TABLE audit"), _audit_anew, before=_audit, named="audit", **UNREADABLE
    ),
    "a referring table was renamed": Event(
        _sql("ALTER TABLE audit RENAME TO log"),
        _sql("ALTER TABLE log RENAME TO audit"),
        before=_audit,
        named="audit",
        **UNREADABLE,
    ),
}


def laid(database: str, event: Event) -> Scene:
    """Lay the scene of an event, before the cleanup."""
    scene = Scene(database, tree(database, event.tree), tree(database, "theirs:T(theirs.pdf)"))
    event.before(scene)
    return scene
