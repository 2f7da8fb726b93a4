"""Hosts that do without the extras: all else works, and what cannot be used says what to install."""

from collections.abc import Iterator

import pytest

from tests.acceptance import hosts
from tests.support import databases

#: Makes them missing in every process of the host.
MISSING = """
import sys
for name in ("apprise", "csp", "drf_spectacular", "drf_spectacular_sidecar", "knox", "prometheus_client", "whitenoise"):
    sys.modules[name] = None
"""

LOADED = """
import sys
from django.core.management import call_command
call_command("database_cleanup", "--status")
print("LOADED", *sys.modules)
"""


@pytest.fixture
def url(blank_database) -> Iterator[str]:
    yield databases.url_of(blank_database)
    hosts.unload()


@pytest.fixture
def bare(tmp_path, url, monkeypatch):
    """Make a host that lacks all extras, with the given lines in its settings and its environment."""

    def make(settings: str = "", **environment: str) -> hosts.Host:
        (tmp_path / "sitecustomize.py").write_text(MISSING, encoding="utf-8")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return hosts.make(tmp_path, url=url, settings=settings)

    return make


def migrated(host: hosts.Host) -> hosts.Host:
    host.prepare()
    return host


@pytest.mark.slow
class TestHostWithoutExtras:
    def test_is_cleaned_up_and_rolled_back(self, bare):
        host = migrated(bare())
        assert "Yes: a cleanup can run." in host.done("database_cleanup", "--preflight")
        assert "1 would be cleaned up" in host.done("database_cleanup", "--dry-run")
        told = host.done("database_cleanup", "--cleanup", "--no-input")
        assert "1 cleaned up" in told
        run = told.split("--rollback ")[1].split()[0]
        assert "no errors" in host.done("database_cleanup", "--verify")
        assert "2 folders" in host.done("database_cleanup", "--rollback", run, "--no-input")

    def test_loads_nothing_that_a_look_does_not_use(self, bare):
        told = migrated(bare()).done("shell", "--verbosity", "0", stdin=LOADED)
        loaded = set(told.partition("LOADED ")[2].split())
        assert "cleanup.services" in loaded
        assert loaded & {"django_q", "rest_framework", "cleanup.admin", "cleanup.api", "cleanup.metrics"} == set()

    def test_is_told_that_it_has_no_background(self, bare):
        told = migrated(bare()).refused("database_cleanup", "--cleanup", "--background", "--no-input")
        assert 'The background cannot be used without "django_q" in INSTALLED_APPS.' in told

    def test_is_told_that_it_has_no_schedules(self, bare):
        told = migrated(bare()).refused("database_cleanup", "--start")
        assert 'The automated service cannot be used without "django_q" in INSTALLED_APPS.' in told


@pytest.mark.only("sqlite")
class TestMissingExtra:
    def test_is_named_by_the_command_that_needs_it(self, bare):
        host = bare()
        assert (
            "The metrics cannot be used without prometheus-client. Run: pip install 'cleanup[metrics]'"
            in host.refused("cleanup_metrics")
        )
        assert (
            "A token of the REST API cannot be used without django-rest-knox and drf-spectacular. "
            "Run: pip install 'cleanup[api]'"
        ) in host.refused("cleanup_token", "root")

    def test_is_named_for_the_setting_that_needs_it(self, bare):
        done = bare(CLEANUP_ALERT_URLS="json://example.com", CLEANUP_METRICS_TOKEN="t" * 16).manage("check")
        told = done.stdout
        assert done.returncode == 0
        assert told.count("cleanup.W008") == 2
        assert "CLEANUP_ALERT_URLS cannot be used without apprise." in told
        assert "HINT: Run: pip install 'cleanup[alerts]'" in told
        assert "HINT: Run: pip install 'cleanup[metrics]'" in told

    def test_is_named_for_the_urls_that_need_it(self, bare):
        told = bare('ROOT_URLCONF = "cleanup.urls"').manage("check").stdout.splitlines()[-1]
        assert told.endswith(
            "The REST API cannot be used without django-rest-knox and drf-spectacular. Run: pip install 'cleanup[api]'"
        )


@pytest.mark.only("sqlite")
class TestMissingApp:
    def test_is_named_for_the_urls_that_need_it(self, tmp_path, url):
        told = hosts.make(tmp_path, url=url, settings='ROOT_URLCONF = "cleanup.urls"').manage("check").stdout
        assert 'The REST API cannot be used without "knox" in INSTALLED_APPS.' in told
