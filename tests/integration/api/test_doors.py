"""Who may do what: every route and method, without login, with a login alone, and with each single permission."""

import itertools
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver
from knox.models import AuthToken

from cleanup import urls
from cleanup.api.urls import ROUTES
from cleanup.permissions import Permission
from tests.integration.api.conftest import Caller

# Who may do what is decided before any database is asked for more than the account.
pytestmark = pytest.mark.only("sqlite")

#: The doors, by permission. What several open is named by each of them.
VIEW, CHECK, CLEAN, ALL, BACK, MANAGE, FREEZE = Permission
CLEANING = {CLEAN, ALL}
EXPECTED = {
    "GET status": {VIEW},
    "POST check": {CHECK},
    "POST verify": {CHECK},
    "POST preflight": {CHECK},
    "POST cleanup": {ALL},
    "POST cleanup?dry_run=true": {CHECK, CLEAN, ALL},
    'POST cleanup {"max_applications": 10}': CLEANING,
    'POST cleanup {"max_applications": 11}': {ALL},
    "POST repair/ID": {ALL},
    "POST repair/ID?dry_run=true": {CHECK, CLEAN, ALL},
    'POST repair/ID {"applications": ["99999999-9999-4999-8999-999999999999"]}': CLEANING,
    "POST rollback/ID": {BACK},
    "GET rollback/ID/script": {BACK},
    "POST freeze": {FREEZE},
    "POST unfreeze": {FREEZE},
    "GET runs": {VIEW},
    "GET runs/ID": {VIEW},
    "GET runs/ID/results": {VIEW},
    "POST runs/ID/pause": {CLEAN, ALL, BACK},
    "POST runs/ID/resume": {CLEAN, ALL, BACK},
    "POST runs/ID/cancel": {CLEAN, ALL, BACK},
    "POST runs/ID/rollback": {BACK},
    "GET results": {VIEW},
    "GET rollback-points": {VIEW},
    "POST rollback-points": CLEANING,
    "GET rollback-points/ID": {VIEW},
    "GET rollback-points/ID/rows": {VIEW},
    "POST rollback-points/ID/preview": {BACK},
    "POST rollback-points/ID/rollback": {BACK},
    "GET applications": {VIEW},
    "GET applications/ID": {VIEW},
    "POST applications/ID/cleanup": CLEANING,
    "GET applications/ID/names": {VIEW},
    "POST applications/ID/names": CLEANING,
    "GET folders/ID/survivor": {VIEW},
    "GET verifications": {VIEW},
    "GET verifications/1": {VIEW},
    "GET findings": {VIEW},
    "GET checks": {VIEW},
    "GET alerts": {VIEW},
    "GET alerts/1": {VIEW},
    "POST alerts/1/acknowledge": {MANAGE},
    "POST service/start": {MANAGE},
    "POST service/stop": {MANAGE},
    "POST service/adopt": {MANAGE},
    "GET schedules": {VIEW},
    "GET schedules/ID": {VIEW},
    "PATCH schedules/ID": {MANAGE},
    "POST schedules/ID/run": {CHECK, CLEAN, ALL, MANAGE},
    "GET scheduled-runs": {VIEW},
    "POST scheduled-runs/1/approve": {CHECK, CLEAN, ALL, MANAGE},
    "POST scheduled-runs/1/decline": {CHECK, CLEAN, ALL, MANAGE},
    "GET holds": {VIEW},
    "GET holds/ID": {VIEW},
    "PUT holds/ID": CLEANING,
    "DELETE holds/ID": CLEANING,
    "GET tokens": {VIEW},
    "POST tokens": {VIEW},
    "DELETE tokens/ID": {VIEW},
    "GET schema": {VIEW},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def paths() -> list[str]:
    """Return the paths of all routes, with something in place of each id; the page for people is another matter."""
    found = [re.sub(r"<str:\w+>", "ID", re.sub(r"<int:\w+>", "1", route)) for route, _, name in ROUTES]
    return [path for path in found if path != "docs"]


def call(caller: Caller, door: str):
    method, path, *body = door.split(" ", 2)
    if body:
        return caller.client.generic(
            method, f"/api/cleanup/{path}", body[0], "application/json", headers=caller.headers
        )
    return caller(method, path)


class TestEveryRoute:
    def test_is_in_the_table_of_doors(self):
        methods = {
            f"{method} {path}"
            for path, (_, view, _) in zip(paths(), [r for r in ROUTES if r[2] != "docs"], strict=True)
            for method in METHODS
            if hasattr(view, method.lower()) and method.lower() in view.http_method_names
        }
        assert methods == {door for door in EXPECTED if not re.search(r"[?{]", door)}

    def test_is_one_of_these(self):
        _, api = urls.urlpatterns  # what monitoring reads has doors of its own
        routes = {str(pattern.pattern) for pattern in api.url_patterns}
        assert routes == {"", "<path:nowhere>"} | {f"{route}{slash}" for route, _, _ in ROUTES for slash in ("", "/")}

    def test_is_served_by_the_project(self):
        assert any(str(pattern.pattern) == "" for pattern in get_resolver().url_patterns)


class TestWithoutLogin:
    def test_no_route_and_method_opens(self, stranger):
        doors = [f"{method} {path}{slash}" for method in METHODS for path in paths() for slash in ("", "/")]
        answers = {door: call(stranger, door) for door in doors}
        assert {door: answer.status_code for door, answer in answers.items() if answer.status_code != 401} == {}
        assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {"Bearer"}
        assert {answer.json()["code"] for answer in answers.values()} == {"not_authenticated"}

    def test_what_is_no_route_is_not_told_apart(self, stranger):
        assert stranger.get("nothing/of/the/kind").status_code == 401

    def test_the_page_leads_to_the_login(self, stranger):
        response = stranger.get("docs")
        assert (response.status_code, response.headers["Location"]) == (302, "/admin/login/?next=/api/cleanup/docs")


class TestWithALoginAlone:
    def test_no_route_and_method_opens(self, make_caller):
        unprivileged = make_caller()
        answers = {door: call(unprivileged, door) for door in EXPECTED}
        assert {door: answer.status_code for door, answer in answers.items() if answer.status_code != 403} == {}
        assert {answer.json()["code"] for answer in answers.values()} == {"permission_denied"}

    def test_what_is_no_method_is_none(self, make_caller):
        unprivileged = make_caller()
        others = {f"{method} {path}" for method, path in itertools.product(METHODS, paths())} - EXPECTED.keys()
        answers = {door: call(unprivileged, door).status_code for door in others}
        assert {door: status for door, status in answers.items() if status != 405} == {}

    def test_what_is_no_route_is_not_found(self, make_caller):
        assert make_caller().get("nothing/of/the/kind").json()["code"] == "not_found"


class TestWithASinglePermission:
    @pytest.mark.parametrize("permission", Permission)
    def test_just_its_doors_open(self, make_caller, permission):
        caller = make_caller(permission)
        opened = {door for door in EXPECTED if call(caller, door).status_code not in (401, 403)}
        assert opened == {door for door, permissions in EXPECTED.items() if permission in permissions}

    def test_the_problem_names_the_one_that_is_missing(self, make_caller):
        problem = make_caller(VIEW).post("check").json()
        assert problem["permission"] == "cleanup.check"


class TestSession:
    @pytest.fixture
    def session(self, make_caller) -> Client:
        user = make_caller(VIEW, FREEZE).user
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        return client

    def test_looks(self, session):
        assert session.get("/api/cleanup/status").status_code == 200

    def test_changes_nothing_without_its_csrf_token(self, session):
        response = session.post("/api/cleanup/unfreeze")
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")

    def test_changes_something_with_it(self, session):
        page = session.get("/api/cleanup/docs").content.decode()
        token = re.search(r'data-csrf="(\w+)"', page)[1]
        response = session.post("/api/cleanup/unfreeze", "{}", "application/json", headers={"X-CSRFToken": token})
        assert response.status_code == 200


class TestTokens:
    def test_are_shown_once_and_stored_as_a_hash(self, caller, served):
        token = caller.post("tokens", {"hours": 5}).json()["token"]
        stored = [str(value) for row in AuthToken.objects.using(served).values() for value in row.values()]
        assert not any(token in value for value in stored)
        assert token not in caller.get("tokens").content.decode()

    def test_open_the_doors_of_their_account(self, caller):
        token = caller.post("tokens").json()["token"]
        assert Caller(headers={"Authorization": f"Bearer {token}"}).get("status").status_code == 200

    def test_expire(self, caller, served):
        AuthToken.objects.using(served).update(expiry="2020-01-01T00:00:00Z")
        response = caller.get("status")
        assert (response.status_code, response.json()["code"]) == (401, "authentication_failed")

    def test_that_are_made_with_a_token_live_no_longer_than_it(self, caller, served):
        made = caller.post("tokens", {"hours": 2000}).json()
        (mine, other) = caller.get("tokens").json()["results"]
        assert abs(AuthToken.objects.using(served).first().expiry - AuthToken.objects.using(served).last().expiry) < (
            timedelta(seconds=2)
        )
        assert made["expires_at"] in {mine["expires_at"], other["expires_at"]}

    def test_live_for_so_long_and_no_longer(self, caller, settings):
        settings.CLEANUP_API_TOKEN_HOURS = 48
        assert caller.post("tokens", {"hours": 49}).status_code == 422

    def test_without_an_end_is_listed_and_can_be_revoked(self, caller):
        endless, _ = AuthToken.objects.create(user=caller.user, expiry=None)
        (listed,) = [row for row in caller.get("tokens").json()["results"] if row["token_id"] == endless.token_key]
        assert listed["expires_at"] is None
        assert caller("DELETE", f"tokens/{endless.token_key}").status_code == 204
        assert not AuthToken.objects.filter(pk=endless.pk).exists()

    def test_are_revoked(self, caller):
        made = caller.post("tokens").json()
        assert caller("DELETE", f"tokens/{made['token_id']}").status_code == 204
        assert Caller(headers={"Authorization": f"Bearer {made['token']}"}).get("status").status_code == 401

    def test_of_others_are_not_there(self, caller, make_caller):
        made = make_caller(VIEW).post("tokens").json()
        assert caller("DELETE", f"tokens/{made['token_id']}").status_code == 404

    def test_of_an_account_that_was_closed_open_nothing(self, caller, served):
        User.objects.using(served).update(is_active=False)
        assert caller.get("status").status_code == 401

    @pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Bearer \xff\xfe", "Bearer x\x00y", "bearer nonsense"])
    def test_that_are_none_are_refused(self, stranger, header):
        assert stranger.get("status", authorization=header).status_code == 401


class TestLimits:
    def test_hold_for_expensive_calls(self, caller, settings):
        settings.CLEANUP_API_RATES = {"check": "2/min"}
        answers = [caller.post("check") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert (answers[2].json()["code"], int(answers[2].headers["Retry-After"]) > 0) == ("throttled", True)

    def test_hold_for_each_account_by_itself(self, caller, make_caller, settings):
        settings.CLEANUP_API_RATES = {"check": "1/min"}
        caller.post("check")
        assert make_caller(CHECK).post("check").status_code == 200

    def test_leave_others_alone(self, caller, settings):
        settings.CLEANUP_API_RATES = {"check": "1/min"}
        assert {caller.get("status").status_code for _ in range(3)} == {200}


class TestProblems:
    def test_are_of_the_format_of_rfc_9457(self, caller):
        response = caller.get("runs/nonsense")
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json() == {
            "type": "urn:cleanup:problem:not_found",
            "title": "Not Found",
            "status": 404,
            "detail": "There is no run nonsense.",
            "code": "not_found",
        }

    @pytest.mark.parametrize(
        ("body", "kind", "status", "code"),
        [
            ("{", "application/json", 400, "parse_error"),
            ('{"reason": NaN}', "application/json", 400, "parse_error"),
            ("reason=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
            ('{"reason": "\\ud800"}', "application/json", 422, "invalid"),
            ("null", "application/json", 422, "invalid"),
        ],
    )
    def test_tell_of_a_body_that_is_none(self, caller, body, kind, status, code):
        response = caller.client.generic("POST", "/api/cleanup/freeze", body, kind, headers=caller.headers)
        assert (response.status_code, response.json()["code"]) == (status, code)
