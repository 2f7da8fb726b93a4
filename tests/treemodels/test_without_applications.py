"""Trees that nothing owns: the root folders of one name, with all that is below them, are a unit of their own."""

import html
import random
import re
from collections import Counter
from contextlib import nullcontext
from io import StringIO
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.db.models import NOT_PROVIDED
from django.urls import resolve, reverse

from cleanup.exceptions import (
    Guarded,
    NoStructures,
    NotRepairable,
    RollbackConflict,
    Superseded,
    UnknownObject,
    WouldDetach,
)
from cleanup.models import Heartbeat, Hold, Result, Schedule, ScheduledRun
from cleanup.queries import applications_of
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from cleanup.services.automation import heartbeat
from cleanup.services.background import clusters
from cleanup.services.folders import get_or_create_folder_structure
from cleanup.services.folders.applications import find, labels
from cleanup.services.folders.history import folder_history
from cleanup.services.merging.preview import preview
from cleanup.services.operations.stored_checks import check_and_store
from tests.support import undo_scripts
from tests.support.deliveries import deliver, make_due
from tests.support.trees import dump, execute, unchecked
from tests.treemodels.models import Entry, Item, Placement, Topic


def topics(database: str, text: str) -> None:
    """Make topics from ``key name parent``, parted by commas."""
    rows = [entry.split() for entry in text.split(",")]
    with unchecked(database):
        Topic.objects.using(database).bulk_create(
            Topic(pk=int(key), heading=name, above_id=int(above[0]) if above else None) for key, name, *above in rows
        )


def drawn(database: str) -> set[str]:
    """Return each topic as its key and the path that leads to it."""
    found = Topic.objects.using(database).values_list("pk", "heading", "above_id")
    rows = {key: (name, above) for key, name, above in found}

    def path(key: int) -> str:
        name, above = rows[key]
        return f"{path(above)}/{name}" if above is not None else name

    return {f"{key} {path(key)}" for key in rows}


def service(database: str) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=database)


MESS = "1 A, 2 A, 3 B, 4 x 1, 5 x 2, 6 y 2, 7 deep 5, 8 t 3, 9 t 3, 10 in 9, 11 solo, 12 A 11"


class TestCleanup:
    def test_merges_roots_of_one_name_and_what_is_below(self, database):
        topics(database, MESS)
        report = service(database).cleanup_all_duplicate_folders()
        assert {result.application_id: result.folders_removed for result in report.results} == {"1": 2, "3": 1}
        assert drawn(database) == {
            "1 A", "4 A/x", "6 A/y", "7 A/x/deep", "3 B", "8 B/t", "10 B/t/in", "11 solo", "12 solo/A",
        }  # fmt: skip

    def test_is_what_the_dry_run_announces_and_comes_undone(self, database):
        topics(database, MESS)
        Entry.objects.using(database).create(title="e", topic_id=5)
        was = dump(database)
        announced = service(database).cleanup_all_duplicate_folders(dry_run=True)
        assert dump(database) == was
        report = service(database).cleanup_all_duplicate_folders()
        assert [(r.application_id, r.details) for r in announced.results] == [
            (r.application_id, r.details) for r in report.results
        ]
        service(database).rollback_cleanup(report.run_id)
        assert dump(database) == was

    def test_leaves_alone_what_no_root_leads_to(self, database):
        topics(database, "1 A, 2 A, 5 lost 99, 6 x 5, 7 x 5, 20 ring 21, 21 ring 20")
        service(database).cleanup_all_duplicate_folders()
        assert set(Topic.objects.using(database).values_list("pk", flat=True)) == {1, 5, 6, 7, 20, 21}

    def test_tells_names_by_their_bytes(self, database):
        topics(database, "1 Docs, 2 docs, 3 DOCS, 4 docs")
        service(database).cleanup_all_duplicate_folders()
        assert set(Topic.objects.using(database).values_list("pk", flat=True)) == {1, 2, 3}

    def test_takes_one_tree_by_its_oldest_root(self, database):
        topics(database, MESS)
        result = service(database).consolidate_duplicate_folders("3")
        assert (result.status, result.folders_removed) == (Result.Status.COMPLETED, 1)
        assert Topic.objects.using(database).filter(pk=2).exists()

    def test_knows_no_tree_by_another_folder(self, database, subtests):
        topics(database, MESS)
        for key in ("2", "4", "12", "99"):
            with subtests.test(key), pytest.raises(UnknownObject):
                service(database).consolidate_duplicate_folders(key)

    def test_leaves_held_trees_alone(self, database):
        topics(database, MESS)
        Hold.objects.using(database).create(application_key="1")
        report = service(database).cleanup_all_duplicate_folders()
        assert {r.application_id: r.status for r in report.results} == {"1": "held", "3": "completed"}

    def test_sets_large_trees_aside(self, database, settings):
        settings.CLEANUP_LARGE_APPLICATION = 3
        topics(database, MESS)
        report = service(database).cleanup_all_duplicate_folders()
        assert {r.application_id: r.status for r in report.results} == {"1": "skipped", "3": "skipped"}


