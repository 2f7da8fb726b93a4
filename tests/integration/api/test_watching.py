"""What monitoring systems ask: by the API's own tokens, in its form, of the database that it works on."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from cleanup.models import Alert, Run
from cleanup.permissions import Permission

# The doors are the same on both.
pytestmark = pytest.mark.only("sqlite")

PATHS = ("metrics", "health")


class TestTokensOfTheAPI:
    def test_open_the_metrics(self, make_caller):
        answer = make_caller(Permission.VIEW).get("metrics")
        assert (answer.status_code, b"cleanup_success_ratio" in answer.content) == (200, True)

    def test_are_told_how_things_are(self, make_caller):
        answer = make_caller(Permission.VIEW).get("health")
        assert (answer.status_code, answer.json()["database"], answer.json()["overdue"]) == (200, "ok", [])

    def test_tell_nothing_without_the_permission_to_look(self, make_caller):
        answer = make_caller(Permission.CHECK).get("health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_need_the_permission_to_look(self, make_caller):
        answer = make_caller(Permission.CHECK).get("metrics")
        assert (answer.status_code, answer.json()["permission"]) == (403, "cleanup.view")


class TestRefusals:
    @pytest.mark.parametrize("header", ["", "Bearer wrong", "Bearer ", "Basic cm9vdDpyb290"])
    def test_are_problems_that_name_the_scheme(self, stranger, header):
        answer = stranger.get("metrics", Authorization=header)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"

    @pytest.mark.parametrize("path", PATHS)
    def test_of_parameters_are_problems(self, caller, path):
        answer = caller.get(f"{path}?format=json")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "format")

    @pytest.mark.parametrize("path", PATHS)
    def test_of_methods_are_problems(self, caller, path):
        assert (caller.post(path).status_code, caller.post(path).json()["code"]) == (405, "method_not_allowed")

    @pytest.mark.parametrize("path", PATHS)
    def test_and_answers_are_kept_by_no_cache(self, caller, stranger, path):
        kept = {answer.headers["Cache-Control"] for answer in (caller.get(path), stranger.get(path))}
        assert kept == {"no-store"}


@pytest.mark.django_db(databases=["default", "postgresql"], transaction=True)
class TestOneDatabase:
    """Nothing but the setting says that it is another one than the accounts are in."""

    @pytest.fixture
    def visitor(self, settings) -> Client:
        settings.CLEANUP_DATABASE = "postgresql"
        User.objects.create_superuser("root")
        visitor = Client()
        visitor.force_login(User.objects.get())
        Run.objects.using("postgresql").create(kind="cleanup", status="completed", correlation_id="there")
        Alert.objects.using("postgresql").create(fingerprint="x", code="x", severity="critical", message="x")
        return visitor

    def test_is_what_api_metrics_and_health_look_at(self, visitor):
        status, metrics, health = (visitor.get(f"/api/cleanup/{path}") for path in ("status", "metrics", "health"))
        assert status.json()["statistics"]["total_runs"] == 1
        assert 'cleanup_runs{kind="cleanup",status="completed"} 1.0' in metrics.content.decode()
        assert health.json()["critical_alerts"] == 1

    def test_is_what_the_admin_shows(self, visitor):
        (run,) = Run.objects.using("postgresql").all()
        pages = ("", "run/", f"run/{run.pk}/change/", "alert/")
        answers = [visitor.get(f"/admin/cleanup/{page}") for page in pages]
        assert [answer.status_code for answer in answers] == [200] * len(pages)
        assert f"/admin/cleanup/run/{run.pk}/change/" in answers[1].content.decode()

    def test_is_by_default_where_the_router_has_the_products_tables(self, visitor, settings):
        del settings.CLEANUP_DATABASE
        settings.DATABASE_ROUTERS = ["tests.integration.api.test_watching.Elsewhere"]
        assert visitor.get("/api/cleanup/status").json()["statistics"]["total_runs"] == 1


class Elsewhere:
    """A router."""

    def db_for_read(self, model, **hints):
        return "postgresql" if model._meta.app_label == "cleanup" else None

    db_for_write = db_for_read
