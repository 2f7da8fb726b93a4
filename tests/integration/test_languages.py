"""Who reads which language: people their browser's; programs, logs and rows English, whatever LANGUAGE_CODE is."""

import logging

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core import mail
from django.db.migrations import Migration
from django.urls import reverse
from django.utils import translation

from cleanup import groups, stored_texts
from cleanup.models import Alert, FreezeSwitch, Run
from cleanup.permissions import Permission
from cleanup.queries import SetAside
from cleanup.services import DatabaseCleanupService
from cleanup.services.alerting import alerts
from tests.integration.admin.test_pages import OneDatabase, address, application_with_duplicates, person, text
from tests.integration.alerting.test_alerts import schedule, stored_run, stored_verification, switch
from tests.integration.api.conftest import UNLIMITED
from tests.integration.management.test_command import run_command
from tests.support.trees import execute, tree

GERMAN = {"headers": {"accept-language": "de-DE,de;q=0.9,en;q=0.5"}}


@pytest.fixture(autouse=True)
def using(database, settings) -> str:
    settings.DATABASE_ROUTERS = [OneDatabase(database)]
    settings.CLEANUP_DATABASE = database
    settings.CLEANUP_API_RATES = UNLIMITED
    return database


@pytest.fixture
def german(settings):
    """Have everything German that can be: the site's language, and that of this thread."""
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        yield


class TestPeople:
    def test_read_their_browsers_language(self):
        page = person(*Permission).get(address("overview"), **GERMAN)
        assert (page["Content-Language"], "Ordnerbereinigung" in text(page)) == ("de", True)

    def test_read_the_sites_language_if_theirs_is_not_there(self, settings):
        settings.LANGUAGE_CODE = "de"
        page = person(*Permission).get(address("overview"), headers={"accept-language": "fr"})
        assert page["Content-Language"] == "de"

    def test_type_a_number_as_it_is_shown(self, using, monkeypatch):
        many = SetAside(affected=1200, held=0, large=0, refused=0)
        monkeypatch.setattr("cleanup.services.merging.confirmation.why_none", lambda **_: many)
        page = person(*Permission).post(address("clean_up_everything"), {"total": "1.201"}, **GERMAN)
        assert "1.200 Anträge mit Dubletten werden bereinigt, soeben gezählt." in text(page)
        assert person(*Permission).post(address("clean_up_everything"), {"total": "1.200"}, **GERMAN).status_code == 302

    def test_get_mails_in_the_sites_language(self, using, settings):
        settings.LANGUAGE_CODE, settings.CLEANUP_ALERT_EMAILS = "de", ["oncall@example.com"]
        stored_verification(using, missing_parent=3)
        with translation.override("en"):
            alerts.evaluate(using=using)
            alerts.deliver(using=using)
        (sent,) = mail.outbox
        assert sent.subject == "[cleanup] Warnung: Die letzte Datenbankprüfung hat 3 Fehler gefunden."
        assert "Was zu tun ist:" in sent.body

    def test_find_groups_named_in_the_sites_language(self, german, using):
        groups.create(apps.get_app_config("cleanup"), using=using, plan=[(_introduced(), False)])
        assert Group.objects.filter(name="Ordnerbereinigung: nur ansehen").exists()


def _introduced() -> Migration:
    app_label, name = groups.INTRODUCED_BY
    return Migration(name, app_label)


class TestPrograms:
    @pytest.mark.parametrize("arguments", [("--dry-run",), ("--status",), ("--preflight",), ("--dry-run", "--json")])
    def test_are_told_the_same_on_the_command_line(self, using, request, arguments):
        application_with_duplicates(using)
        english = run_command(using, *arguments)
        request.getfixturevalue("german")
        assert _without_figures(run_command(using, *arguments)) == _without_figures(english)

    def test_are_told_the_same_by_the_api(self, using):
        client = person(*Permission)
        for path in ("runs/1", "runs?status=nonsense", "schema?format=json", "nowhere"):
            english, german = (client.get(f"/api/cleanup/{path}", **more) for more in ({}, GERMAN))
            assert german.content == english.content
            assert german["Content-Language"] == "en"


