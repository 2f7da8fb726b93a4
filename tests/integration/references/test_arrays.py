"""Arrays of folder keys: re-pointed element by element, journaled, undone, verified."""

import json

import pytest

from cleanup import exceptions
from cleanup.models import RollbackPoint
from cleanup.references import discover
from cleanup.services import DatabaseCleanupService
from cleanup.services.integrity import verification
from cleanup.services.merging.apply import Merger
from cleanup.services.runs.late_arrivals import LateArrivals
from tests.support.model_roles import Folder
from tests.support.trees import dump, execute, fetch, key_type, raw, spellings, tree

pytestmark = pytest.mark.only("postgresql")


class TestArrays:
    @pytest.fixture(params=["key", "text"])
    def kind(self, request, scratch_database, settings) -> str:
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        kind = key_type(scratch_database) if request.param == "key" else "text"
        execute(scratch_database, f"CREATE TABLE prefs (id integer PRIMARY KEY, watched {kind}[], what text)")
        return kind

    @pytest.fixture
    def made(self, scratch_database, kind):
        return tree(scratch_database, "top:Loan/{docs:Docs, mail:Mail}, second:Loan/{again:Docs, photos:Photos}")

    @pytest.fixture
    def service(self, scratch_database) -> DatabaseCleanupService:
        return DatabaseCleanupService(using=scratch_database)

    def add(self, database: str, kind: str, number: int, keys: list, *, form: str = "{}", what: str = "folder") -> None:
        array = [None if key is None else raw(database, key) for key in keys]
        value = form.format(f"%s::text[]::{kind}[]")
        execute(database, f"INSERT INTO prefs VALUES (%s, {value}, %s)", number, array, what)

    def watched(self, database: str) -> dict[int, list]:
        return dict(fetch(database, "SELECT id, watched::text[] FROM prefs ORDER BY id"))

    def test_keep_their_order_and_every_element(self, scratch_database, kind, made, service):
        self.add(scratch_database, kind, 1, [made["mail"], made["again"], None, made["photos"]])
        self.add(scratch_database, kind, 2, [made["second"], made["top"], made["docs"], made["again"]])
        self.add(scratch_database, kind, 3, [made["top"]])
        self.add(scratch_database, kind, 4, [])
        (expected,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        result = service.consolidate_duplicate_folders(made.application)
        assert self.watched(scratch_database) == {
            1: [made["mail"], made["docs"], None, made["photos"]],
            2: [made["top"], made["top"], made["docs"], made["docs"]],
            3: [made["top"]],
            4: [],
        }
        assert result.details["moved"]["public.prefs"] == 2
        assert expected.details["moved"] == result.details["moved"]

    def test_are_undone_exactly(self, scratch_database, kind, made, service):
        self.add(scratch_database, kind, 1, [made["again"], made["again"], None])
        execute(scratch_database, "INSERT INTO prefs (id) VALUES (2)")
        keys = f"{{{made['second']},{made['mail']}}}"
        execute(scratch_database, f"INSERT INTO prefs VALUES (3, '[7:8]={keys}'::{kind}[])")
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        assert dump(scratch_database)["prefs"] != before["prefs"]
        result = service.rollback_cleanup(point)
        assert dump(scratch_database) == before
        assert (result.exact, result.references_restored) == (True, 1 + 2)

    @pytest.mark.parametrize("kind", ["key"], indirect=True)
    def test_are_proved_to_name_no_removed_folder(self, scratch_database, kind, made, service, monkeypatch):
        """Were they forgotten, the proof would undo the merge."""
        self.add(scratch_database, kind, 1, [made["again"]])
        monkeypatch.setattr(Merger, "_move_elements", lambda *_: [])
        before = dump(scratch_database)
        with pytest.raises(exceptions.ProofFailed, match="prefs"):
            service.consolidate_duplicate_folders(made.application)
        assert dump(scratch_database) == before

    @pytest.mark.parametrize("kind", ["text"], indirect=True)
    def test_of_two_applications_are_undone_apart(self, scratch_database, kind, made, service):
        other = tree(scratch_database, "top:Case, second:Case")
        self.add(scratch_database, kind, 1, [made["second"], other["second"]])
        before = dump(scratch_database)
        run = service.cleanup_all_duplicate_folders()
        assert self.watched(scratch_database) == {1: [made["top"], other["top"]]}
        points = RollbackPoint.objects.using(scratch_database)
        service.rollback_cleanup(points.get(application_key=made.application).uuid)
        assert self.watched(scratch_database) == {1: [made["second"], other["top"]]}
        service.rollback_cleanup(points.get(application_key=other.application).uuid)
        assert dump(scratch_database) == before
        assert run.successful_cleanups == 2

    @pytest.mark.parametrize("kind", ["key"], indirect=True)
    def test_may_be_added_to_before_an_undo(self, scratch_database, kind, made, service):
        self.add(scratch_database, kind, 1, [made["again"]])
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        mail = raw(scratch_database, made["mail"])
        execute(scratch_database, f"UPDATE prefs SET watched = watched || %s::text::{kind}", mail)
        assert service.rollback_cleanup(point).exact
        assert self.watched(scratch_database) == {1: [made["again"], made["mail"]]}

    def test_that_were_changed_are_a_conflict(self, scratch_database, kind, made, service):
        self.add(scratch_database, kind, 1, [made["again"], made["second"]])
        self.add(scratch_database, kind, 2, [made["second"]])
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        mail = raw(scratch_database, made["mail"])
        execute(scratch_database, f"UPDATE prefs SET watched[1] = %s::text::{kind} WHERE id = 1", mail)
        execute(scratch_database, "DELETE FROM prefs WHERE id = 2")
        with pytest.raises(exceptions.RollbackConflict) as caught:
            service.rollback_cleanup(point)
        conflicts = [(one.code, one.key, one.column) for one in caught.value.conflicts]
        assert sorted(conflicts) == [("changed", "1", "watched"), ("row_missing", "2", "")]
        service.rollback_cleanup(point, skip_conflicts=True)
        assert self.watched(scratch_database) == {1: [made["mail"], made["second"]]}

    @pytest.mark.parametrize("kind", ["text"], indirect=True)
    def test_whose_equal_elements_became_one_are_a_conflict(self, scratch_database, kind, made, service):
        self.add(scratch_database, kind, 1, [made["second"], made["top"], made["mail"]])
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        execute(scratch_database, "UPDATE prefs SET watched = watched[2:]")
        with pytest.raises(exceptions.RollbackConflict) as caught:
            service.rollback_cleanup(point)
        assert [(one.code, one.key, one.column) for one in caught.value.conflicts] == [("changed", "1", "watched")]
        assert self.watched(scratch_database) == {1: [made["top"], made["mail"]]}

    @pytest.mark.parametrize("kind", ["text"], indirect=True)
    def test_are_left_alone_where_the_condition_does_not_hold(self, scratch_database, settings, kind, made, service):
        settings.CLEANUP_EXTRA_REFERENCES = {"prefs.watched": {"what": "folder"}}
        self.add(scratch_database, kind, 1, [made["second"]])
        self.add(scratch_database, kind, 2, [made["second"]], what="file")
        service.consolidate_duplicate_folders(made.application)
        assert self.watched(scratch_database) == {1: [made["top"]], 2: [made["second"]]}
        assert not [one for one in verification.verify(using=scratch_database).findings if "prefs" in one.table]

    def test_of_two_dimensions_keep_them(self, scratch_database, kind, made, service):
        second, mail = made["second"], made["mail"]
        rows = f"[2:3][5:6]={{{{{second},NULL}},{{{mail},{second}}}}}"
        execute(scratch_database, f"INSERT INTO prefs VALUES (1, '{rows}'::{kind}[])")
        before = dump(scratch_database)
        result = service.consolidate_duplicate_folders(made.application)
        after = [row.replace(second, made["top"]) for row in before["prefs"]]
        assert dump(scratch_database)["prefs"] == after != before["prefs"]
        service.rollback_cleanup(result.rollback_id)
        assert dump(scratch_database) == before

    def test_that_name_no_folder_are_found(self, scratch_database, kind, made, service):
        service.consolidate_duplicate_folders(made.application)
        self.add(scratch_database, kind, 1, [made["mail"], made["second"]])
        (finding,) = [one for one in verification.verify(using=scratch_database).findings if "prefs" in one.table]
        assert (finding.code, finding.object_key, finding.detail["folder"]) == ("late_arrival", "1", made["second"])
        assert finding.application_id == made.application
        assert fetch(scratch_database, finding.hint.rstrip(";"))[0][0] == 1
        (own,) = verification.verify(using=scratch_database, application_id=made.application).findings
        assert own.code == "late_arrival"

    @pytest.mark.parametrize("kind", ["key"], indirect=True)
    def test_that_name_no_folder_are_found_in_the_application_that_it_was_removed_from(
        self, scratch_database, kind, made, service
    ):
        other = tree(scratch_database, "Loan")
        service.consolidate_duplicate_folders(made.application)
        self.add(scratch_database, kind, 1, [made["second"]])
        assert not verification.verify(using=scratch_database, application_id=other.application).findings

    def test_that_arrive_late_are_moved(self, scratch_database, kind, made, service):
        before = dump(scratch_database)
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        self.add(scratch_database, kind, 1, [made["mail"], made["again"]])
        moved = LateArrivals(using=scratch_database, references=discover(using=scratch_database)).sweep()
        assert moved["public.prefs"] == 1
        assert self.watched(scratch_database) == {1: [made["mail"], made["docs"]]}
        service.rollback_cleanup(point)
        assert self.watched(scratch_database) == {1: [made["mail"], made["again"]]}
        assert before["prefs"] == []


@pytest.mark.mapped_models("keys that are numbers are refused in JSON")
class TestJson:
    @pytest.fixture
    def made(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        execute(scratch_database, "CREATE TABLE prefs (id integer PRIMARY KEY, watched jsonb)")
        return tree(scratch_database, "top:Loan/{docs:Docs, mail:Mail}, second:Loan/{again:Docs, photos:Photos}")

    @pytest.fixture
    def service(self, scratch_database) -> DatabaseCleanupService:
        return DatabaseCleanupService(using=scratch_database)

    def add(self, database: str, number: int, value: object) -> None:
        execute(database, "INSERT INTO prefs VALUES (%s, %s::jsonb)", number, json.dumps(value))

    def watched(self, database: str) -> dict[int, object]:
        return {number: json.loads(value) for number, value in fetch(database, "SELECT id, watched::text FROM prefs")}

    @pytest.mark.parametrize("deeper", [{"folders": []}, [{}], [[]], "key"])
    def test_that_is_more_than_arrays_of_texts_is_refused(self, scratch_database, made, service, deeper):
        self.add(scratch_database, 1, deeper)
        (problem,) = service.preflight()["problems"]
        assert (problem["code"], problem["column"]) == ("key_storage", "watched")

    def test_keeps_all_but_the_texts_that_name_removed_folders(self, scratch_database, made, service):
        again = made["again"]
        self.add(scratch_database, 1, [made["mail"], again, None, 1.50, again.upper()])
        self.add(scratch_database, 2, None)
        before = dump(scratch_database)
        (expected,) = service.cleanup_all_duplicate_folders(dry_run=True).results
        result = service.consolidate_duplicate_folders(made.application)
        docs = made["docs"]
        assert self.watched(scratch_database) == {
            1: [made["mail"], docs, None, 1.50, docs.upper()],
            2: None,
        }
        assert expected.details["moved"] == result.details["moved"]
        assert result.details["moved"]["public.prefs"] == 1
        assert service.rollback_cleanup(result.rollback_id).exact
        assert dump(scratch_database) == before

    def test_that_was_changed_is_a_conflict(self, scratch_database, made, service):
        self.add(scratch_database, 1, [made["again"], made["second"]])
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        execute(scratch_database, "UPDATE prefs SET watched = jsonb_set(watched, '{0}', '\"else\"') || '[7]'")
        with pytest.raises(exceptions.RollbackConflict) as caught:
            service.rollback_cleanup(point)
        assert [(one.code, one.key, one.column) for one in caught.value.conflicts] == [("changed", "1", "watched")]
        service.rollback_cleanup(point, skip_conflicts=True)
        assert self.watched(scratch_database) == {1: ["else", made["second"], 7]}

    def test_whose_equal_elements_became_one_is_a_conflict(self, scratch_database, made, service):
        self.add(scratch_database, 1, [made["second"], made["top"]])
        point = service.consolidate_duplicate_folders(made.application).rollback_id
        execute(scratch_database, "UPDATE prefs SET watched = watched - 0")
        with pytest.raises(exceptions.RollbackConflict):
            service.rollback_cleanup(point)
        assert self.watched(scratch_database) == {1: [made["top"]]}

    def test_that_names_no_folder_is_found_and_moved_late(self, scratch_database, made, service):
        service.consolidate_duplicate_folders(made.application)
        self.add(scratch_database, 1, [made["mail"], made["second"]])
        (finding,) = [one for one in verification.verify(using=scratch_database).findings if "prefs" in one.table]
        assert (finding.code, finding.object_key) == ("late_arrival", "1")
        assert fetch(scratch_database, finding.hint.rstrip(";"))[0][0] == 1
        LateArrivals(using=scratch_database, references=discover(using=scratch_database)).sweep()
        assert self.watched(scratch_database) == {1: [made["mail"], made["top"]]}


class TestSetting:
    def test_with_an_array_is_not_suspected_any_more(self, scratch_database, settings):
        execute(
            scratch_database, f"CREATE TABLE prefs (id integer PRIMARY KEY, folder_ids {key_type(scratch_database)}[])"
        )
        (problem,) = discover(using=scratch_database).problems
        assert 'Add "prefs.folder_ids" to CLEANUP_EXTRA_REFERENCES' in problem.message.replace("public.", "")
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.folder_ids"]
        assert discover(using=scratch_database).problems == ()

    def test_with_an_array_of_something_else_is_refused(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.days"]
        execute(scratch_database, "CREATE TABLE prefs (id integer PRIMARY KEY, days date[])")
        (problem,) = discover(using=scratch_database).problems
        assert problem.code == "misconfigured"

    def test_with_an_array_in_a_large_table_needs_an_index(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        settings.CLEANUP_LARGE_TABLE = 100
        kind = key_type(scratch_database)
        execute(scratch_database, f"CREATE TABLE prefs (id integer PRIMARY KEY, watched {kind}[])")
        execute(scratch_database, "INSERT INTO prefs SELECT n FROM generate_series(1, 300) n")
        execute(scratch_database, "ANALYZE prefs")
        (problem,) = discover(using=scratch_database).problems
        assert problem.code == "unindexed"
        execute(scratch_database, problem.message.partition("rows. ")[2].replace("CONCURRENTLY ", ""))
        assert discover(using=scratch_database).problems == ()

    def test_with_json_is_refused_in_a_sentence(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        execute(scratch_database, "CREATE TABLE prefs (id integer PRIMARY KEY, watched json)")
        (problem,) = discover(using=scratch_database).problems
        assert "of its type json no element can be changed exactly" in problem.message

    def test_with_an_array_in_a_rule_is_refused(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        kind = key_type(scratch_database)
        execute(scratch_database, f"CREATE TABLE prefs (id integer PRIMARY KEY, watched {kind}[] UNIQUE)")
        (problem,) = discover(using=scratch_database).problems
        assert (problem.code, problem.column) == ("misconfigured", "watched")

    def test_with_an_array_in_a_table_without_a_key_is_refused(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        execute(scratch_database, f"CREATE TABLE prefs (watched {key_type(scratch_database)}[])")
        (problem,) = discover(using=scratch_database).problems
        assert (problem.code, problem.column) == ("unkeyed", "watched")

    def test_spells_keys_in_texts_in_any_way(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        execute(scratch_database, "CREATE TABLE prefs (id integer PRIMARY KEY, watched text[])")
        made = tree(scratch_database, "top:Loan, second:Loan")
        ways = list(spellings(made["second"]))
        execute(scratch_database, "INSERT INTO prefs VALUES (1, %s)", ways)
        DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
        assert fetch(scratch_database, "SELECT watched FROM prefs") == [(list(spellings(made["top"])),)]
        assert Folder.objects.using(scratch_database).count() == 1

    def test_finds_once_what_is_spelled_in_any_way(self, scratch_database, settings):
        settings.CLEANUP_EXTRA_REFERENCES = ["prefs.watched"]
        execute(scratch_database, "CREATE TABLE prefs (id integer PRIMARY KEY, watched text[])")
        made = tree(scratch_database, "Loan, second:Loan")
        DatabaseCleanupService(using=scratch_database).consolidate_duplicate_folders(made.application)
        execute(scratch_database, "INSERT INTO prefs VALUES (1, %s)", list(spellings(made["second"])))
        (finding,) = [one for one in verification.verify(using=scratch_database).findings if "prefs" in one.table]
        assert (finding.code, finding.detail["folder"]) == ("late_arrival", made["second"])
