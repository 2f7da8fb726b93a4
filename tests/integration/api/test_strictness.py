"""What no route takes, is refused by every route; what cannot be read, is answered with a problem."""

import io
import json
from urllib.parse import quote

import pytest
from django.db.models import BigAutoField
from django.test import Client
from django.urls import URLPattern, URLResolver

from cleanup import urls
from cleanup.api.serializer_fields import key_text
from cleanup.exceptions import InvalidKey
from cleanup.folder_tables import KeyColumn
from project.wsgi import application
from tests.integration.api.conftest import Caller
from tests.support.trees import tree

# What comes in is judged before any database is asked for more than the account.
pytestmark = pytest.mark.only("sqlite")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SOME_ID = "0c7b1f6e-2f5a-4d0e-9a43-6f1d2c3b4a59"


def routes(patterns=urls.urlpatterns) -> list[tuple[str, str]]:
    """Return every method of every route of the URL conf, less those for paths that are none."""
    found = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found += routes(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and "nowhere" not in str(pattern.pattern):
            view = pattern.callback.view_class
            found += [(method, path_of(pattern)) for method in METHODS if takes(view, method)]
    return sorted(set(found))


def path_of(pattern: URLPattern) -> str:
    path = str(pattern.pattern)
    for converter in ("str:", "int:"):
        while f"<{converter}" in path:
            before, _, rest = path.partition(f"<{converter}")
            path = f"{before}{'1' if converter == 'int:' else SOME_ID}{rest.partition('>')[2]}"
    return f"/api/cleanup/{path.strip('^$').removesuffix('?').removesuffix('/')}"


def takes(view, method: str) -> bool:
    name = "get" if method == "HEAD" else method.lower()
    return hasattr(view, name) and name in view.http_method_names


ROUTES = routes()
PAGE = "/api/cleanup/docs"


@pytest.fixture
def root(caller) -> Caller:
    caller.client.force_login(caller.user)  # for the page
    return caller


class TestEveryRoute:
    def test_is_looked_at(self):
        assert len(ROUTES) > 60
        assert {"/api/cleanup/health", "/api/cleanup/metrics", PAGE} <= {path for _, path in ROUTES}

    def test_refuses_an_unknown_parameter(self, root):
        accepted = [
            (method, path) for method, path in ROUTES if root(method, f"{path}?dry_runn=true").status_code != 422
        ]
        assert not accepted

    def test_refuses_a_repeated_parameter(self, root):
        query = "limit=1&limit=2&dry_run=true&dry_run=false&wait=true&wait=true&format=json&format=json"
        accepted = [(method, path) for method, path in ROUTES if root(method, f"{path}?{query}").status_code != 422]
        assert not accepted

    def test_refuses_an_unknown_field(self, root):
        accepted = [
            (method, path)
            for method, path in ROUTES
            if path != PAGE
            and not path.endswith(("health", "metrics"))  # these read no body
            and root(method, path, {"surely_unknown": 1}).status_code != 422
        ]
        assert not accepted

    def test_refuses_a_repeated_field(self, root):
        def send(method: str, path: str) -> int:
            body = '{"reason": "a", "reason": "b"}'
            return root.client.generic(method, path, body, "application/json", headers=root.headers).status_code

        unread = (PAGE, "/api/cleanup/health", "/api/cleanup/metrics")
        assert not [(method, path) for method, path in ROUTES if path not in unread and send(method, path) != 400]


class TestTheDryRunThatIsNone:
    @pytest.mark.parametrize(
        "path", [f"applications/{SOME_ID}/cleanup?dry_run=true", "schedules/full_cleanup/run?dry_run=true"]
    )
    def test_is_refused_where_there_is_no_such_parameter(self, caller, path):
        response = caller.post(path)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "dry_run")


class TestValuesOfTheQuery:
    @pytest.mark.parametrize(
        "query",
        [
            "verifications?passed=1",
            "verifications?passed=yes",
            "runs?limit=%D9%A3",
            "runs?limit=5.0",
            "runs?limit=%2B5",
            "runs?limit=%205",
            "findings?verification_id=%D9%A3",
            "runs?since=2026-11-01",
            "runs?since=2026-W48-1T08:00:00Z",
            "runs?since=2026-11-01T08:00:00",
            "runs?since=0001-01-01T00:00:00%2B14:00",
            f"runs?application_id=urn:uuid:{SOME_ID}",
            f"rollback-points?run_id=urn:uuid:{SOME_ID}",
            f"rollback-points?run_id=%7B{SOME_ID}%7D",
        ],
    )
    def test_are_taken_at_their_word(self, caller, query):
        assert caller.get(query).status_code == 422

    def test_an_id_of_the_path_too(self, caller):
        assert [caller.get(f"runs/{form}").status_code for form in (f"urn:uuid:{SOME_ID}", f"%7B{SOME_ID}%7D")] == [
            404
        ] * 2


