"""What callers in Python pass is taken at its word, or refused in the product's own words."""

import inspect
from collections.abc import Callable, Iterable

import pytest

from cleanup.exceptions import CleanupError, InvalidArgument, UsageError
from cleanup.models import Schedule
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from tests.support.trees import dump, tree

# Nothing of it comes to any database.
pytestmark = pytest.mark.only("sqlite")

#: Of each kind, what is near to it and is not it.
WRONG = {
    bool: ["yes", 1, None],
    int: [True, 2.5, "2"],
    str: [None, 7, b"x"],
    Iterable: ["abc", b"abc", 5],
    Callable: [3],
}


def kind_of(annotation: object) -> object:
    text = str(annotation)
    if "Callable" in text:
        return Callable
    if "Sequence" in text:
        return Iterable
    return next((kind for kind in (bool, int, str) if annotation in (kind, kind | None)), None)


def wrong_calls():
    """Yield every public method with each of its arguments in a wrong kind."""
    for service in (DatabaseCleanupService, AutomatedCleanupService):
        for name, verb in inspect.getmembers(service):
            if name.startswith("_") or not inspect.isfunction(verb):
                continue
            parameters = list(inspect.signature(verb).parameters.values())[1:]
            needed = {one.name: "full_cleanup" for one in parameters if one.default is one.empty and one.kind != 4}
            yield service, name, {**needed, "surely_unknown": 1}
            for one in parameters:
                optional = str(one.annotation).endswith("| None")
                for value in WRONG.get(kind_of(one.annotation), ()):
                    if not (value is None and optional):
                        yield service, name, {**needed, one.name: value}


class TestEveryMethod:
    def test_refuses_what_its_annotations_do_not_allow(self, database):
        calls = list(wrong_calls())
        accepted = []
        for service, name, arguments in calls:
            if (name, list(arguments)[-1]) in [("get_or_create_folder", "name"), ("update_schedule", "surely_unknown")]:
                continue  # judged by themselves: below, and in the tests of folders
            try:
                getattr(service(using=database), name)(**arguments)
            except InvalidArgument:
                continue
            except CleanupError as error:
                accepted.append((name, arguments, error))
                continue
            accepted.append((name, arguments, None))
        assert not accepted
        assert len(calls) > 100

    def test_names_what_it_takes(self, database):
        service = DatabaseCleanupService(using=database)
        with pytest.raises(InvalidArgument) as caught:
            service.purge(previw=True)
        assert str(caught.value) == "There is no argument previw; it takes preview."
        assert isinstance(caught.value, TypeError)

    def test_says_what_it_expects(self, database):
        service = DatabaseCleanupService(using=database)
        with pytest.raises(InvalidArgument, match=r"^max_applications must be a whole number or None, not True\.$"):
            service.cleanup_all_duplicate_folders(max_applications=True)
        with pytest.raises(InvalidArgument, match=r"^dry_run must be True or False, not 'yes'\.$"):
            service.cleanup_all_duplicate_folders("yes")
        with pytest.raises(InvalidArgument, match=r"^Missing a required argument: 'application_id'\.$"):
            service.hold()

    def test_refuses_numbers_that_no_database_holds(self, database):
        service = DatabaseCleanupService(using=database)
        with pytest.raises(UsageError, match="at most 2147483647"):
            service.cleanup_all_duplicate_folders(max_applications=2**31)

    def test_names_the_databases_that_there_are(self):
        with pytest.raises(UsageError, match="There is no database 'nowhere'"):
            DatabaseCleanupService(using="nowhere").status()

    def test_merges_nothing_where_it_refuses(self, database):
        tree(database, "Loan*2")
        before = dump(database, own=True)
        with pytest.raises(InvalidArgument):
            DatabaseCleanupService(using=database).cleanup_all_duplicate_folders(dryrun=True)
        assert dump(database, own=True) == before


class TestSchedules:
    @pytest.mark.parametrize(
        "changes",
        [
            {"max_applications": True},
            {"max_applications": 2.5},
            {"max_applications": "5"},
            {"max_applications": 2**31},
            {"enabled": 1},
            {"enabled": "yes"},
            {"enabled": None},
            {"hour": False},
            {"schedule_type": None},
            {"using": "default"},
            {"by": "me"},
            {"pk": "full_cleanup"},
            {"planned_at": None},
        ],
        ids=str,
    )
    def test_are_changed_by_nothing_else(self, database, changes):
        automated = AutomatedCleanupService(using=database)
        before = Schedule.objects.using(database).filter(pk="full_cleanup").values().get()
        with pytest.raises(UsageError):
            automated.update_schedule("full_cleanup", **changes)
        ((attribute, value),) = changes.items()
        with pytest.raises(UsageError):
            setattr(automated.schedules["full_cleanup"], attribute, value)
        assert Schedule.objects.using(database).filter(pk="full_cleanup").values().get() == before

    def test_have_a_name_that_stays(self, database):
        automated = AutomatedCleanupService(using=database)
        with pytest.raises(InvalidArgument):
            automated.update_schedule("full_cleanup", name="x")
        with pytest.raises(UsageError):
            automated.schedules["full_cleanup"].name = "x"

    def test_take_what_is_of_the_right_kind(self, database):
        changed = AutomatedCleanupService(using=database).update_schedule(
            "full_cleanup", enabled=True, schedule_type="weekly", weekday=Schedule.Weekday.MONDAY, max_applications=None
        )
        assert (changed.weekday, changed.max_applications) == (0, None)