def _without_figures(done) -> tuple[int, list[str]]:
    """Return the words of a command's output: how long it took is another number each time."""
    return done.status, [
        "".join(" " if one.isdigit() else one for one in line).strip() for line in done.out.split("\n")
    ]


class TestRows:
    def test_are_english(self, german, using, caplog):
        caplog.set_level(logging.INFO, logger="cleanup")
        application_with_duplicates(using)
        service = DatabaseCleanupService(using=using)
        run = Run.objects.get(pk=service.cleanup_all_duplicate_folders(started_by="anna").run_id)
        stored_verification(using, missing_parent=3)
        alerts.evaluate(using=using)
        logged = [record.getMessage() for record in caplog.records]
        assert Alert.objects.get().message == "The latest verification of the database found 3 errors."
        assert "alert verification_errors: The latest verification of the database found 3 errors." in logged
        assert run.get_status_display() == "abgeschlossen"

    def test_of_the_admins_log_are_english_and_shown_in_german(self, using):
        boss = person(*Permission)
        boss.post(address("freeze"), {"reason": ""}, **GERMAN)
        assert LogEntry.objects.get().change_message == "Stopped everything."
        assert FreezeSwitch.objects.get().reason == "stopped in the admin"
        overview = text(boss.get(address("overview"), **GERMAN))
        history = text(boss.get(reverse("admin:cleanup_freezeswitch_history", args=[1]), **GERMAN))
        assert ("Grund: in der Verwaltung angehalten" in overview, "Alles angehalten." in history) == (True, True)


class TestStoredTexts:
    def test_of_alerts_are_shown_in_german(self, german, using):
        """Whatever opens an alert, people read it in their language."""
        stored_verification(using, missing_parent=1)
        switch(using, started=True)
        schedule(using, "full_cleanup")
        execute(using, "UPDATE cleanup_schedule SET next_run = '2020-01-01 00:00:00+00:00' WHERE name = 'full_cleanup'")
        stored_run(using, status="stopped", status_reason="11 of the last 20 applications failed")
        stored_run(using, status="paused", kind="rollback", paused_by_error=True, status_reason="aborted")
        messages = [alert.message for alert in alerts.evaluate(using=using)]
        assert len(messages) >= 4
        assert [message for message in messages if stored_texts.shown(message) == message] == []

    @pytest.mark.parametrize(
        ("stored", "shown"),
        [
            ("paused by anna", "angehalten von anna"),
            ("paused by anna: lunch", "angehalten von anna: lunch"),
            ("cancelled by request", "auf Wunsch abgebrochen"),
            ("frozen: stopped in the admin", "alles angehalten: in der Verwaltung angehalten"),
            ("1 of the last 1,200 applications failed", "1 der letzten 1.200 Anträge ist fehlgeschlagen"),
            ("Everything is stopped.", "Alles ist angehalten."),
            ("running", "running"),
            ("", ""),
        ],
    )
    def test_are_recognised(self, german, stored, shown):
        assert stored_texts.shown(stored) == shown

    def test_are_those_that_are_stored(self, german, using):
        """A run is paused for a reason that is recognised."""
        tree(using, "Loan, Loan")
        service = DatabaseCleanupService(using=using)
        run = stored_run(using, status="running")
        service.pause(run.pk, by="anna", reason="lunch")
        run.refresh_from_db()
        assert (run.status_reason, stored_texts.shown(run.status_reason)) == (
            "paused by anna: lunch",
            "angehalten von anna: lunch",
        )

    def test_count_in_english_where_they_are_stored(self, german):
        message = stored_texts.in_english(stored_texts.cleanup_started, 1200)
        assert message == "Started a cleanup of 1,200 applications."
        assert stored_texts.logged(message) == "Bereinigung von 1.200 Anträgen gestartet."