class TestKeys:
    @pytest.mark.parametrize("form", ["{%s}", "urn:uuid:%s", " %s", "%s "])
    def test_are_taken_as_they_are_usually_written(self, caller, served, form):
        odd = form % tree(served, "Loan, Loan").application
        quoted = quote(odd, safe="")
        assert caller.get(f"applications/{quoted}").status_code == 404
        assert caller.post(f"applications/{quoted}/cleanup").status_code == 404
        assert caller.get(f"findings?application_id={quoted}").status_code == 422
        assert caller.post("cleanup?dry_run=true", {"applications": [odd]}).status_code == 422

    def test_may_be_in_capitals_and_without_hyphens(self, caller, served):
        application = tree(served, "Loan, Loan").application
        for form in (application.upper(), application.replace("-", "")):
            assert caller.get(f"applications/{form}").status_code == 200

    @pytest.mark.parametrize("form", ["05", "+5", " 5", "1_0", "\u0663", "5.0"])
    def test_that_are_numbers_are_plain_digits(self, form):
        column = KeyColumn(BigAutoField(), "application")
        with pytest.raises(InvalidKey):
            key_text(column, form)
        assert [key_text(column, plain) for plain in ("5", 5, "-1")] == ["5", "5", "-1"]


DEEP = "[" * 100_000 + "]" * 100_000


class TestABodyThatCannotBeRead:
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (DEEP, 400),
            ('{"applications": ' + "[" * 500 + "]" * 500 + "}", 400),
            ('{"a":' * 900 + "1" + "}" * 900, 400),
            ('{"\\ud800": 1}', 422),
            ('{"applications": ["\\ud800"]}', 422),
            ('{"dry_run": 1, "dry_run": 2}', 400),
            (b'{"reason": "\xff"}', 400),
            (b"\xef\xbb\xbf{}", 400),
            ('{"max_applications": ' + "9" * 5000 + "}", 400),
            ('{"max_applications": 1e400}', 422),
            ('{"reason": "' + "x" * 3_000_000 + '"}', 413),
            ("1", 422),
            ("[]", 422),
            ('"x"', 422),
            ("{}x", 400),
        ],
    )
    @pytest.mark.parametrize("login", ["token", "session"])
    def test_is_a_problem(self, root, body, status, login):
        client, headers = (root.client, root.headers) if login == "token" else (Client(), {})
        client.raise_request_exception = False
        if login == "session":
            client.force_login(root.user)
        response = client.generic("POST", "/api/cleanup/cleanup", body, "application/json", headers=headers)
        assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
        assert response.json()["status"] == status

    def test_is_one_of_a_choice_that_no_encoding_can_write(self, caller):
        path = "/api/cleanup/schedules/full_cleanup"
        body = '{"schedule_type": "\\ud800"}'
        response = caller.client.generic("PATCH", path, body, "application/json", headers=caller.headers)
        assert response.status_code == 422

    @pytest.mark.parametrize(
        "kind", ["multipart/form-data", "multipart/form-data; boundary=\xe9", "a", ";;", "text/plain"]
    )
    def test_is_one_of_another_type(self, root, kind):
        client = Client(raise_request_exception=False)
        client.force_login(root.user)
        response = client.generic("POST", "/api/cleanup/freeze", "reason=x", kind)
        assert (response.status_code, response.headers["Content-Type"]) in [
            (415, "application/problem+json"),
            (400, "application/problem+json"),
        ]


def ask(caller: Caller, kind: str, *, query: str = "", body: bytes = b"{}", host: str = "localhost"):
    """Send a request to the server's application itself, as Django's own client would fail before it."""
    told = {}
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/cleanup/unfreeze",
        "QUERY_STRING": query,
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
        "HTTP_AUTHORIZATION": caller.headers["Authorization"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    answer = application(environ, lambda status, headers: told.update(status=int(status[:3]), **dict(headers)))
    return told["status"], told["Content-Type"], json.loads(b"".join(answer))


class TestWhatDjangoCannotMakeARequestOf:
    @pytest.mark.parametrize(
        "kind",
        [
            "application/json; charset=zlib",
            "application/json; charset=undefined",
            "application/json; charset=idna",
            "application/json; charset=utf-16",
            "application/json; charset=nonsense",
            "application/json; charset*=bogus''%41",
        ],
    )
    @pytest.mark.parametrize("query", ["", "a=%C3%A9"])
    def test_is_a_problem(self, caller, kind, query):
        status, kind_of_answer, document = ask(caller, kind, query=query)
        assert (status, kind_of_answer) == (422 if query and status == 422 else 415, "application/problem+json")
        assert document["status"] == status

    def test_is_none_of_plain_json(self, caller):
        assert ask(caller, "application/json; charset=UTF-8")[0] == 200

    def test_a_host_that_is_none_of_ours_is_a_problem(self, caller):
        status, kind, document = ask(caller, "application/json", host="evil.example.com")
        assert (status, kind, document["code"]) == (400, "application/problem+json", "parse_error")


class TestAPathThatIsNone:
    @pytest.mark.parametrize("path", ["/api/cleanup/", "/api/cleanup/nonsense", "/api/cleanup/runs/a/b"])
    def test_is_a_problem(self, caller, path):
        response = caller.get(path)
        assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")


class TestAFailureThatNobodyForesaw:
    def test_is_a_problem(self, caller, monkeypatch):
        monkeypatch.setattr("cleanup.api.views.operations.Status.get", lambda *_: 1 / 0)
        response = caller.get("status")
        assert (response.status_code, response.headers["Content-Type"]) == (500, "application/problem+json")
