"""Checks of the tables that a run writes: privileges, row security, inheritance, triggers, indexes."""

from collections.abc import Iterator, Sequence

from cleanup import backends, conf
from cleanup.backends.catalogue import Table, TableName, Trigger
from cleanup.backends.query import quoted
from cleanup.backends.references import Reference
from cleanup.policies import TriggerPolicy
from cleanup.references.problem import Problem
from cleanup.references.survey import Survey


class TableChecks:
    """The checks of one database."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey

    def privilege(self) -> Iterator[Problem]:
        """Report tables that the current role may not read or write as a run and its undo must."""
        for table in self.survey.written_tables():
            changed = self.survey.changed_columns(table.name)
            needed = {"select", "update"} | (
                {"insert", "delete"} if self.survey.found.loses_rows(table.name) else set()
            )
            missing = {privilege for privilege in needed if privilege not in table.privileges}
            fixed = [column for column in sorted(changed) if not table.column(column).updatable]
            if fixed:
                missing.add("update")
            if missing:
                grants = ", ".join(privilege.upper() for privilege in sorted(missing))
                schema = (
                    ""
                    if table.privileges
                    else f"GRANT USAGE ON SCHEMA {quoted(table.name.schema)} TO {self.survey.role}; "
                )
                yield Problem(
                    "privilege",
                    str(table.name),
                    ", ".join(fixed or sorted(changed)),
                    f"The current role may not {' or '.join(sorted(missing))} on {table.name}. Grant it: "
                    f"{schema}GRANT {grants} ON {table.name.quoted} TO {self.survey.role};",
                )

    def row_security(self) -> Iterator[Problem]:
        """Report tables of which the current role might not see every row."""
        for table in self.survey.written_tables():
            if table.row_security:
                yield Problem(
                    "row_security",
                    str(table.name),
                    "",
                    f"Row level security of {table.name} binds the current role, which may not see every row. Work as "
                    f"the table's owner, or exempt the role: ALTER ROLE {self.survey.role} BYPASSRLS;",
                )

    def inheritance(self) -> Iterator[Problem]:
        """Report tables with children by plain inheritance, which no key of the parent covers."""
        for table in self.survey.written_tables():
            if table.inheritance_children:
                children = ", ".join(str(child) for child in table.inheritance_children)
                remedy = " ".join(
                    f"ALTER TABLE {child.quoted} NO INHERIT {table.name.quoted};"
                    for child in table.inheritance_children
                )
                yield Problem(
                    "inheritance",
                    str(table.name),
                    "",
                    f"{table.name} has inheritance children ({children}), whose rows no key of it covers. "
                    f"Detach them, or make them partitions: {remedy}",
                )

    def trigger(self) -> Iterator[Problem]:
        """Report triggers that would fire although the policy does not allow it, or cannot prevent it."""
        policy = conf.triggers()
        if policy == TriggerPolicy.FIRE:
            return
        bypassing = policy == TriggerPolicy.BYPASS and self.survey.catalogue.may_bypass_triggers()
        if (
            policy == TriggerPolicy.BYPASS
            and not bypassing
            and backends.database(using=self.survey.using).bypasses_triggers
        ):
            yield Problem(
                "privilege",
                str(self.survey.found.folders.name),
                "",
                f'CLEANUP_TRIGGERS is "bypass", and the current role may not do that. '
                f"GRANT SET ON PARAMETER session_replication_role TO {self.survey.role}; "
                f"(PostgreSQL 15 and newer; before, only a superuser may.)",
            )
            return
        for table in self.survey.written_tables():
            for trigger in table.triggers:
                if self._fires(trigger, table.name) and (trigger.always or not bypassing):
                    yield self._fired(trigger, table.name)

    def _fires(self, trigger: Trigger, table: TableName) -> bool:
        changed = self.survey.changed_columns(table)
        updates = "update" in trigger.events and changed and (not trigger.columns or trigger.columns & changed)
        return bool(updates or (self.survey.found.loses_rows(table) and trigger.events & {"insert", "delete"}))

    def _fired(self, trigger: Trigger, table: TableName) -> Problem:
        kind, _, rule = trigger.name.rpartition("rule ")
        if not backends.database(using=self.survey.using).bypasses_triggers:
            remedy = f"drop it during the run: DROP TRIGGER {quoted(trigger.name)};"
            policies = 'CLEANUP_TRIGGERS to "fire"'
        else:
            what = f"RULE {quoted(rule)}" if not kind and rule != trigger.name else f"TRIGGER {quoted(trigger.name)}"
            remedy = f"disable it during the run: ALTER TABLE {trigger.table.quoted} DISABLE {what};"
            policies = 'CLEANUP_TRIGGERS to "fire"' + ("" if trigger.always else ' or "bypass"')
        events = ", ".join(sorted(trigger.events))
        return Problem(
            "trigger",
            str(trigger.table),
            ", ".join(sorted(self.survey.changed_columns(table))),
            f"{trigger.name} of {trigger.table} would fire ({events}) and may change more than the cleanup can undo. "
            f"Set {policies}, or {remedy}",
        )

    def unindexed(self) -> Iterator[Problem]:
        """Report large tables in which every batch would have to read every row."""
        for reference in self.survey.found.references:
            table = self.survey.found.tables[reference.table]
            if table.estimated_rows > conf.large_table() and not _is_indexed(table, reference):
                yield self._without_index(table, str(reference), reference.columns)
        for one in self.survey.found.lists:
            table = self.survey.found.tables[one.table]
            if table.estimated_rows > conf.large_table() and one.column not in table.element_indexed_columns:
                yield self._without_index(table, str(one), (one.column,), method="USING gin ")

    def _without_index(self, table: Table, reference: str, columns: Sequence[str], *, method: str = "") -> Problem:
        listed = ", ".join(quoted(column) for column in columns)
        index = self.survey.index_name(table.name, "_".join(columns))
        # A partitioned table cannot be indexed concurrently; on SQLite nothing can.
        is_plain = table.kind == "table" and backends.database(using=self.survey.using).builds_concurrently
        return Problem(
            "unindexed",
            str(table.name),
            ", ".join(columns),
            f"{reference} has no index, and the table has about {table.estimated_rows} rows. CREATE INDEX "
            f"{'CONCURRENTLY ' if is_plain else ''}{index}ON {table.name.quoted} {method}({listed});",
        )


def _is_indexed(table: Table, reference: Reference) -> bool:
    if reference.condition is None:
        return bool(table.indexed_columns & set(reference.columns))
    (column,) = reference.columns
    pairs = [{column, kind} for kind in reference.condition.columns]
    return any(index[0] == column or set(index[:2]) in pairs for index in table.indexes)
