"""What a preview says."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from cleanup.admin import preview_wording
from cleanup.services.results import Fate, FolderPreview, GroupPreview, Line, Obstacle, Preview, Reason


def folder(key: str, *, name: str = "", parent: str | None = None, **values) -> FolderPreview:
    defaults = {
        "created_at": None,
        "live": True,
        "fate": Fate.KEPT,
        "reasons": (),
        "into": None,
        "parent_after": parent,
        "files": 0,
        "files_after": 0,
        "linked_records": {},
        "differing_columns": (),
    }
    return FolderPreview(folder_id=key, name=name or key, parent_id=parent, **{**defaults, **values})


def merging(**values) -> GroupPreview:
    defaults = {
        "survivor_id": "1",
        "name": "Documents",
        "roots": False,
        "parent_id": "0",
        "removed": ("2", "3"),
        "files_moved": 14,
        "linked_records_moved": 0,
        "reason": Reason.OLDEST,
    }
    return GroupPreview(**{**defaults, **values})


class TestGroups:
    def told(self, **values) -> str:
        return preview_wording.group(merging(**values), rule=Reason.OLDEST)

    def test_of_one_name_become_one(self):
        assert self.told() == "3 folders become 1. 14 files move."

    def test_of_top_folders_say_so(self):
        assert self.told(roots=True, removed=("2",), files_moved=0) == "2 top folders become 1."

    def test_say_why_where_it_is_not_the_rule(self):
        told = self.told(reason=Reason.ALREADY_THERE, files_moved=1)
        because = "“Documents” stays, because it is the first one already in the right place."
        assert told == f"3 folders become 1. {because} 1 file moves."

    def test_show_what_cannot_be_seen(self):
        assert "“a\\u202eb” stays" in self.told(name="a\u202eb", reason=Reason.NEWEST)

    def test_without_a_name_are_said_to_have_none(self):
        assert "“(no name)” stays" in self.told(name="  ", reason=Reason.NEWEST)


class TestTotals:
    def told(self, *obstacles: str) -> str:
        found = Preview(
            application_id="a",
            plan_hash="",
            made_at=datetime(2026, 1, 1, tzinfo=UTC),
            obstacles=tuple(Obstacle(code, "") for code in obstacles),
            folders_removed=14,
            child_folders_merged=12,
            folders_moved=0,
            files_moved=0,
            references_moved={},
            rows_removed={},
            widening={},
            groups=(),
            folders=(),
            folders_left_out=34,
            before=(Line("1", 0),),
            after=(),
        )
        return preview_wording.totals(found, days=90)

    @pytest.mark.parametrize("obstacles", [(), ("held",)])
    def test_are_what_a_cleanup_would_do(self, obstacles):
        assert self.told(*obstacles).startswith("35 folders become 21. 14 duplicate folders will be merged")

    def test_promise_nothing_of_what_is_refused(self):
        told = self.told("held", "collision")
        assert told == (
            "A cleanup changes nothing here for now. Without what is in the way, 35 folders would become 21."
        )


class TestPaths:
    def path(self, depth: int) -> list[str]:
        chain = [folder(str(number), parent=str(number - 1) if number else None) for number in range(depth)]
        found = merging(survivor_id=str(depth - 1))
        return preview_wording.path(found, {one.folder_id: one for one in chain})

    def test_lead_from_the_top_to_the_folder(self):
        assert self.path(3) == ["0", "1", "2"]

    def test_leave_out_the_middle_of_a_deep_one(self):
        assert self.path(40) == ["0", "1", "…", "37", "38", "39"]

    def test_end_where_folders_lie_in_each_other(self):
        rings = {"1": folder("1", parent="2"), "2": folder("2", parent="1")}
        assert preview_wording.path(merging(), rings) == ["2", "1"]


class TestFolders:
    def told(self, found: FolderPreview, **others) -> str:
        return preview_wording.fate_before(found, others, rule=Reason.OLDEST)

    def test_are_not_explained_where_the_rule_says_it(self):
        assert self.told(folder("1", fate=Fate.SURVIVOR, reasons=(Reason.OLDEST,))) == ""

    def test_are_explained_where_it_is_otherwise(self):
        assert self.told(folder("1", fate=Fate.SURVIVOR, reasons=(Reason.FULLEST,))) == (
            "stays, because no other holds more"
        )

    def test_that_merge_name_the_other_one_if_it_has_another_name(self):
        gone = folder("1", name="docs", fate=Fate.MERGED, reasons=(Reason.SAME_NAME,), into="b")
        assert self.told(gone, b=folder("b", name="Docs")) == "merges into “Docs”"
        assert self.told(gone, b=folder("b", name="docs")) == ""

    def test_tell_what_they_gain(self):
        grown = folder("1", files=2, files_after=1207)
        assert preview_wording.gained(grown, merging=2) == ["3 → 1", "+1,205 files"]


class TestWidening:
    @pytest.mark.parametrize(
        ("by_table", "says"),
        [
            ({}, ""),
            ({"shares": 1}, "1 person or group would see files here that they cannot see now."),
            ({"shares": 2, "permissions": 3}, "5 people or groups would see files here that they cannot see now."),
        ],
    )
    def test_says_how_many_would_see_more(self, by_table, says):
        assert preview_wording.widening(SimpleNamespace(widening=by_table)) == says
