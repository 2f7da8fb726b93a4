"""The scenario: what real databases hang on a folder. A feature is a model or a table, its rows, and how to see them.

Every feature has an application with two trees ``Loan/Borrower``, one older than the other; its rows hang on the older
"Borrower", on the younger, or on both. PEERS_FEATURE names the one feature whose models exist (without it, all do): a
tool that breaks on the mere presence of a relation is then seen to break on this one alone.
"""

# ruff: noqa: DJ008 - no one looks at these rows

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models

CHOSEN = os.environ.get("PEERS_FEATURE")


class Case(models.Model):
    """Owns sections."""


class Section(models.Model):
    """A folder."""

    title = models.CharField(max_length=100)
    inside = models.ForeignKey("self", models.CASCADE, null=True)
    case = models.ForeignKey(Case, models.CASCADE)
    opened = models.DateTimeField()


class Document(models.Model):
    """A file."""

    heading = models.CharField(max_length=100)
    section = models.ForeignKey(Section, models.CASCADE, null=True)
    case = models.ForeignKey(Case, models.CASCADE)


def _exists(feature: str) -> bool:
    return CHOSEN in (None, feature)


if _exists("hidden manager"):

    class CurrentManager(models.Manager):
        """Shows what is not archived, as many a default manager does."""

        def get_queryset(self):
            return super().get_queryset().filter(archived=False)

    class Letter(models.Model):
        """Archived letters are not shown."""

        section = models.ForeignKey(Section, models.CASCADE)
        archived = models.BooleanField(default=False)
        objects = CurrentManager()


if _exists('related_name="+"'):

    class Shortcut(models.Model):
        """Without a way back from the section."""

        section = models.ForeignKey(Section, models.CASCADE, related_name="+")


if _exists("one-to-one"):

    class Cover(models.Model):
        """At most one a section."""

        section = models.OneToOneField(Section, models.CASCADE)


if _exists("many-to-many"):

    class Label(models.Model):
        """By an automatic table."""

        sections = models.ManyToManyField(Section, related_name="labels")


if _exists("generic key"):

    class Remark(models.Model):
        """About anything."""

        content_type = models.ForeignKey(ContentType, models.CASCADE)
        object_id = models.BigIntegerField(db_index=True)
        subject = GenericForeignKey("content_type", "object_id")


if _exists("unique conflict"):

    class Membership(models.Model):
        """What a person may do with a section: once for each person."""

        section = models.ForeignKey(Section, models.CASCADE)
        person = models.CharField(max_length=20)
        may = models.CharField(max_length=20)

        class Meta:
            constraints = [models.UniqueConstraint(fields=["section", "person"], name="peers_one_membership")]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """The two sections of a feature's application that become one, the older first."""

    case: Case
    older: Section
    younger: Section


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that hangs on folders."""

    name: str
    fill: Callable[[ValueChange], None]
    seen: str
    """SELECT (what a row says, title of the section that it hangs on) of all its rows."""


def _fill_hidden(pair: ValueChange) -> None:
    Letter.objects.create(section=pair.older)
    Letter.objects.create(section=pair.younger)
    Letter.objects.create(section=pair.younger, archived=True)


def _fill_shortcuts(pair: ValueChange) -> None:
    Shortcut.objects.create(section=pair.older)
    Shortcut.objects.create(section=pair.younger)


def _fill_covers(pair: ValueChange) -> None:
    Cover.objects.create(section=pair.younger)


def _fill_labels(pair: ValueChange) -> None:
    Label.objects.create().sections.add(pair.older, pair.younger)
    Label.objects.create().sections.add(pair.younger)


def _fill_remarks(pair: ValueChange) -> None:
    Remark.objects.create(subject=pair.older)
    Remark.objects.create(subject=pair.younger)


def _fill_memberships(pair: ValueChange) -> None:
    Membership.objects.create(section=pair.older, person="Ann", may="read")
    Membership.objects.create(section=pair.younger, person="Ann", may="write")
    Membership.objects.create(section=pair.younger, person="Ben", may="read")


def _fill_nested(pair: ValueChange) -> None:
    for section in (pair.older, pair.younger):
        for _ in range(2):  # side by side below each of the two, which only then become one
            year = _section("2026", section, pair.case)
            Document.objects.create(heading="payslip", section=_section("May", year, pair.case), case=pair.case)


def _fill_unknown(pair: ValueChange) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE legacy_scan (id serial PRIMARY KEY,"
            " section_id bigint NOT NULL REFERENCES peers_section ON DELETE CASCADE)"
        )
        cursor.execute("INSERT INTO legacy_scan (section_id) VALUES (%s), (%s)", [pair.older.pk, pair.younger.pk])


def _hung(table: str, says: str = "r.id::text", column: str = "section_id") -> str:
    return f"SELECT {says}, s.title FROM {table} AS r LEFT JOIN peers_section AS s ON s.id = r.{column}"


FEATURES = (
    Feature("hidden manager", _fill_hidden, _hung("peers_letter")),
    Feature('related_name="+"', _fill_shortcuts, _hung("peers_shortcut")),
    Feature("one-to-one", _fill_covers, _hung("peers_cover")),
    Feature("many-to-many", _fill_labels, f"{_hung('peers_label_sections', 'r.label_id::text')} GROUP BY 1, 2"),
    Feature("generic key", _fill_remarks, _hung("peers_remark", column="object_id")),
    Feature("unique conflict", _fill_memberships, _hung("peers_membership", "r.person || ' may ' || r.may")),
    Feature("nested same-named folders", _fill_nested, _hung("peers_document")),
    Feature("table that only the database knows", _fill_unknown, _hung("legacy_scan")),
)

_minutes = iter(range(1_000_000))


def _section(title: str, inside: Section | None, case: Case) -> Section:
    opened = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=next(_minutes))
    return Section.objects.create(title=title, inside=inside, case=case, opened=opened)


def fill(features: tuple[Feature, ...]) -> None:
    """Make each feature's application and rows."""
    for feature in features:
        case = Case.objects.create()
        older, younger = (_section("Borrower", _section("Loan", None, case), case) for _ in range(2))
        feature.fill(ValueChange(case, older, younger))


def fill_for_speed(cases: int) -> int:
    """Make applications of three trees of ten folders with four files each; return how many folders are to go."""
    for _ in range(cases):
        case = Case.objects.create()
        for _ in range(3):
            root = _section("Loan", None, case)
            folders = [_section(f"Folder {number}", root, case) for number in range(9)]
            Document.objects.bulk_create(
                Document(heading="scan", section=folder, case=case) for folder in (root, *folders) for _ in range(4)
            )
    return cases * 20


def seen(feature: Feature) -> list[tuple[str, str | None]]:
    """Return what there is of a feature: what each row says, and on which title it hangs."""
    with connection.cursor() as cursor:
        cursor.execute(f"{feature.seen} ORDER BY 1, 2")
        return cursor.fetchall()


def duplicates() -> int:
    """Count the folders beyond the first of their name and place."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) - count(DISTINCT (case_id, coalesce(inside_id, 0), title)) FROM peers_section",
        )
        return cursor.fetchone()[0]
