import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import Permission as Row
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from knox.models import AuthToken

from cleanup.permissions import Permission

UNLIMITED = {"check": None, "clean": None, "tokens": None, "wrong_tokens": None}


@dataclass
class Caller:
    """Someone with a token, or no one."""

    headers: dict[str, str] = field(default_factory=dict)
    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True, raise_request_exception=False))
    user: User | None = None

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """Send a request; a path without a slash at its beginning is one of the API's."""
        url = path if path.startswith("/") else f"/api/cleanup/{path}"
        data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(method, url, headers={**self.headers, **names}, **data)

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self("POST", path, body, **headers)


@pytest.fixture
def served(database, settings) -> str:
    """Have the API work on the database, and everything else be there too; return the alias."""
    settings.CLEANUP_DATABASE = database
    settings.DATABASE_ROUTERS = ["tests.integration.api.routing.Everything"]
    settings.CLEANUP_API_RATES = UNLIMITED
    cache.clear()
    return database


@pytest.fixture
def make_caller(served):
    """Return a function that makes a caller with permissions."""

    def make(*permissions: Permission, superuser: bool = False, name: str = "kim") -> Caller:
        user = User.objects.create_user(name, password="pass", is_superuser=superuser)
        codes = [permission.codename for permission in permissions]
        user.user_permissions.set(Row.objects.filter(content_type__app_label="cleanup", codename__in=codes))
        _, token = AuthToken.objects.create(user=user)
        return Caller(headers={"Authorization": f"Bearer {token}"}, user=user)

    return make


@pytest.fixture
def caller(make_caller) -> Caller:
    """Return one who may do everything."""
    return make_caller(superuser=True, name="root")


@pytest.fixture
def stranger(served) -> Caller:
    """Return one without login."""
    return Caller()
