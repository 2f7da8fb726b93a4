import pytest

from cleanup.backends.catalogue import Column, TableName
from cleanup.references.soft_deletion import (
    holds_states,
    lists_deleted,
    marks_deleted,
    setting_by_values,
    state_warning,
    switch_warning,
    switches,
)
from cleanup.references.words import words_of

MARKS = """
    deleted_at deletedAt DELETED_AT deletedat isDeleted is_deleted is-deleted IsTrash trashedAt removed_on removedOn
    inTrash in_trash intrash dateDeleted datedeleted date_removed deleted deletedBy deleted_by deletedByUserId archived
    is_archived archivedAt archive_date recycled in_bin in_recycle_bin recycle_bin tombstone purged discarded_at
    delete_flag DelFlag delflag is_del deletion_date marked_for_deletion softDeleted soft_delete deleted_by_cascade
    not_deleted bDeleted folder_deleted_at fol_deleted trashed_from binned_at
    voidedOn is_void obsolete wiped_at deactivatedAt disposed_at Geloescht gelöscht_am imPapierkorb
"""
NO_MARKS = """
    undeletable delete_protected removed_count deletable can_be_deleted deleted_count trash_count archive_path archiver
    archive archive_id bin bin_id name created_at is_removable auto_delete allow_delete on_delete remove_after_days
    deleted_children recycling delegated bind_at binary delta
"""


class TestWords:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("deletedAt", ("deleted", "at")),
            ("IS_IN-Trash", ("is", "in", "trash")),
            ("HTMLPath2", ("html", "path2")),
            ("größeAlt", ("größe", "alt")),
        ],
    )
    def test_are_found_in_any_spelling(self, name, words):
        assert words_of(name) == words


class TestNames:
    @pytest.mark.parametrize("column", MARKS.split())
    def test_that_mark_deleted_folders(self, column):
        assert marks_deleted(column, table="folders")

    @pytest.mark.parametrize("column", NO_MARKS.split())
    def test_that_do_not(self, column):
        assert not marks_deleted(column, table="folders")

    def test_of_an_archive_do_where_it_is_yes_or_no(self):
        assert marks_deleted("archive", flag=True)

    @pytest.mark.parametrize(
        "table",
        ["trash", "oc_trash", "deletedCollections", "folder_trash", "recycle_bin", "trashed_items", "RecycleBin"],
    )
    def test_of_tables_that_list_deleted_folders(self, table):
        assert lists_deleted(table, table="oc_collections", folders={"collection"})

    @pytest.mark.parametrize("table", ["folder_settings", "deletion_log", "archive", "collections", "removed_words_of"])
    def test_of_tables_that_do_not(self, table):
        assert not lists_deleted(table, table="oc_collections", folders={"collection"})

    @pytest.mark.parametrize("column", ["status", "rowState", "lifecycle_stage", "STATE"])
    def test_of_states(self, column):
        assert holds_states(column)

    @pytest.mark.parametrize("column", ["statistics", "estate", "name", "stated_by"])
    def test_of_no_states(self, column):
        assert not holds_states(column)


class TestSetting:
    @pytest.mark.parametrize(
        ("column", "values", "setting"),
        [
            (Column("deleted", "integer", not_null=True), {"0": 3}, '{"deleted": 0}'),
            (Column("deleted", "smallint", not_null=True), {"1": 8, "0": 3}, '{"deleted": 0}'),
            (Column("deleted", "integer", not_null=True), {}, '{"deleted": 0}'),
            (Column("deleted", "tinyint(1)"), {None: 3, "1": 1}, '{"deleted": None}'),
            (Column("deleted", "boolean", not_null=True), {"false": 1}, '{"deleted": False}'),
            (Column("deleted", "bool"), {None: 4, "true": 1}, '{"deleted": False}'),
            (Column("deleted", "boolean"), {None: 4}, '{"deleted": None}'),
            (Column("not_deleted", "boolean", not_null=True), {"true": 4}, '{"not_deleted": True}'),
            (Column("deletedAt", "timestamp with time zone"), {}, '{"deletedAt": None}'),
            (Column("deleted_at", "timestamp"), {"2020-01-01": 9, None: 1}, '{"deleted_at": None}'),
            (Column("deleted", "character(1)", not_null=True), {"N": 5, "Y": 1}, '{"deleted": "N"}'),
            (Column("deleted", "text", not_null=True), {"": 5, "x": 1}, '{"deleted": ""}'),
            (
                Column("deleted_on", "date", not_null=True),
                {"9999-12-31": 7, "2020-01-01": 1},
                '{"deleted_on": "9999-12-31"}',
            ),
        ],
    )
    def test_fits_type_and_values(self, column, values, setting):
        assert f"CLEANUP_FOLDER_LIVE = {setting}, or CLEANUP_FOLDER_LIVE = None" in setting_by_values(column, values)

    def test_names_the_values_where_they_do_not_say_it(self):
        assert 'it holds "A" (5), "B" (2)' in setting_by_values(
            Column("deleted", "text", not_null=True), {"A": 5, "B": 2}
        )

    def test_never_gives_null_to_a_column_that_takes_none(self):
        assert '": None}' not in setting_by_values(Column("deleted_on", "date", not_null=True), {})