class TestVerification:
    def codes(self, database) -> dict[str, int]:
        counts = service(database).verify_cleanup_integrity()["counts"]
        return {code: number for code, number in counts.items() if number and code != "guards_missing"}

    def test_finds_duplicates_before_and_none_after(self, database):
        topics(database, MESS)
        assert self.codes(database) == {"several_roots": 1, "same_named_siblings": 1}
        service(database).cleanup_all_duplicate_folders()
        assert self.codes(database) == {}

    def test_finds_what_no_root_leads_to(self, database):
        topics(database, "5 lost 99, 20 ring 21, 21 ring 20")
        assert self.codes(database) == {"missing_parent": 1, "cycle": 2, "no_root_folder": 1}

    def test_finds_rows_that_name_no_folder(self, database):
        topics(database, "1 A")
        with unchecked(database):
            Entry.objects.using(database).create(title="e", topic_id=99)
        assert self.codes(database) == {"dangling_reference": 1}

    def test_of_one_tree_looks_at_no_other(self, database):
        topics(database, MESS)
        counts = service(database).verify_cleanup_integrity("3")["counts"]
        assert (counts.get("several_roots", 0), counts["same_named_siblings"]) == (0, 1)


class TestPoints:
    def test_taken_by_hand_tell_what_differs(self, database):
        topics(database, "1 A, 2 A, 3 B, 4 x 1")
        was = dump(database)
        point = service(database).create_rollback_point("1")
        service(database).cleanup_all_duplicate_folders()
        service(database).rollback_cleanup(point)
        assert dump(database) == was


class TestUndo:
    def test_refuses_to_leave_a_folder_without_a_root(self, database):
        topics(database, "1 A, 2 p 1, 3 p 1, 4 x 3")
        report = service(database).cleanup_all_duplicate_folders()
        Topic.objects.using(database).filter(pk=2).update(above_id=None)
        Topic.objects.using(database).filter(pk=1).update(above_id=4)
        assert drawn(database) == {"2 p", "4 p/x", "1 p/x/A"}
        was = dump(database)
        with pytest.raises(WouldDetach):  # 3 would be in 1, 4 in 3, and 1 is in 4 now
            service(database).rollback_cleanup(report.results[0].rollback_id)
        assert dump(database) == was

    def test_leaves_what_people_moved_to_another_tree(self, database):
        topics(database, "1 A, 2 A, 3 x 2, 4 B")
        report = service(database).cleanup_all_duplicate_folders()
        Topic.objects.using(database).filter(pk=3).update(above_id=4)
        with pytest.raises(RollbackConflict):
            service(database).rollback_cleanup(report.results[0].rollback_id)
        service(database).rollback_cleanup(report.results[0].rollback_id, skip_conflicts=True)
        assert drawn(database) == {"1 A", "2 A", "3 B/x", "4 B"}

    def test_puts_the_tree_on_hold(self, database):
        topics(database, MESS)
        report = service(database).cleanup_all_duplicate_folders()
        service(database).rollback_cleanup(report.run_id)
        assert set(Hold.objects.using(database).values_list("application_key", flat=True)) == {"1", "3"}
        assert service(database).cleanup_all_duplicate_folders().total_folders_removed == 0

    def test_is_refused_while_a_later_merge_stands(self, database):
        topics(database, "1 A, 2 A")
        first = service(database).cleanup_all_duplicate_folders().results[0].rollback_id
        topics(database, "3 A")
        service(database).cleanup_all_duplicate_folders()
        with pytest.raises(Superseded):
            service(database).rollback_cleanup(first)


