from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from django.db.models import F

from cleanup.exceptions import PointExpired
from cleanup.models import PreparedPreview, RemovedFolder, RollbackPoint, Run, SnapshotRow, SnapshotSchema
from cleanup.services import DatabaseCleanupService
from cleanup.services.results import PurgeReport
from cleanup.services.retention import history
from cleanup.services.retention import points as retention
from tests.support.trees import Tree, dump, tree

MESS = "kept:Loan@1/Docs@1(2), gone:Loan@2/Docs@2(3)"
LATER = datetime.now(UTC) + timedelta(days=1000)


def cleaned(database: str, text: str = MESS) -> Tree:
    """Make an application and clean it up."""
    made = tree(database, text)
    DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application)
    return made


def points(database: str, **conditions):
    return RollbackPoint.objects.using(database).filter(**conditions)


def verified(database: str) -> None:
    """Let a verification have passed since all points were written."""
    retention.mark_verified(using=database, application_ids=None, now=datetime.now(UTC))


def purge(database: str, *, now: datetime = LATER, preview: bool = False, **options) -> PurgeReport:
    return retention.purge(using=database, preview=preview, now=now, **options)


class TestPurge:
    def test_leaves_points_that_have_not_expired(self, database):
        cleaned(database)
        verified(database)
        assert purge(database, now=datetime.now(UTC)).points == 0
        assert points(database).get().status == "live"

    def test_removes_the_snapshot_rows_of_expired_points(self, database):
        cleaned(database)
        verified(database)
        purge(database)
        assert SnapshotRow.objects.using(database).count() == 0

    def test_keeps_the_points_as_history(self, database):
        cleaned(database)
        verified(database)
        purge(database)
        point = points(database).get()
        assert (point.status, point.ended_at, point.ended_reason) == ("purged", LATER, "expired")

    def test_takes_a_point_that_expires_at_this_very_moment(self, database):
        cleaned(database)
        verified(database)
        assert purge(database, now=points(database).get().expires_at).points == 1

    def test_tells_what_it_removed(self, database):
        cleaned(database)
        cleaned(database)
        verified(database)
        first, last = points(database).order_by("id")
        rows = SnapshotRow.objects.using(database)
        expected = PurgeReport(
            preview=False,
            points=2,
            applications=2,
            snapshot_rows=rows.count(),
            rows_described=sum(rows.values_list("row_count", flat=True)),
            kept_unverified=0,
            oldest=first.created_at,
            newest=last.created_at,
        )
        assert purge(database) == expected

    def test_makes_the_point_impossible_to_roll_back(self, database):
        cleaned(database)
        verified(database)
        purge(database)
        with pytest.raises(PointExpired):
            DatabaseCleanupService(using=database).rollback_cleanup(points(database).get().uuid)

    def test_leaves_the_mapped_tables_alone(self, database):
        cleaned(database)
        verified(database)
        before = dump(database)
        purge(database)
        assert dump(database) == before

    def test_keeps_the_way_from_a_removed_folder_to_its_survivor(self, database):
        made = cleaned(database)
        verified(database)
        purge(database)
        assert DatabaseCleanupService(using=database).resolve_folder(made["gone"]) == made["kept"]
        assert RemovedFolder.objects.using(database).count() == 2

    def test_does_nothing_the_second_time(self, database):
        cleaned(database)
        verified(database)
        purge(database)
        ended = points(database).get().ended_at
        assert purge(database, now=LATER + timedelta(days=1)).points == 0
        assert points(database).get().ended_at == ended

    def test_leaves_rolled_back_points_alone(self, database):
        cleaned(database)
        DatabaseCleanupService(using=database).rollback_cleanup(points(database).get().uuid)
        assert purge(database).points == 0
        assert SnapshotRow.objects.using(database).exists()

    def test_finds_nothing_in_an_empty_database(self, database):
        assert purge(database) == PurgeReport(
            preview=False,
            points=0,
            applications=0,
            snapshot_rows=0,
            rows_described=0,
            kept_unverified=0,
            oldest=None,
            newest=None,
        )