class TestStates:
    def warned(self, values: dict, labels: tuple = ()) -> list[str]:
        column = Column("status", "text")
        return [warning.message for warning in state_warning(TableName("", "folders"), column, values, labels)]

    @pytest.mark.parametrize(
        "value", ["TRASHED", "archived", "deleted", "SOFT_DELETED", "inTrash", "Removed", "D", "inactive"]
    )
    def test_that_say_deleted_are_warned_of(self, value):
        (message,) = self.warned({"ACTIVE": 5, value: 2})
        assert 'holds "ACTIVE" (5), ' in message
        assert 'CLEANUP_FOLDER_LIVE = {"status": "ACTIVE"}' in message

    @pytest.mark.parametrize("value", ["open", "1", "undeletable", "archive pending review", "", None])
    def test_that_do_not_are_not(self, value):
        assert self.warned({"ACTIVE": 5, value: 2}) == []

    def test_of_a_type_count_where_none_occurs(self):
        (message,) = self.warned({}, ("live", "trashed"))
        assert 'CLEANUP_FOLDER_LIVE = {"status": "live"}' in message


class TestSwitches:
    def warned(self, column: Column, values: dict) -> list[str]:
        return [warning.message for warning in switch_warning(TableName("", "folders"), column, values)]

    @pytest.mark.parametrize("column", ["is_active", "isActive", "ENABLED", "hidden_at", "not_valid", "inactive"])
    def test_are_known_by_name(self, column):
        assert switches(column)

    @pytest.mark.parametrize("column", ["name", "activity", "active_version", "valid_until", "current_owner", "date"])
    def test_are_no_other_columns(self, column):
        assert not switches(column)

    @pytest.mark.parametrize(
        ("column", "values", "setting"),
        [
            (Column("is_active", "boolean"), {"true": 5, "false": 2}, '{"is_active": True}'),
            (Column("is_active", "bool"), {"1": 5, "0": 2}, '{"is_active": True}'),
            (Column("active", "smallint"), {"1": 5, None: 2}, '{"active": 1}'),
            (Column("enabled", "character(1)"), {"Y": 5, "N": 2}, '{"enabled": "Y"}'),
            (Column("hidden", "boolean"), {"false": 5, None: 9, "true": 1}, '{"hidden": None}'),
            (Column("not_valid", "boolean"), {"false": 5, "true": 1}, '{"not_valid": False}'),
            (Column("valid_to", "date"), {None: 5, "2024-01-01": 1}, '{"valid_to": None}'),
            (Column("activeTo", "date"), {"9999-12-31": 5, "2024-01-01": 1}, '{"activeTo": "9999-12-31"}'),
            (Column("effective_end", "timestamp"), {"infinity": 5, "2024-01-01": 1}, '{"effective_end": "infinity"}'),
            (Column("disabled_at", "timestamp"), {None: 5, "2024-01-01": 1, "2024-01-02": 1}, '{"disabled_at": None}'),
        ],
    )
    def test_that_differ_between_folders_are_warned_of(self, column, values, setting):
        (message,) = self.warned(column, values)
        assert f"CLEANUP_FOLDER_LIVE = {setting}, or" in message

    @pytest.mark.parametrize(
        "values", [{"true": 5}, {"false": 5}, {}, {None: 5}, {"1": 2, "2": 3, "0": 1}, {"2024-01-01": 3, "x": 1}]
    )
    def test_are_silent_otherwise(self, values):
        assert self.warned(Column("is_active", "text"), values) == []
