"""One database, one cluster, one browser, a server for each settings module; a test makes its own people and folders.

Each module begins with the rows as migrated.

The server and the cluster are processes of their own, started as the manual says. The browser is the system's Chromium:
CI installs it, a developer's machine may lack it.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.contrib.auth.models import Permission as AuthPermission
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError
from django.db.backends.signals import connection_created
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ
from playwright.sync_api import Browser, Page, sync_playwright

from cleanup.permissions import Permission
from cleanup.services import AutomatedCleanupService
from cleanup.services.background import clusters
from tests import ROOT
from tests.support import databases

#: The shell without a window first: a page takes a third of the processor time in it.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, PROGRAMS)), None)
#: What a person would wait for a page, in milliseconds; a machine with much to do gets more than that.
PATIENCE = 30_000

ALIAS = "default"

#: What axe-core finds by the rules whose faults are serious or critical, as a rule says of all that it finds.
SERIOUS_FAULTS = """async () => {
    document.getAnimations().forEach(one => one.finish());
    const {rules, tagExclude} = axe._audit;
    const serious = rules
        .filter(rule => ["serious", "critical"].includes(rule.impact))
        .filter(rule => rule.enabled && !rule.tags.some(tag => tagExclude.includes(tag)))
        .map(rule => rule.id);
    const {violations} = await axe.run({resultTypes: ["violations"], runOnly: serious});
    return violations;
}"""


@pytest.fixture(scope="package")
def chromium() -> str:
    """Return the browser's program."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    return CHROMIUM


class Installation:
    """A migrated database with a cluster, and a server for each settings module that is asked for.

    All modules share it, since each process takes as long to start as some tests.
    """

    #: Tables of the living cluster.
    CLUSTERS = ("cleanup_heartbeat", "django_q_ormq", "django_q_schedule")

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "log"
        self.processes: list[subprocess.Popen] = []
        self.ports: dict[str, int] = {}
        service = AutomatedCleanupService(using=ALIAS)
        service.start_automated_service()  # has the cluster give a sign of life at once
        service.stop_automated_service()
        self.rows = databases.rows(ALIAS)
        self._start("qcluster", settings_module="project.settings")

    def serve(self, settings_module: str) -> str:
        """Return the address of the server with these settings, on rows as migrated."""
        if settings_module not in self.ports:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = self.ports[settings_module] = free.getsockname()[1]
            self._start("runserver", "--noreload", f"127.0.0.1:{port}", settings_module=settings_module)
        port = self.ports[settings_module]
        self._wait(lambda: _listens(port) and clusters.alive(using=ALIAS) and not OrmQ.objects.using(ALIAS).exists())
        databases.wipe(ALIAS, to=self.rows, keep=self.CLUSTERS)
        return f"http://127.0.0.1:{port}"

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            _end(process)

    def _start(self, *arguments: str, settings_module: str) -> None:
        environment = {
            **os.environ,
            "DATABASE_URL": databases.url_of(ALIAS),
            "DJANGO_SETTINGS_MODULE": settings_module,
            "DJANGO_DATA_DIR": str(self.directory),
            "DJANGO_SECRET_KEY": settings.SECRET_KEY,
            "DJANGO_Q_WORKERS": "1",
        }
        with self.log.open("a") as out:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.processes.append(process)

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            ended = [process.args for process in self.processes if process.poll() is not None]
            assert not ended, f"{ended}\n{self.log.read_text()}"
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)


