"""Wrong tokens and wrong logins are limited, and no one is locked out by what others do."""

import time

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from cleanup import failed_attempts
from cleanup.permissions import Permission

pytestmark = pytest.mark.only("sqlite")

HERE, THERE = "192.0.2.1", "192.0.2.2"


class TestWrongTokens:
    @pytest.fixture(autouse=True)
    def few(self, served, settings):
        settings.CLEANUP_API_RATES = {"wrong_tokens": "3/hour"}

    def test_are_refused_beyond_the_limit(self, stranger):
        answers = [stranger.get("status", Authorization=f"Bearer wrong{number}") for number in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert answers[3].json()["code"] == "throttled"
        assert 0 < int(answers[3].headers["Retry-After"]) <= 3600

    def test_keep_no_right_one_out(self, stranger, make_caller):
        caller = make_caller(Permission.VIEW)
        for _ in range(5):
            stranger.get("status", Authorization="Bearer wrong")
        assert caller.get("status").status_code == 200


class TestWrongLogins:
    @pytest.fixture(autouse=True)
    def account(self, served, settings):
        settings.CLEANUP_LOGIN_RATES = {"account_and_address": "3/hour", "address": "5/hour", "account": "6/hour"}
        User.objects.create_superuser("root", password="right")

    def login(self, password: str, *, at: str = HERE, account: str = "root"):
        return Client(REMOTE_ADDR=at).post("/admin/login/", {"username": account, "password": password})

    def test_are_refused_beyond_the_limit_untried(self):
        statuses = [self.login("wrong").status_code for _ in range(4)]
        answer = self.login("right")
        assert (statuses, answer.status_code) == ([200, 200, 200, 429], 429)
        assert 0 < int(answer.headers["Retry-After"]) <= 3600
        assert "Too many wrong passwords." in answer.content.decode()

    def test_are_counted_in_any_spelling_of_the_account(self):
        for spelling in ("root", "ROOT", " root "):
            self.login("wrong", account=spelling)
        assert self.login("right").status_code == 429

    def test_at_one_address_keep_nobody_out_at_another(self):
        for _ in range(4):
            self.login("wrong")
        assert self.login("right", at=THERE).status_code == 302

    def test_of_many_accounts_are_refused_by_address(self):
        for number in range(5):
            self.login("wrong", account=f"account{number}")
        assert self.login("right").status_code == 429

    def test_at_many_addresses_keep_nobody_out_where_he_has_logged_in_before(self):
        self.login("right")
        for number in range(7):
            self.login("wrong", at=f"198.51.100.{number}")
        assert (self.login("right", at=THERE).status_code, self.login("right").status_code) == (429, 302)

    def test_are_over_with_their_window(self, monkeypatch):
        for _ in range(4):
            self.login("wrong")
        later = time.time() + 3600
        monkeypatch.setattr(failed_attempts.time, "time", lambda: later)
        assert self.login("right").status_code == 302


class TestAddresses:
    @pytest.mark.parametrize(
        ("proxies", "forwarded", "address"),
        [
            (0, "203.0.113.9", HERE),
            (1, "203.0.113.9", "203.0.113.9"),
            (1, "made up, 203.0.113.9", "203.0.113.9"),
            (2, "made up, 203.0.113.9, 203.0.113.8", "203.0.113.9"),
            (1, "", HERE),
            (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ],
    )
    def test_are_what_the_own_proxies_have_seen(self, settings, proxies, forwarded, address):
        settings.CLEANUP_PROXIES = proxies
        request = RequestFactory().get("/", REMOTE_ADDR=HERE, headers={"X-Forwarded-For": forwarded})
        assert failed_attempts.address_of(request) == address
