import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ImproperlyConfigured

from project import environment

NAME = "CLEANUP_SOME_SETTING"


class TestFlag:
    @pytest.mark.parametrize(("value", "expected"), [("1", True), ("Yes", True), ("off", False), ("", False)])
    def test_reads_words(self, monkeypatch, value, expected):
        monkeypatch.setenv(NAME, value)
        assert environment.flag(NAME) is expected

    def test_names_the_variable_that_is_neither(self, monkeypatch):
        monkeypatch.setenv(NAME, "maybe")
        with pytest.raises(ImproperlyConfigured, match=NAME):
            environment.flag(NAME)


class TestNumber:
    def test_has_a_default(self):
        assert environment.number(NAME, default=7) == 7

    @pytest.mark.parametrize("value", ["-1", "1.5", "ten", "\u0661"])
    def test_names_the_variable_that_is_none(self, monkeypatch, value):
        monkeypatch.setenv(NAME, value)
        with pytest.raises(ImproperlyConfigured, match=NAME):
            environment.number(NAME, default=7)


class TestChoice:
    def test_is_read_in_any_case(self, monkeypatch):
        monkeypatch.setenv(NAME, "info")
        assert environment.choice(NAME, default="WARNING", among=("INFO", "WARNING")) == "INFO"

    def test_says_what_there_is_to_choose_from(self, monkeypatch):
        monkeypatch.setenv(NAME, "loud")
        with pytest.raises(ImproperlyConfigured, match="INFO, WARNING"):
            environment.choice(NAME, default="WARNING", among=("INFO", "WARNING"))


class TestItems:
    def test_are_separated_by_commas(self, monkeypatch):
        monkeypatch.setenv(NAME, " a.example.com , b.example.com,")
        assert environment.items(NAME) == ["a.example.com", "b.example.com"]


class TestKeptSecret:
    def test_stays_the_same(self, tmp_path):
        assert environment.kept_secret(tmp_path / "secret") == environment.kept_secret(tmp_path / "secret")

    def test_is_for_its_owner_only(self, tmp_path):
        environment.kept_secret(tmp_path / "secret")
        assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600

    def test_is_one_for_all_who_start_together(self, tmp_path):
        with ThreadPoolExecutor(max_workers=8) as threads:
            secrets = set(threads.map(lambda _: environment.kept_secret(tmp_path / "secret"), range(32)))
        assert len(secrets) == 1

    def test_leaves_no_draft_behind(self, tmp_path):
        environment.kept_secret(tmp_path / "secret")
        assert [path.name for path in tmp_path.iterdir()] == ["secret"]

    def test_asks_for_the_variable_where_none_can_be_kept(self, tmp_path):
        with pytest.raises(ImproperlyConfigured, match=r"Set DJANGO_SECRET_KEY: .*missing"):
            environment.kept_secret(tmp_path / "missing" / "secret")

    def test_is_not_taken_from_a_damaged_file(self, tmp_path):
        (tmp_path / "secret").write_text("short", encoding="ascii")
        with pytest.raises(ImproperlyConfigured, match=re.escape(str(tmp_path))):
            environment.kept_secret(tmp_path / "secret")


class TestShare:
    def test_is_the_default_where_nothing_is_set(self, monkeypatch):
        monkeypatch.delenv("SHARE", raising=False)
        assert environment.share("SHARE", default=1) == 1

    def test_is_a_number(self, monkeypatch):
        monkeypatch.setenv("SHARE", "0.25")
        assert environment.share("SHARE", default=1) == 0.25

    @pytest.mark.parametrize("text", ["0", "-1", "1.01", "half", "nan", "inf"])
    def test_is_nothing_else(self, monkeypatch, text):
        monkeypatch.setenv("SHARE", text)
        with pytest.raises(ImproperlyConfigured, match="SHARE"):
            environment.share("SHARE", default=1)