class TestOtherSettings:
    def test_of_the_survivor_are_consistent_although_a_tree_gets_another_key(self, database, settings):
        settings.CLEANUP_SURVIVOR = "newest"
        topics(database, MESS)
        was = dump(database)
        first = service(database).cleanup_all_duplicate_folders().results[0]
        assert (first.application_id, first.folders_removed) == ("1", 2)
        assert {"2 A", "4 A/x"} <= drawn(database) or {"2 A", "5 A/x"} <= drawn(database)
        assert service(database).verify_cleanup_integrity()["verification_passed"]
        topics(database, "30 A")
        second = service(database).consolidate_duplicate_folders("2")
        with pytest.raises(Superseded):
            service(database).rollback_cleanup(first.rollback_id)
        service(database).rollback_cleanup(second.rollback_id)
        Topic.objects.using(database).filter(pk=30).delete()
        service(database).rollback_cleanup(first.rollback_id)
        assert [result.status for result in service(database).cleanup_all_duplicate_folders().results] == ["held"]
        others = {table: rows for table, rows in dump(database).items() if table != "library_topics"}
        assert others == {table: rows for table, rows in was.items() if table != "library_topics"}

    def test_of_marked_roots_hold_for_trees(self, database, settings):
        settings.CLEANUP_ROOT_PARENT = "self"
        topics(database, MESS)
        execute(database, "UPDATE library_topics SET above_id = id WHERE above_id IS NULL")
        was = dump(database)
        announced = service(database).cleanup_all_duplicate_folders(dry_run=True)
        report = service(database).cleanup_all_duplicate_folders()
        assert [r.details for r in announced.results] == [r.details for r in report.results]
        assert {result.application_id: result.folders_removed for result in report.results} == {"1": 2, "3": 1}
        assert service(database).verify_cleanup_integrity()["verification_passed"]
        service(database).rollback_cleanup(report.run_id)
        assert dump(database) == was


class TestGuards:
    def put(self, database) -> None:
        call_command("migrate", "cleanup_guards", database=database, verbosity=0)

    @pytest.mark.parametrize("text", ["10 A", "10 A 1"])
    def test_forbid_a_second_root_and_a_second_child_of_one_name(self, scratch_database, text):
        self.put(scratch_database)
        topics(scratch_database, "1 A, 2 B, 3 A 1, 4 A 2")
        with pytest.raises(IntegrityError):
            topics(scratch_database, text)

    def test_are_refused_where_there_are_duplicates(self, scratch_database):
        topics(scratch_database, MESS)
        with pytest.raises(CommandError, match="--cleanup"):
            self.put(scratch_database)

    def test_speak_of_trees_and_folders(self, scratch_database):
        topics(scratch_database, "1 A, 2 A, 3 B, 4 x 3, 5 x 3")
        messages = [one for one in run_checks(databases=[scratch_database]) if one.id == "cleanup_guards.W001"]
        told = "\n".join(one.msg for one in messages)
        assert "1 tree has several root folders (1)." in told
        assert "1 folder has same-named folders in it (3)." in told
        assert "application has" not in told

    def test_let_an_undo_bring_copies(self, scratch_database):
        topics(scratch_database, MESS)
        report = service(scratch_database).cleanup_all_duplicate_folders()
        self.put(scratch_database)
        assert "guards_missing" not in {
            code for code, number in service(scratch_database).verify_cleanup_integrity()["counts"].items() if number
        }
        with pytest.raises(Guarded):
            service(scratch_database).rollback_cleanup(report.results[0].rollback_id)
        service(scratch_database).rollback_cleanup(report.results[0].rollback_id, as_copies=True)
        assert "2 A/A (restored)" in drawn(scratch_database)


class TestNames:
    def test_label_trees_by_their_root(self, database):
        topics(database, MESS)
        assert labels(using=database, application_ids=["1", "3"]) == {"1": "A", "3": "B"}
        assert find(using=database, text="sol") == ["11"]

    def test_of_folders_lead_to_their_tree(self, database):
        topics(database, MESS)
        assert applications_of(using=database, folders=["7", "10", "2"]) == {"7": "1", "10": "3", "2": "1"}
        service(database).cleanup_all_duplicate_folders()
        (event,) = folder_history(using=database, text="9").events
        assert (event.name, event.survivor_id) == ("t", "8")

    def test_preflight_says_yes(self, database):
        topics(database, MESS)
        report = service(database).preflight()
        assert (report["ok"], report["problems"]) == (True, [])

    @pytest.mark.parametrize(("option", "code"), [("--check", 1), ("--dry-run", 0), ("--verify", 1), ("--status", 0)])
    def test_the_command_speaks_of_them(self, database, option, code):
        topics(database, MESS)
        with pytest.raises(SystemExit) if code else nullcontext() as ended:
            call_command("database_cleanup", option, database=database, stdout=StringIO(), stderr=StringIO())
        assert not code or ended.value.code == code

    def test_no_check_asks_for_values_of_folders_that_are_never_made(self, database, monkeypatch):
        monkeypatch.setattr(Topic._meta.get_field("heading"), "blank", False)
        monkeypatch.setattr(Topic._meta.get_field("icon"), "db_default", NOT_PROVIDED)
        assert "cleanup.W003" not in {message.id for message in run_checks()}

    def test_structures_need_an_application(self, database):
        with pytest.raises(NoStructures):
            get_or_create_folder_structure(application_id="1", using=database)


