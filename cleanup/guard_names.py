"""The names of the guards: of constraints and indexes in the database.

One place for the migrations that create them, the services that look for them, and the code that turns an
IntegrityError into a sentence. Frozen: databases contain these names.
"""

from enum import StrEnum


class Guard(StrEnum):
    """A constraint that keeps duplicates and stray rows from coming back, by its name in the database."""

    ONE_ROOT = "cleanup_one_root_per_application"
    ONE_NAME = "cleanup_one_name_per_parent"
    PARENT_APPLICATION = "cleanup_parent_in_same_application"
    FILE_APPLICATION = "cleanup_file_in_same_application"
    OWN_PARENT = "cleanup_not_own_parent"
    BLANK_NAME = "cleanup_name_not_blank"


#: The guards that are unique indexes.
INDEXES = (Guard.ONE_ROOT, Guard.ONE_NAME)

#: The names of the index of each, and of its second one, on folders without an application, if these are trees.
INDEX_NAMES = {guard: (guard.value, f"{guard}_shared") for guard in INDEXES}

#: Whatever is put in place, by its name.
GUARDS_BY_NAME = {guard.value: guard for guard in Guard} | {
    name: guard for guard, names in INDEX_NAMES.items() for name in names
}

#: The app of the migrations.
APP_LABEL = "cleanup_guards"

#: The migration that puts each guard in place.
MADE_BY = {
    Guard.ONE_ROOT: "0002_one_root_per_application",
    Guard.ONE_NAME: "0003_one_name_per_parent",
    Guard.PARENT_APPLICATION: "0004_parent_in_same_application",
    Guard.FILE_APPLICATION: "0005_file_in_same_application",
    Guard.OWN_PARENT: "0007_not_own_parent",
    Guard.BLANK_NAME: "0008_name_not_blank",
}
#: The migration after which each guard also holds for older rows, if that is a different one.
VALIDATED_BY = {
    Guard.PARENT_APPLICATION: "0006_validate_same_application",
    Guard.FILE_APPLICATION: "0006_validate_same_application",
}


def lifting(guard: Guard, *, using: str) -> str:
    """Return the command that lifts a guard, and those that came after it."""
    before = int(MADE_BY[guard][:4]) - 1
    return f"manage.py migrate {APP_LABEL} {before:04}{on(using)}"


def mending(guard: Guard, *, using: str) -> str:
    """Return the command that makes a guard as the settings ask; others that are so stay in place all the while.

    A migration leaves alone what is there already, so it is enough to forget that they were applied.
    """
    return f"{lifting(guard, using=using)} --fake && {putting(using=using)}"


def putting(*, using: str) -> str:
    """Return the command that puts all guards in place."""
    return f"manage.py migrate {APP_LABEL}{on(using)}"


def on(using: str) -> str:
    """Return the option that names a database, if one is needed."""
    return "" if using == "default" else f" --database {using}"


#: On SQLite, these guards are triggers, named after the guard with one of these suffixes.
TRIGGER_ENDINGS = {
    Guard.PARENT_APPLICATION: ("_insert", "_update"),
    Guard.FILE_APPLICATION: ("_insert", "_update", "_folder_insert", "_folder_update"),
    Guard.OWN_PARENT: ("_insert", "_update"),
    Guard.BLANK_NAME: ("_insert", "_update"),
}
TRIGGERS = frozenset(f"{guard}{ending}" for guard, endings in TRIGGER_ENDINGS.items() for ending in endings)

# What the guards rely on.
FOLDER_KEY = "cleanup_folder_with_application"
FOLDERS_BY_PARENT = "cleanup_folders_by_parent"
FOLDERS_BY_APPLICATION = "cleanup_folders_by_application"
FILES_BY_FOLDER = "cleanup_files_by_folder"
