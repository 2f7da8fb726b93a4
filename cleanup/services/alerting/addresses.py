"""Determine which addresses are outside the network, and send only to those.

Invariant: the address that is checked is the one that a connection is made to, at that moment. A name that is resolved
once for the check and again for the connection may lead elsewhere the second time.
"""

import errno
import ipaddress
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

#: The addresses routed on the internet; the rest of IPv6 is local, reserved or a form of IPv4.
_IPV6_INTERNET = ipaddress.IPv6Network("2000::/3")
#: Prefix of a network's own translator, which forwards to the IPv4 address in the last four bytes.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_outside(address: str) -> bool:
    """Return whether an address is on the internet; False for anything that is not an address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return _is_public(found)
    if found.ipv4_mapped is not None:
        return _is_public(found.ipv4_mapped)
    if found in _NAT64:
        return _is_public(ipaddress.IPv4Address(found.packed[-4:]))
    # 6to4 is no longer routed (RFC 7526), and versions of Python judge it differently.
    return found in _IPV6_INTERNET and found.sixtofour is None and _is_public(found)


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not address.is_multicast


def resolved(host: str) -> list[str]:
    """Return the addresses of a host. Raises OSError and UnicodeError."""
    return [str(place[0]) for *_, place in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


@dataclass(slots=True)
class Watch:
    """The outcome of the attempted connections."""

    proxies: frozenset[tuple[str, int]]
    """Addresses and ports of the proxies that the environment names: they are inside the network, as they should be."""
    refused: list[str] = field(default_factory=list)


_watch: ContextVar[Watch | None] = ContextVar("watched_connections", default=None)


@contextmanager
def only_outside() -> Iterator[Watch]:
    """Make connections of this thread to an address inside the network fail, whatever makes them."""
    _listen()
    watch = Watch(frozenset(_proxies()))
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def _proxies() -> Iterator[tuple[str, int]]:
    for url in getproxies().values():
        try:
            parts = urlsplit(url if "://" in url else f"//{url}")
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 1080)
            yield from ((address, port) for address in resolved(parts.hostname or ""))
        except (OSError, UnicodeError, ValueError):  # the code that uses it will report what is wrong with it
            continue


_lock = threading.Lock()
_listening = False


def _listen() -> None:
    """Check connections of this process from now on; an audit hook stays until the process ends."""
    global _listening  # noqa: PLW0603  # hooks cannot be removed, so one must be enough
    with _lock:
        if not _listening:
            sys.addaudithook(_judge)
            _listening = True


def _judge(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        return
    watch = _watch.get()
    if watch is None or arguments[0].family not in (socket.AF_INET, socket.AF_INET6) or not arguments[1]:
        return
    host, port = arguments[1][:2]
    if (host, port) in watch.proxies or is_outside(str(host)):
        return
    watch.refused.append(str(host))
    raise PermissionError(errno.EACCES, "The address is inside the network.")
