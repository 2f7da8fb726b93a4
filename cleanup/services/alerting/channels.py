"""The channels of notifications: e-mail by Django's settings, and Apprise by URLs from the environment only.

Invariants: an Apprise URL is a secret, so only its scheme, and its host if that is a host, are shown, stored and
logged; nothing is sent to an address inside the network unless a setting allows it, not even by a redirect.
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

#: Seconds that a mail server may take, unless the project sets a timeout.
_PATIENCE = 10

_SCHEME_LENGTH = 20

_PRIVATE = "its host is inside the network, which CLEANUP_ALERT_PRIVATE_ADDRESSES does not allow"

#: The loggers that log the URLs that Apprise works with.
_TALKATIVE = ("apprise", "urllib3.connectionpool", "urllib3.util.retry")

_handling_secrets: ContextVar[bool] = ContextVar("handling_secrets", default=False)


class Channel(Protocol):
    """One channel."""

    @property
    def label(self) -> str:
        """The name of the channel; labels are unique."""

    def send(self, *, subject: str, body: str, critical: bool) -> None:
        """Send a text. Raises ChannelFailed."""


def channels() -> Sequence[Channel]:
    """Return the channels that are set up. Raises MisconfiguredSetting."""
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
        """E-mail has no secret, and its recipients are nowhere but in the setting."""
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
    """Return the mail backend of the project, with a timeout."""
    if not (hasattr(mail, "mailers") and hasattr(settings, "MAILERS")):  # before Django 6.1, or not adapted to it yet
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
        import apprise  # noqa: PLC0415  # optional, and slow to import

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
        """Check the hosts before anything is tried; the connections are checked again when they are made."""
        for host in _hosts(plugin):
            try:
                addresses = resolved(host)
            except (OSError, UnicodeError):
                raise ChannelFailed(channel=self.label, problem="its host has no address") from None
            if not all(map(is_outside, addresses)):
                raise ChannelFailed(channel=self.label, problem=_PRIVATE)
            if plugin.schema == "rsyslog":  # it connects to nothing, and gives the host when it sends
                plugin.host = addresses[0]


class _Discretion(logging.Filter):
    def filter(self, _record: logging.LogRecord) -> bool:
        return not _handling_secrets.get()


_DISCRETION = _Discretion()


@contextmanager
def _discreetly() -> Iterator[None]:
    """Keep URLs that Apprise and its libraries log out of the log; the caller reports the outcome."""
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
    """Yield the hosts that the URL itself names; other hosts belong to a public service."""
    templates: tuple[str, ...] = plugin.templates
    if any("{host}" in template for template in templates):
        for host in {plugin.host, getattr(plugin, "smtp_host", None)}:
            if host:
                yield str(host).strip("[]")


def labels(urls: Sequence[str]) -> list[str]:
    """Return the parts of Apprise URLs that may be shown."""
    return [label for label, _ in _labelled(urls)]


def _labelled(urls: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield label and URL, the label numbered if several would be the same."""
    labels: dict[str, int] = {}
    for url in urls:
        label = _shown(url)
        labels[label] = labels.get(label, 0) + 1
        yield (label if labels[label] == 1 else f"{label} ({labels[label]})"), url


def _shown(url: str) -> str:
    """Return scheme and host; for many services, a token is in the place of the host."""
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme.isalnum() or len(scheme) > _SCHEME_LENGTH:
        return "no URL"
    plugin = _plugin(url)
    host = None if plugin is None else next(_hosts(plugin), None)
    return f"{scheme.lower()}://{host or ''}"
