"""One verb of the facade, or a request to the API, in a process of its own: ``python -m tests.benchmarks.child VERB``.

Prints JSON: ``seconds`` of the verb alone, without the start of the interpreter and of Django, those ``in_statements``
of the database, and its ``answer``.
"""

import gc
import json
import sys
import time

import django
from django.db import connection


def checking_over_the_api():
    """Return a function that sends the request, with a token, and returns the answer."""
    from django.contrib.auth.models import User
    from django.test import Client
    from knox.models import AuthToken

    user, _ = User.objects.get_or_create(username="benchmark", is_superuser=True)
    _, token = AuthToken.objects.create(user=user)
    client = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {token}"})

    def check():
        response = client.post("/api/cleanup/check", {}, content_type="application/json")
        assert response.status_code == 200, response.content
        return response.json()

    check()  # a server has answered before
    return check


def main(verb: str) -> None:
    """Perform the verb."""
    django.setup()
    # Now the settings are there.
    from cleanup.services import cleanup_service

    connection.ensure_connection()
    verbs = {
        "api-check": checking_over_the_api() if verb == "api-check" else None,
        "check": cleanup_service.check,
        "dry-run": lambda: cleanup_service.cleanup_all_duplicate_folders(dry_run=True),
        "verify": cleanup_service.verify_cleanup_integrity,
    }
    gc.freeze()  # modules are never garbage; commands and servers have seen to that before they work
    in_statements = 0.0

    def timed(execute, *arguments):
        nonlocal in_statements
        started = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            in_statements += time.perf_counter() - started

    started = time.perf_counter()
    with connection.execute_wrapper(timed):
        answer = verbs[verb]()
    seconds = time.perf_counter() - started
    answer = answer if isinstance(answer, dict) else answer.as_json()
    print(json.dumps({"seconds": seconds, "in_statements": in_statements, "answer": answer}))


if __name__ == "__main__":
    main(*sys.argv[1:])