@pytest.fixture(scope="package")
def installation(chromium, django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[Installation]:
    """Yield what all modules share."""
    opened = _Opened()
    connection_created.connect(opened.add_connection)
    migrated = databases.has_template(ALIAS)
    with django_db_blocker.unblock(), databases.scratch_copy(ALIAS) if migrated else databases.blank(ALIAS):
        if not migrated:  # since no other tests were selected
            call_command("migrate", verbosity=0)
            call_command("migrate", "cleanup_guards", "zero", verbosity=0)
        shared = Installation(tmp_path_factory.mktemp("installation"))
        try:
            yield shared
        finally:
            shared.end()
            connection_created.disconnect(opened.add_connection)
            opened.close()


@pytest.fixture(scope="module")
def site(request, installation) -> str:
    """Return the address of a server whose database holds what the module makes, and nothing else.

    A module may name other settings for it.
    """
    return installation.serve(getattr(request.module, "SETTINGS", "project.settings"))


class _Opened:
    """Every connection to the site's database: code that Playwright calls has another one than what runs beside it."""

    def __init__(self) -> None:
        self.connections = weakref.WeakSet()

    def add_connection(self, connection, **_) -> None:
        if connection.alias == ALIAS:
            self.connections.add(connection)

    def close(self) -> None:
        for connection in list(self.connections):
            with suppress(DatabaseError):  # one of another thread
                connection.close()


def _end(process: subprocess.Popen) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="package")
def browser(chromium) -> Iterator[Browser]:
    """Yield the browser, which all modules share: it takes as long to start as some tests."""
    # Playwright's event loop stands in this thread, and Django takes that for asynchronous code.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            yield playwright.chromium.launch(
                executable_path=chromium,
                args=[
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--disable-dev-shm-usage",
                ],
            )
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Person:
    """Someone at a browser."""

    def __init__(self, page: Page, site: str) -> None:
        self.page = page
        self.site = site
        self.name = ""
        self.complaints: list[str] = []
        self.has_axe = False
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text, message.location["url"]))

    def _hear(self, kind: str, text: str, source: str) -> None:
        # The browser asks each site once for an icon of the site's, which is not a page's fault.
        if kind in ("error", "warning") and not source.endswith("/favicon.ico"):
            self.complaints.append(f"{text} ({source})")

    def go(self, address: str) -> None:
        self.page.goto(f"{self.site}{address}")

    def widen(self, width: int) -> None:
        """Give the window another width; no script of ours asks for it, so a page need not be loaded again."""
        self.page.set_viewport_size({"width": width, "height": 900})

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_load_state()  # of the page that it leads to, if any

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).first.click()
        self.page.wait_for_load_state()

    def sees(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    def reads(self) -> str:
        return self.page.locator("#content").inner_text()

    def barriers(self) -> list[str]:
        """Return what axe-core finds serious or critical, once colours have changed to those of the theme."""
        if not self.has_axe:
            self.page.evaluate(AXE_SCRIPT)
            self.page.add_init_script(AXE_SCRIPT)  # pages to come get it without being sent it again
            self.has_axe = True
        return [f"{rule['id']}: {rule['nodes']}" for rule in self.page.evaluate(SERIOUS_FAULTS)]

    def cut_off(self) -> list[str]:
        """Return the tables of which a part lies off the screen, by their headings."""
        return self.page.evaluate(
            """[...document.querySelectorAll(".results, .cleanup-scroll")]
                .filter(one => one.scrollWidth > one.clientWidth)
                .map(one => one.querySelector("thead").innerText)"""
        )

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.fixture
def person(browser, site) -> Iterator[Callable[..., Person]]:
    """Return a function that signs someone in, with the given permissions, all of them if none is given."""
    contexts = []

    def sign_in(*permissions: Permission, **options) -> Person:
        user = User.objects.db_manager(ALIAS).create_user(f"p-{uuid.uuid4().hex[:8]}", is_staff=True)
        codenames = [permission.codename for permission in permissions or Permission]
        user.user_permissions.set(AuthPermission.objects.using(ALIAS).filter(codename__in=codenames))
        context = browser.new_context(
            timezone_id="Europe/Berlin", **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        contexts.append(context)
        known = Client()
        known.force_login(user)
        session = {"name": settings.SESSION_COOKIE_NAME, "value": known.session.session_key, "url": site}
        zone = {"name": "cleanup_time_zone", "value": "Europe/Berlin", "url": site}  # as after an earlier visit
        context.add_cookies([session, zone])
        person = Person(context.new_page(), site)
        person.name = user.username
        person.go(reverse("admin:app_list", args=["cleanup"]))
        return person

    yield sign_in
    for context in contexts:
        context.close()
