"""What people do between a cleanup and its rollback: it is never overwritten, and each refusal names its object.

Each event three ways, from the same rows: the rollback is asked for as it is; with conflicts skipped; and again after
the event was taken back.
"""

import pytest

from cleanup.exceptions import Refused, RollbackConflict
from cleanup.models import RollbackPoint
from tests.reliability import later_changes
from tests.reliability.later_changes import EVENTS, Event, Scene
from tests.support import databases
from tests.support.trees import dump

pytestmark = [pytest.mark.mapped_models("people write to the mapped tables"), pytest.mark.slow]

ON_ROWS = {name: event for name, event in EVENTS.items() if not event.changes_schema}
ON_SCHEMA = {name: event for name, event in EVENTS.items() if event.changes_schema and not event.only}
ON_POSTGRESQL = {name: event for name, event in EVENTS.items() if event.only == "postgresql"}


def of(known: dict[str, Event]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("event", known.values(), ids=known)


def mapped(database: str) -> dict[str, list[str]]:
    """Return all tables but our own, and but what guards' migrations record."""
    return {table: rows for table, rows in dump(database).items() if table != "django_migrations"}


def assert_refused(scene: Scene, event: Event, *, skip_conflicts: bool) -> None:
    """See that the rollback refuses, says why, names the object, and changes nothing."""
    before = dump(scene.database, own=True)
    with pytest.raises(Refused) as caught:
        scene.service.rollback_cleanup(scene.point, skip_conflicts=skip_conflicts)
    assert dump(scene.database, own=True) == before
    assert caught.value.code == event.refusal
    assert scene.made.keys.get(event.named, event.named) in str(caught.value)
    if isinstance(caught.value, RollbackConflict):
        labels = {key: label for label, key in scene.made.keys.items()}
        found = {(conflict.code, labels.get(conflict.key)) for conflict in caught.value.conflicts}
        assert found == set(event.conflicts), found


class LaterEvent:
    """The three ways; ``alias`` is a database that the event may change."""

    def test_is_kept_and_when_it_is_mended_all_is_restored(self, alias, event, subtests):
        scene = later_changes.laid(alias, event)
        was = mapped(alias)
        scene.point = scene.clean()
        assert mapped(alias) != was
        event.do(scene)
        rows = databases.rows(alias)
        with subtests.test("it is reported, or is not an obstacle"):
            self.told(scene, event)
        if not event.refusal:
            databases.wipe(alias, to=rows)
        with subtests.test("it is kept where conflicts are skipped"):
            self.skipped(scene, event)
        if event.can_be_skipped:
            databases.wipe(alias, to=rows)
        with subtests.test("it is mended, and then all is restored"):
            self.mended(scene, event)
            assert mapped(alias) == was

    def told(self, scene: Scene, event: Event) -> None:
        if event.refusal:
            assert_refused(scene, event, skip_conflicts=False)
        else:
            assert scene.service.rollback_cleanup(scene.point).exact
        assert event.kept(scene)

    def skipped(self, scene: Scene, event: Event) -> None:
        if event.can_be_skipped:
            result = scene.service.rollback_cleanup(scene.point, skip_conflicts=True)
            assert {conflict.code for conflict in result.conflicts} == {code for code, _ in event.conflicts}
            assert result.exact is not bool(event.conflicts)
        else:
            assert_refused(scene, event, skip_conflicts=True)
        assert event.kept(scene)

    def mended(self, scene: Scene, event: Event) -> None:
        if event.refusal:  # mended before; otherwise taken back after
            event.mend(scene)
        scene.service.rollback_cleanup(scene.point)
        if not event.refusal:
            event.mend(scene)
        assert RollbackPoint.objects.using(scene.database).get(uuid=scene.point).exact


@of(ON_ROWS)
class TestDeed(LaterEvent):
    @pytest.fixture
    def alias(self, database) -> str:
        return database


@of(ON_SCHEMA)
class TestChangeOfTheSchema(LaterEvent):
    @pytest.fixture
    def alias(self, scratch_database) -> str:
        return scratch_database


@of(ON_POSTGRESQL)
@pytest.mark.only("postgresql")
class TestChangeOfTheSchemaOfPostgres(LaterEvent):
    @pytest.fixture
    def alias(self, scratch_database) -> str:
        return scratch_database


def test_there_are_enough_events():
    assert len(EVENTS) >= 20
