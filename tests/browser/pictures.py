"""Take the manual's pictures of the admin again: ``python -m tests.browser.pictures``.

On the demonstration, in a SQLite database of its own, with a server and a cluster beside it, as a person in an office
sees it. The colours are reduced to a palette, which leaves a picture with a quarter of its size.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests import ROOT

DOCS = ROOT / "cleanup" / "docs"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
APPLICATIONS = 120
COLOURS = 64
#: Seconds until a server answers and a cluster has given a sign of life.
PATIENCE = 120


def main() -> None:
    """Make the database, start what serves it, and take the pictures."""
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        os.environ |= {
            "DATABASE_URL": f"sqlite:///{scratch}/db.sqlite3",
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DJANGO_DATA_DIR": scratch,
            "DJANGO_SECRET_KEY": secrets.token_hex(),
            "DJANGO_Q_WORKERS": "1",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's event loop stands in this thread
        }
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "cleanup_demo", "--applications", str(APPLICATIONS)], cwd=ROOT, check=True)
        with _beside([*manage, "runserver", "--noreload", f"127.0.0.1:{port}"]), _beside([*manage, "qcluster"]):
            addresses, session = _some_history()
            _take(f"http://127.0.0.1:{port}", addresses, session)


@contextmanager
def _beside(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _some_history() -> tuple[dict[str, str], str]:
    """Clean up half of the duplicates, hold some; return the addresses of the pictures, and the key of a session."""
    import django  # the environment has to be set first

    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client
    from django.urls import reverse

    from cleanup.models import ConsistencyCheck, Hold, Run
    from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
    from cleanup.services.background import clusters
    from cleanup.services.folders import applications

    service = DatabaseCleanupService(using="default")
    service.rollback_cleanup(Run.objects.filter(kind=Run.Kind.CLEANUP).latest("created_at").pk)
    held = Hold.objects.order_by("pk")[:4].values_list("pk", flat=True)
    Hold.objects.exclude(pk__in=list(held)).delete()
    Hold.objects.update(reason="audit until Friday", created_by="maria")
    run = service.cleanup_all_duplicate_folders(
        max_applications=APPLICATIONS // 4, reason="first part", started_by="maria", started_how="admin"
    )
    _wait(lambda: clusters.alive(using="default"))
    AutomatedCleanupService(using="default").start_automated_service(started_by="maria")
    service.verify_cleanup_integrity()
    check = service.start_check()
    _wait(lambda: ConsistencyCheck.objects.filter(pk=check.pk, ended_at__isnull=False).exists())
    maria = User.objects.create_superuser("maria")
    client = Client()
    client.force_login(maria)
    worst = applications.worst(using="default", number=1).rows
    overview = reverse("admin:app_list", args=["cleanup"])
    return {
        "overview": overview,
        "preview": reverse("admin:cleanup_preview", args=[worst[0].application_id]),
        "run": reverse("admin:cleanup_run_change", args=[run.run_id]),
        "folder": reverse("admin:cleanup_folder", query={"q": "payslips"}),
        "decisions": reverse("admin:cleanup_decisions"),
        "telephone": overview,
    }, str(client.session.session_key)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("no cluster does the work")
        time.sleep(0.2)


def _take(site: str, addresses: dict[str, str], session: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for name, address in addresses.items():
            size = {"width": 390, "height": 844} if name == "telephone" else {"width": 1280, "height": 860}
            context = browser.new_context(viewport=size, timezone_id="Europe/Berlin", locale="en-GB")
            context.add_cookies(
                [
                    {"name": "sessionid", "value": session, "url": site},
                    {"name": "cleanup_time_zone", "value": "Europe/Berlin", "url": site},
                ]
            )
            page = context.new_page()
            page.goto(f"{site}{address}")
            _keep(page, DOCS / f"{name}.png")
            context.close()
        browser.close()


def _keep(page: Page, path: Path) -> None:
    with Image.open(BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
