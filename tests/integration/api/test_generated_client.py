"""A client that is generated from the schema does the main job, and is sent nothing that is not declared."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.db import connections

from project.wsgi import application
from tests.support.trees import assert_tree, tree

HERE = Path(__file__).parent


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(served) -> Iterator[str]:
    """Serve the project, one request after the other; yield its address."""

    def serve() -> None:
        try:
            httpd.serve_forever(poll_interval=0.05)
        finally:
            connections[served].close()

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as httpd:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def client(caller, tmp_path) -> Path:
    """Return the directory of a package ``cleanup_client``, made of the schema."""
    (tmp_path / "schema.json").write_bytes(caller.get("schema?format=json").content)
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "schema.json", "--meta", "none"]
    made = subprocess.run(
        [*generate, "--output-path", "cleanup_client", "--config", "config.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said = made.stdout + made.stderr
    assert made.returncode == 0, said
    assert "arning" not in said, said
    return tmp_path


@pytest.mark.slow
@pytest.mark.only("postgresql")
def test_does_the_main_job_and_finds_no_undeclared_field(client, server, caller, served):
    loan, other = tree(served, "Loan/Docs(1), Loan/Docs(2)"), tree(served, "Loan/A, Loan/A, Loan")
    token = caller.headers["Authorization"].partition(" ")[2]
    job = [sys.executable, "-P", str(HERE / "client_job.py"), server, token, loan.application, other.application]
    done = subprocess.run(job, env={"PYTHONPATH": str(client)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["undeclared"], found["answers"] > 30) == ([], True)
    assert_tree(served, loan, "Loan/Docs(1), Loan/Docs(2)")