class TestPreview:
    def test_tells_what_a_purge_would_remove(self, database):
        cleaned(database)
        cleaned(database)
        points(database).filter(pk=points(database).first().pk).update(verified_at=F("created_at"))
        foreseen = purge(database, preview=True)
        assert replace(foreseen, preview=False) == purge(database)

    def test_writes_nothing(self, database):
        cleaned(database)
        verified(database)
        before = dump(database, own=True)
        purge(database, preview=True)
        assert dump(database, own=True) == before


class TestUnverifiedPoints:
    def test_are_kept_where_they_are_the_newest_of_their_application(self, database):
        cleaned(database)
        assert (purge(database).points, purge(database).kept_unverified) == (0, 1)
        assert SnapshotRow.objects.using(database).exists()

    def test_go_where_a_newer_one_is_kept(self, database):
        made = cleaned(database)
        tree(database, "Loan@3/Docs@3(1)", application=made.application)
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application)
        answer = purge(database)
        assert (answer.points, answer.kept_unverified) == (1, 1)
        assert [point.status for point in points(database).order_by("id")] == ["purged", "live"]

    def test_stay_when_the_purge_is_repeated(self, database):
        made = cleaned(database)
        tree(database, "Loan@3/Docs@3(1)", application=made.application)
        DatabaseCleanupService(using=database).consolidate_duplicate_folders(made.application)
        purge(database)
        assert purge(database, now=LATER + timedelta(seconds=1)).points == 0

    def test_go_where_they_are_asked_for(self, database):
        cleaned(database)
        answer = purge(database, include_unverified=True)
        assert (answer.points, answer.kept_unverified) == (1, 0)

    def test_are_counted_by_a_preview(self, database):
        cleaned(database)
        assert purge(database, preview=True).kept_unverified == 1


class TestSmallTransactions:
    def test_have_few_snapshot_rows(self, database, monkeypatch):
        for _ in range(5):
            cleaned(database)
        verified(database)
        most = SnapshotRow.objects.using(database).filter(point=points(database).first()).count()
        monkeypatch.setattr(retention, "ROWS_PER_TRANSACTION", 2 * most)
        monkeypatch.setattr(retention, "POINTS_PER_PAGE", 3)
        groups = []
        together = retention._purge_together
        monkeypatch.setattr(
            retention, "_purge_together", lambda q, group, **k: groups.append(len(group)) or together(q, group, **k)
        )
        assert purge(database).points == 5
        assert groups == [2, 1, 2]

    def test_hold_a_point_with_more_rows_as_a_whole(self, database, monkeypatch):
        cleaned(database)
        cleaned(database)
        verified(database)
        monkeypatch.setattr(retention, "ROWS_PER_TRANSACTION", 1)
        assert purge(database).points == 2
        assert SnapshotRow.objects.using(database).count() == 0

    def test_leave_whole_points_when_one_of_them_fails(self, database, monkeypatch):
        for _ in range(3):
            cleaned(database)
        verified(database)
        monkeypatch.setattr(retention, "ROWS_PER_TRANSACTION", 1)
        together = retention._purge_together
        calls = []

        def failing(purgeable, group, **options):
            calls.append(group)
            with transaction.atomic(using=database):
                done = together(purgeable, group, **options)
                if len(calls) == 2:
                    raise KeyboardInterrupt
            return done

        monkeypatch.setattr(retention, "_purge_together", failing)
        with pytest.raises(KeyboardInterrupt):
            purge(database)
        live = set(points(database, status="live").values_list("pk", flat=True))
        with_rows = set(SnapshotRow.objects.using(database).values_list("point", flat=True))
        assert (len(live), with_rows) == (2, live)

    def test_are_gone_on_with_by_the_next_purge(self, database, monkeypatch):
        for _ in range(3):
            cleaned(database)
        verified(database)
        first = points(database).order_by("id").first()
        retention._purge_together(points(database), [first.pk], using=database, now=LATER)
        assert purge(database, now=LATER + timedelta(seconds=1)).points == 2

    @pytest.mark.only("postgresql")
    def test_pass_over_a_point_that_is_being_rolled_back(self, database):
        cleaned(database)
        cleaned(database)
        verified(database)
        first = points(database).order_by("id").first()
        other = connections[database].copy()
        try:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                cursor.execute("SELECT FROM cleanup_rollbackpoint WHERE id = %s FOR UPDATE", [first.pk])
            assert purge(database).points == 1
        finally:
            other.rollback()
            other.close()
        first.refresh_from_db()
        assert first.status == "live"


