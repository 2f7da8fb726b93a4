"""What a recipe is: a program's own tables, or its package, with the settings that the manual gives for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One program, some rows with duplicates, and what is to become of them."""

    program: str
    #: as they stand in the manual, one a line.
    settings: str
    #: The database that the program uses.
    vendor: str = "postgresql"
    #: Its tables and some rows.
    sql: str = ""
    #: Those for which `inspectdb` writes models.
    tables: tuple[str, ...] = ()
    #: What `inspectdb` cannot know: by field of a model, to what it refers.
    foreign_keys: Mapping[str, str] = field(default_factory=dict)
    #: For a package of Django: its apps, models that use it, and the program that makes the rows.
    apps: tuple[str, ...] = ()
    models: str = ""
    fill: str = ""
    #: A program that looks after the merge whether the package finds all in order.
    still: str = ""
    #: The paths of all folders that are left.
    left: tuple[str, ...] = ()
    #: The rows that were moved, by table.
    moved: Mapping[str, int] = field(default_factory=dict)
    #: Rows of link tables that became twins, by table.
    merged_links: Mapping[str, int] = field(default_factory=dict)
    #: What verification still finds, under the guards.
    findings: tuple[str, ...] = ()
    #: Why it cannot be cleaned up by settings, as the product says it.
    refusal: str = ""

    def models_from(self, inspected: str) -> str:
        """Write foreign keys into what `inspectdb` wrote."""
        for place, target in self.foreign_keys.items():
            model, name = place.split(".")
            pattern = rf"(?s)(class {model}\(models\.Model\):.*?)\n    {name} = models\.\w+\([^\n]*\)"
            key = f"models.ForeignKey({target!r}, models.DO_NOTHING, db_column={name!r}, null=True)"
            inspected, found = re.subn(pattern, rf"\1\n    {name.removesuffix('_id')} = {key}", inspected, count=1)
            assert found, place
        return inspected
