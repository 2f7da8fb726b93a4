from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from project.database import parse_database_url

SECRET = "hunter2"


def parse(url: str, **how):
    return parse_database_url(url, default_file=Path("/data/db.sqlite3"), **how)


class TestSQLite:
    def test_is_what_an_empty_url_means(self):
        assert parse("")["NAME"] == "/data/db.sqlite3"

    def test_takes_its_write_lock_first(self):
        assert parse("sqlite:////data/x.db")["OPTIONS"]["transaction_mode"] == "IMMEDIATE"

    def test_may_be_tuned_by_the_url(self):
        assert parse("sqlite:////data/x.db?timeout=5")["OPTIONS"]["timeout"] == 5

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite://:memory:", "sqlite:///:memory:"])
    def test_in_memory_is_refused(self, url):
        with pytest.raises(ImproperlyConfigured, match="memory"):
            parse(url)


class TestPostgreSQL:
    def test_in_a_socket_directory_stands_percent_encoded(self):
        assert parse("postgresql://me@%2Frun%2Fpg/x")["HOST"] == "/run/pg"

    def test_password_is_decoded(self):
        assert parse("postgresql://me:a%40b%2Fc@host/x")["PASSWORD"] == "a@b/c"

    def test_options_of_the_url_are_passed_on(self):
        options = parse("postgresql://me@host/x?sslmode=verify-full&options=-csearch_path%3Dcleanup")["OPTIONS"]
        assert (options["sslmode"], options["options"]) == ("verify-full", "-csearch_path=cleanup")

    def test_never_pages_by_server_side_cursors(self):
        assert parse("postgresql://me@host/x")["DISABLE_SERVER_SIDE_CURSORS"] is True

    def test_never_prepares_statements(self):
        assert parse("postgresql://me@host/x")["OPTIONS"]["prepare_threshold"] is None

    def test_does_not_wait_forever_for_a_connection(self):
        assert parse("postgresql://me@host/x")["OPTIONS"]["connect_timeout"] == 10

    def test_keeps_as_many_connections_as_it_is_told(self):
        assert parse("postgresql://me@host/x", pool_size=3)["OPTIONS"]["pool"]["max_size"] == 3

    def test_keeps_none_unless_told(self):
        assert "pool" not in parse("postgresql://me@host/x")["OPTIONS"]

    def test_keeps_none_behind_a_proxy(self):
        assert "pool" not in parse("postgresql://me@host/x", pool_size=3, transaction_pooling=True)["OPTIONS"]

    def test_keeps_none_because_a_url_says_so(self):
        with pytest.raises(ImproperlyConfigured, match="'pool'"):
            parse("postgresql://me@host/x?pool=true")


class TestMalformedUrl:
    @pytest.mark.parametrize(
        "url",
        [
            f"me:{SECRET}@host/x",
            f"postgresql://me:{SECRET}@host",
            f"postgresql://me:{SECRET}@host:port/x",
            f"postgresql://me:{SECRET}@host:99999/x",
            f"postgresql://me:{SECRET}/1@host/x",
            f"postgresql://me:1/{SECRET}@host/x",
            f"postgresql://me:{SECRET}#1@host/x",
            f"postgresql://me:{SECRET}@[::1/x",
            f"postgresql://me:{SECRET}@host/x?unknown={SECRET}",
            f"mysql://me:{SECRET}@host/x",
            f"{SECRET}://host/x",
        ],
    )
    def test_gets_a_sentence_without_the_password(self, url):
        with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL [^\n]*\.?$") as caught:
            parse(url)
        assert SECRET not in str(caught.value)

    def test_leaves_no_password_in_the_traceback(self):
        with pytest.raises(ImproperlyConfigured) as caught:
            parse(f"postgresql://me:{SECRET}@host:port/x")
        assert caught.value.__suppress_context__