@pytest.mark.parametrize("seed", range(6))
def test_random_forests_keep_every_row_in_its_place_and_come_undone(database, seed):
    rng = random.Random(seed)
    made: list[int] = []
    rows = []
    for key in rng.sample(range(1, 200), rng.randint(2, 40)):
        above = rng.choice(made) if made and rng.random() < 0.75 else None
        rows.append(Topic(pk=key, heading=rng.choice("ABC"), above_id=above))
        made.append(key)
    Topic.objects.using(database).bulk_create(rows)
    for number in range(rng.randint(0, 30)):
        Entry.objects.using(database).create(title=str(number), topic_id=rng.choice(made))
    for _ in range(rng.randint(0, 30)):
        item = Item.objects.using(database).create(title="i")
        Placement.objects.using(database).create(topic_id=rng.choice(made), item=item)
    was, places = dump(database), _places(database)
    report = service(database).cleanup_all_duplicate_folders()
    assert _places(database) == places
    siblings = Counter(Topic.objects.using(database).values_list("above_id", "heading"))
    assert all(number == 1 for number in siblings.values())
    assert service(database).verify_cleanup_integrity()["verification_passed"]
    if report.total_folders_removed:
        service(database).rollback_cleanup(report.run_id)
    assert dump(database) == was


def _places(database: str) -> Counter:
    """Return where each entry and item stands: the names that lead to it."""
    paths = dict(line.split(" ", 1) for line in drawn(database))
    entries = Entry.objects.using(database).values_list("title", "topic_id")
    items = Placement.objects.using(database).values_list("item_id", "topic_id")
    return Counter((row, paths[str(topic)]) for row, topic in [*entries, *items])


class TestPreflight:
    def test_warns_of_what_trees_do_not_have(self, scratch_database, settings):
        settings.CLEANUP_SURVIVOR = "fullest"
        settings.CLEANUP_LARGE_TABLE = 2
        topics(scratch_database, "1 A, 2 B, 3 C")
        warnings = {
            warning["code"]: warning["message"] for warning in service(scratch_database).preflight()["warnings"]
        }
        assert "renamed_trees" in warnings
        text = warnings["unindexed_names"]
        execute(scratch_database, text[text.index("CREATE INDEX") :])
        assert "unindexed_names" not in {w["code"] for w in service(scratch_database).preflight()["warnings"]}

    @pytest.mark.only("postgresql")  # where columns of a view have keys
    def test_names_a_problem_of_the_folder_table_once(self, scratch_database):
        for statement in (
            "ALTER TABLE library_topics RENAME TO kept_topics",
            "CREATE VIEW library_topics AS SELECT * FROM kept_topics",
        ):
            execute(scratch_database, statement)
        problems = service(scratch_database).preflight()["problems"]
        of_kind = [problem["message"] for problem in problems if problem["code"] == "view"]
        assert len(of_kind) == 1
        assert "CLEANUP_FOLDER_MODEL" in of_kind[0]


def kind_of(page: str) -> tuple[str, tuple[str, ...]]:
    """Return the route of a page, and the names of what is asked for: two of each are looked at."""
    parts = urlsplit(page)
    return resolve(parts.path).view_name, tuple(sorted({name for name, _ in parse_qsl(parts.query)}))


