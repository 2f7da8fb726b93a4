"""The ways a notification goes: e-mail by Django's settings, and Apprise by URLs from the environment alone.

Invariants: an Apprise URL is a secret, so what is shown, stored and logged of it is its scheme, and its host where that
is a host; nothing is sent to an address inside the network unless a setting allows it, not by a redirect either.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.core import mail

from cleanup import conf
from cleanup.exceptions import ChannelFailed, MissingPackage
from cleanup.extras import ALERTS
from cleanup.services.alerting.addresses import Watch, is_outside, only_outside, resolved

if TYPE_CHECKING:
    from apprise import NotifyBase, NotifyType

#: Seconds that a mail server may take, where the project says nothing.
_PATIENCE = 10

_SCHEME_LENGTH = 20

_PRIVATE = "its host is inside the network, which CLEANUP_ALERT_PRIVATE_ADDRESSES does not allow"

#: What logs the URLs that Apprise works with.
_TALKATIVE = ("apprise", "urllib3.connectionpool", "urllib3.util.retry")

_handling_secrets: ContextVar[bool] = ContextVar("handling_secrets", default=False)


class Channel(Protocol):
    """One way."""

    @property
    def label(self) -> str:
        """What it is called; two have not the same label."""

    def send(self, *, subject: str, body: str, critical: bool) -> None:
        """Send a text. Raises ChannelFailed."""


def channels() -> Sequence[Channel]:
    """Return the ways that are set up. Raises MisconfiguredSetting."""
    found: list[Channel] = [AppriseChannel(label, url) for label, url in _labelled(conf.alert_urls())]
    if recipients := conf.alert_emails():
        found.insert(0, EmailChannel(recipients))
    return found


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """Mail by the project's mail settings."""

    recipients: tuple[str, ...]

    @property
    def label(self) -> str:
        """E-mail has no secret, and its recipients stand nowhere but in the setting."""
        return "email"

    def send(self, *, subject: str, body: str, critical: bool) -> None:
        """Send one mail to all recipients. Raises ChannelFailed."""
        headers = {"Importance": "high"} if critical else {}
        try:
            with _mail_server() as connection:
                sent = connection.send_messages([mail.EmailMessage(subject, body, to=self.recipients, headers=headers)])
        except Exception as error:  # a backend may raise anything
            # Its text may quote addresses.
            raise ChannelFailed(channel=self.label, problem=type(error).__name__) from error
        if not sent:
            raise ChannelFailed(channel=self.label, problem="not accepted")


def _mail_server() -> Any:
    """Return the mail backend of the project, which waits for no server for ever."""
    if not (hasattr(mail, "mailers") and hasattr(settings, "MAILERS")):  # before Django 6.1, or not changed to it yet
        return mail.get_connection(timeout=settings.EMAIL_TIMEOUT or _PATIENCE)
    connection: Any = mail.mailers.default
    if getattr(connection, "timeout", _PATIENCE) is None:
        connection.timeout = _PATIENCE
    return connection


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """One Apprise URL."""

    label: str
    url: str

    def send(self, *, subject: str, body: str, critical: bool) -> None:
        """Send a text. Raises ChannelFailed."""
        try:
            ALERTS.require("An alert's URL")
        except MissingPackage as error:
            raise ChannelFailed(channel=self.label, problem=str(error)) from error
        import apprise  # noqa: PLC0415  # need not be there, and is slow to import

        with _discreetly():
            self._send(subject, body, apprise.NotifyType.FAILURE if critical else apprise.NotifyType.WARNING)

    def _send(self, subject: str, body: str, kind: "NotifyType") -> None:
        import apprise  # noqa: PLC0415  # as above

        plugin = _plugin(self.url)
        if plugin is None:
            raise ChannelFailed(channel=self.label, problem="not a URL that Apprise knows")
        watching: AbstractContextManager[Watch] = nullcontext(Watch(frozenset()))
        if not conf.alert_private_addresses():
            watching = only_outside()
            plugin.redirects = False
            self._refuse_private(plugin)
        with watching as watch:
            try:
                sent = plugin.notify(body=body, title=subject, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
            except Exception as error:  # a plugin may raise anything
                raise ChannelFailed(channel=self.label, problem=type(error).__name__) from error
        if not sent:
            raise ChannelFailed(channel=self.label, problem=_PRIVATE if watch.refused else "not accepted")

    def _refuse_private(self, plugin: "NotifyBase") -> None:
        """Judge hosts before anything is tried; the connections are judged once more when they are made."""
        for host in _hosts(plugin):
            try:
                addresses = resolved(host)
            except (OSError, UnicodeError):
                raise ChannelFailed(channel=self.label, problem="its host has no address") from None
            if not all(map(is_outside, addresses)):
                raise ChannelFailed(channel=self.label, problem=_PRIVATE)
            if plugin.schema == "rsyslog":  # it connects to nothing, and names the host as it sends
                plugin.host = addresses[0]


class _Discretion(logging.Filter):
    def filter(self, _record: logging.LogRecord) -> bool:
        return not _handling_secrets.get()


_DISCRETION = _Discretion()


@contextmanager
def _discreetly() -> Iterator[None]:
    """Keep from the log what Apprise, and what it sends with, say about URLs; the outcome is told by the caller."""
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_DISCRETION)
    token = _handling_secrets.set(True)
    try:
        yield
    finally:
        _handling_secrets.reset(token)


def _plugin(url: str) -> "NotifyBase | None":
    try:
        import apprise  # noqa: PLC0415  # as above
    except ImportError:
        return None

    with _discreetly():
        plugin: NotifyBase | None = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    return plugin


def _hosts(plugin: "NotifyBase") -> Iterator[str]:
    """Yield the hosts that the URL itself names; the others are those of the public service."""
    templates: tuple[str, ...] = plugin.templates
    if any("{host}" in template for template in templates):
        for host in {plugin.host, getattr(plugin, "smtp_host", None)}:
            if host:
                yield str(host).strip("[]")


def labels(urls: Sequence[str]) -> list[str]:
    """Return what may be shown of Apprise URLs."""
    return [label for label, _ in _labelled(urls)]


def _labelled(urls: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield label and URL, the label numbered where several would be the same."""
    labels: dict[str, int] = {}
    for url in urls:
        label = _shown(url)
        labels[label] = labels.get(label, 0) + 1
        yield (label if labels[label] == 1 else f"{label} ({labels[label]})"), url


def _shown(url: str) -> str:
    """Return scheme and host; of many services, what stands in the place of the host is a token."""
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme.isalnum() or len(scheme) > _SCHEME_LENGTH:
        return "no URL"
    plugin = _plugin(url)
    host = None if plugin is None else next(_hosts(plugin), None)
    return f"{scheme.lower()}://{host or ''}"
