"""A real web server of the project, in a process of its own, to be asked and to be killed."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from tests import ROOT


@dataclass(slots=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    body: Any
    headers: dict[str, str]
    seconds: float


@dataclass(slots=True)
class WebServer:
    """A server that answers on this machine."""

    process: Any
    port: int

    def ask(self, path: str, *, method: str = "GET", timeout: float = 60, **headers: str) -> Answer:
        """Send a request of the API."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}/api/cleanup/{path}"
        request = urllib.request.Request(url, method=method, headers=names)
        began = time.monotonic()
        try:
            answer = urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
            seconds = time.monotonic() - began
            found = json.loads(body) if "json" in answer.headers.get("Content-Type", "") else body.decode()
            return Answer(answer.status, found, dict(answer.headers), seconds)

    def kill(self) -> None:
        """Kill it in the midst of whatever it does."""
        self.process.kill()
        self.process.wait(timeout=30)


@contextlib.contextmanager
def serving(**environment: str) -> Iterator[WebServer]:
    """Serve the project with the settings of the clusters under test."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.serving"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.cluster_settings", **environment},
    ) as process:
        try:
            yield WebServer(process, int(process.stdout.readline()))
        finally:
            process.kill()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Keep the output for the port."""


def main() -> None:
    """Serve until killed."""
    from project.wsgi import application

    server = _Server(("127.0.0.1", 0), _Handler)
    server.set_app(application)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