class TestPages:
    @pytest.fixture
    def signed_in(self, client, database, settings):
        settings.CLEANUP_DATABASE = database
        settings.DATABASE_ROUTERS = ["tests.integration.api.routing.Everything"]
        client.force_login(User.objects.create_superuser("root"))
        return client

    @pytest.fixture
    def cleaned(self, database):
        topics(database, MESS)
        report = service(database).cleanup_all_duplicate_folders()
        service(database).rollback_cleanup(report.results[1].rollback_id)
        topics(database, "30 A")
        service(database).check()
        return report

    def test_of_the_admin_all_answer(self, signed_in, cleaned):
        seen, waiting, times = set(), [reverse("admin:app_list", args=["cleanup"])], Counter()
        while waiting:
            page = waiting.pop()
            kind = kind_of(page)
            if page in seen or times[kind] == 2:
                continue
            seen.add(page)
            times[kind] += 1
            answer = signed_in.get(page, follow=True)
            assert answer.status_code == 200, page
            if answer.streaming:  # what is handed out as a file, which is closed once it has been read
                assert answer.getvalue()
            elif answer["Content-Type"].startswith("text/html"):
                found = re.findall(r'href="(/admin/cleanup/[^"#]*)"', answer.content.decode())
                waiting += [html.unescape(link) for link in found]
        assert len(seen) > 20

    def test_of_the_api_speak_of_trees(self, signed_in, database, cleaned):
        checked = signed_in.post("/api/cleanup/check", content_type="application/json").json()
        assert [found["application_id"] for found in checked["duplicate_applications"]] == ["1", "3"]
        done = signed_in.post("/api/cleanup/cleanup?dry_run=true", content_type="application/json").json()
        assert [result["application_id"] for result in done["results"]] == ["1", "3"]
        for path in ("status", "runs", "results", "rollback-points", "holds", "findings"):
            assert signed_in.get(f"/api/cleanup/{path}").status_code == 200, path

    def test_of_a_tree_show_its_plan(self, signed_in, database):
        topics(database, MESS)
        found = preview(using=database, application_id="1")
        assert {folder.folder_id for folder in found.folders} == {"1", "2", "4", "5", "6", "7"}


class TestOtherVerbs:
    """What works on applications works on trees, by the key of their oldest root."""

    @pytest.fixture
    def queue(self, monkeypatch):
        kept = []
        monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: kept.append((task, arguments)))
        return kept

    def test_an_undo_is_exported_as_a_script(self, scratch_database):
        topics(scratch_database, MESS)
        was = {table: rows for table, rows in dump(scratch_database).items() if table.startswith("library_")}
        report = service(scratch_database).cleanup_all_duplicate_folders()
        undo_scripts.run(scratch_database, undo_scripts.export(scratch_database, report.run_id))
        now = {table: rows for table, rows in dump(scratch_database).items() if table.startswith("library_")}
        assert now == was

    def test_metrics_count_them(self, database):
        topics(database, MESS)
        check_and_store(using=database)
        call_command("cleanup_metrics", database=database, stdout=(out := StringIO()), stderr=StringIO())
        assert "cleanup_duplicate_applications 2.0" in out.getvalue()

    def test_a_schedule_cleans_them_and_what_is_unusual_waits(self, database, settings, queue):
        Heartbeat.objects.using(database).create(cluster="elsewhere:1", host="elsewhere")
        automated = AutomatedCleanupService(using=database)
        automated.start_automated_service(started_by="ann")
        automated.update_schedule(Schedule.Name.FULL_CLEANUP, dry_run_first=False)
        topics(database, "1 A, 2 A")
        self.due(database, queue)
        assert drawn(database) == {"1 A"}
        settings.CLEANUP_SURVIVOR = "newest"
        topics(database, "3 A, 4 B, 5 B")
        waiting = self.due(database, queue)
        assert (waiting.status, drawn(database)) == ("waiting", {"1 A", "3 A", "4 B", "5 B"})
        automated.approve_scheduled_run(waiting.pk, approved_by="ann")
        deliver(queue)
        assert drawn(database) == {"3 A", "5 B"}

    def due(self, database, queue) -> ScheduledRun:
        queue.clear()
        make_due(database, Schedule.Name.FULL_CLEANUP)
        heartbeat.heartbeat(using=database)
        deliver(queue)
        return ScheduledRun.objects.using(database).filter(schedule=Schedule.Name.FULL_CLEANUP).latest("id")

    def test_a_repair_says_what_it_takes(self, database, subtests):
        topics(database, "5 lost 99")
        for code in ("missing_parent", "late_arrival", "names_alike"):
            with subtests.test(code), pytest.raises(NotRepairable, match="every folder names its application"):
                service(database).repair(code)
