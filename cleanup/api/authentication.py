"""Who asks: a token (Authorization: Bearer), or the session of a user who has logged in with a browser.

Tokens are those of django-rest-knox: random, stored as a hash, and they expire. A session asks for the CSRF token.
"""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.models import get_token_model
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from cleanup import conf, failed_attempts


class BearerAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """Take a token from the Authorization header; one query, and nothing is written.

    A valid token is always accepted, so that no one can lock out others; too many wrong ones by address are refused.
    """

    def authenticate(self, request: Request) -> Any:
        """Return user and token, or None without a token. Raises AuthenticationFailed and Throttled."""
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            rate, address = conf.api_rates()["wrong_tokens"], failed_attempts.address_of(request)
            if wait := failed_attempts.seconds_to_wait(rate=rate, kind="token", by=address):
                raise Throttled(wait=wait) from None
            failed_attempts.note(rate=rate, kind="token", by=address)
            raise

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, as RFC 6750 does."""
        return "Bearer"

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return user and token. Raises AuthenticationFailed."""
        # By the hash, which is the key: the original looks at every token of the user, and deletes the expired ones.
        digest = hash_token(token.decode("latin-1"))
        found = get_token_model().objects.select_related("user").filter(digest=digest).first()
        if found is None or (found.expiry is not None and found.expiry <= timezone.now()):
            raise AuthenticationFailed("The token is unknown or has expired.")
        return self.validate_user(found)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # it registers itself
    """Describe the tokens in the schema."""

    target_class = BearerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the OpenAPI form."""
        return {"type": "http", "scheme": "bearer", "description": "A token, created by POST /api/cleanup/tokens."}


#: In this order, so that an unauthenticated client gets a 401 that names the scheme.
AUTHENTICATION = (BearerAuthentication, SessionAuthentication)


def expiry(*, hours: int, within: Any) -> timedelta:
    """Return how long a new token lives: no longer than the token that asks for it, if one does."""
    wanted = timedelta(hours=hours)
    limit = getattr(within, "expiry", None)
    return wanted if limit is None else min(wanted, limit - timezone.now())