class TestLayouts:
    OLD = datetime(2020, 1, 1, tzinfo=UTC)

    def unused(self, database: str) -> None:
        SnapshotSchema.objects.using(database).create(
            digest="0" * 64, format_version=1, document="{}", created_at=self.OLD
        )

    def digests(self, database: str) -> set[str]:
        return set(SnapshotSchema.objects.using(database).values_list("digest", flat=True))

    def test_go_where_no_point_was_written_under_them(self, database):
        self.unused(database)
        purge(database)
        assert self.digests(database) == set()

    def test_stay_where_a_point_was_written_under_them(self, database):
        cleaned(database)
        verified(database)
        before = self.digests(database)
        purge(database)
        assert self.digests(database) == before

    def test_stay_while_a_run_may_need_them(self, database):
        self.unused(database)
        Run.objects.using(database).create(
            kind="cleanup", correlation_id="a", started_how="shell", code_version="1", database_identity="x"
        )
        purge(database)
        assert self.digests(database) == {"0" * 64}

    def test_stay_while_they_are_young(self, database):
        SnapshotSchema.objects.using(database).create(digest="0" * 64, format_version=1, document="{}")
        purge(database, now=datetime.now(UTC))
        assert self.digests(database) == {"0" * 64}

    def test_stay_in_a_preview(self, database):
        self.unused(database)
        purge(database, preview=True)
        assert self.digests(database) == {"0" * 64}


class TestMarkVerified:
    def test_stamps_the_points_of_the_applications(self, database):
        made, other = cleaned(database), cleaned(database)
        now = datetime.now(UTC)
        assert retention.mark_verified(using=database, application_ids=[made.application], now=now) == 1
        assert points(database, application_key=made.application).get().verified_at == now
        assert points(database, application_key=other.application).get().verified_at is None

    def test_stamps_all_where_none_are_named(self, database):
        cleaned(database)
        cleaned(database)
        now = datetime.now(UTC)
        assert retention.mark_verified(using=database, application_ids=None, now=now) == 2

    def test_leaves_points_written_after_the_verification_began(self, database):
        began = datetime.now(UTC)
        cleaned(database)
        assert retention.mark_verified(using=database, application_ids=None, now=began) == 0

    def test_leaves_points_that_are_stamped(self, database):
        cleaned(database)
        now = datetime.now(UTC)
        retention.mark_verified(using=database, application_ids=None, now=now)
        retention.mark_verified(using=database, application_ids=None, now=now + timedelta(days=1))
        assert points(database).get().verified_at == now

    def test_leaves_points_that_are_over(self, database):
        cleaned(database)
        points(database).update(status="rolled_back")
        assert retention.mark_verified(using=database, application_ids=None, now=datetime.now(UTC)) == 0


class TestVerification:
    """A verification that passes makes the points before it fit to be purged."""

    def test_of_everything_verifies_every_point(self, database):
        cleaned(database)
        DatabaseCleanupService(using=database).verify_cleanup_integrity()
        assert purge(database).points == 1

    def test_of_one_application_verifies_its_points(self, database):
        made = cleaned(database)
        cleaned(database)
        DatabaseCleanupService(using=database).verify_cleanup_integrity(made.application)
        assert purge(database).points == 1

    def test_that_fails_verifies_none(self, database):
        cleaned(database)
        tree(database, "A, A")
        DatabaseCleanupService(using=database).verify_cleanup_integrity()
        assert purge(database).kept_unverified == 1


def test_previews_that_were_worked_out_are_kept_for_a_week(database):
    now, previews = datetime.now(UTC), PreparedPreview.objects.using(database)
    for days in (6, 8):
        previews.create(application_key=f"{days} days", requested_at=now - timedelta(days=days))
    history.purge(using=database, preview=True, now=now)
    assert previews.count() == 2
    history.purge(using=database, preview=False, now=now)
    assert previews.get().application_key == "6 days"
