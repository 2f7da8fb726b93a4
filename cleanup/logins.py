"""Limits on failed logins, for projects that want them: a backend that is asked first, and a middleware.

Wrong passwords are counted by account and address together, by address, and by account. So no one elsewhere can keep a
user out: a user who has logged in from an address before is not blocked there by what others do to the account.
"""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import ngettext

from cleanup import conf, failed_attempts

#: Seconds for which an address stays known after a login from it.
KNOWN = 30 * 86400

_WAIT = "_cleanup_seconds_to_wait"


class LimitedLogins:
    """Refuses to try another password if too many were wrong; list it first in ``AUTHENTICATION_BACKENDS``.

    It knows no users, so it has none of a backend's other methods: Django skips it for those.
    """

    def authenticate(self, request: HttpRequest | None, username: Any = None, **credentials: Any) -> None:
        """Let the other backends decide. Raises ValidationError, which a login form shows."""
        if request is None:
            return
        account, address = _account(username, credentials), failed_attempts.address_of(request)
        rates = conf.login_rates()
        kinds = _kinds(account, address)
        if cache.get(_known(account, address)):
            del kinds["account"]
        wait = max(failed_attempts.seconds_to_wait(rate=rates[kind], kind=kind, by=by) for kind, by in kinds.items())
        if wait:
            setattr(request, _WAIT, wait)
            text = ngettext(
                "Too many wrong passwords. Try again in %(number)s second.",
                "Too many wrong passwords. Try again in %(number)s seconds.",
                wait,
            )
            raise ValidationError(text % {"number": wait}, code="throttled")

    async def aauthenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        """Do the same for asynchronous calls."""
        await sync_to_async(self.authenticate)(request, **credentials)


class LimitedLoginsMiddleware(MiddlewareMixin):
    """Answers 429 with ``Retry-After`` if a login was refused without trying it."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        """Set the status and header; the page is still the login form, with the reason."""
        wait = getattr(request, _WAIT, 0)
        if wait:
            response.status_code = 429
            response.headers["Retry-After"] = str(wait)
        return response


@receiver(user_login_failed, dispatch_uid="cleanup wrong login")
def _note(credentials: Any, request: HttpRequest | None = None, **_: Any) -> None:
    if request is None:
        return
    rates = conf.login_rates()
    for kind, by in _kinds(_account(None, credentials), failed_attempts.address_of(request)).items():
        failed_attempts.note(rate=rates[kind], kind=kind, by=by)


@receiver(user_logged_in, dispatch_uid="cleanup right login")
def _remember(request: HttpRequest | None, user: Any, **_: Any) -> None:
    if request is not None:
        cache.set(_known(_account(user.get_username(), {}), failed_attempts.address_of(request)), 1, timeout=KNOWN)


def _kinds(account: str, address: str) -> dict[str, str]:
    return {"account_and_address": f"{account} {address}", "address": address, "account": account}


def _account(username: Any, credentials: Any) -> str:
    return str(username or credentials.get("username") or credentials.get("email") or "").strip().casefold()


def _known(account: str, address: str) -> str:
    return failed_attempts.cache_key("known", f"{account} {address}")
