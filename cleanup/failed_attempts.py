"""Failed attempts, counted in Django's default cache: so many of a kind, by account or address, in a window of time.

Invariants: only failed attempts count, and what is refused is not tried; a window ends, so no one waits longer than
that. Only hashes are kept.
"""

import hashlib
import ipaddress
import time
from typing import Any

from django.core.cache import cache

from cleanup import conf

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_to_wait(*, rate: str | None, kind: str, by: str) -> int:
    """Return how long no more attempts are accepted; 0: there are some left."""
    if rate is None:
        return 0
    most, window = _read(rate)
    now = int(time.time())
    return window - now % window if cache.get(_key(kind, by, window, now), 0) >= most else 0


def note(*, rate: str | None, kind: str, by: str) -> None:
    """Count a failed attempt."""
    if rate is None:
        return
    _, window = _read(rate)
    key = _key(kind, by, window, int(time.time()))
    if not cache.add(key, 1, timeout=window):
        try:
            cache.incr(key)
        except ValueError:  # its window has ended in the meantime
            cache.add(key, 1, timeout=window)


def address_of(request: Any) -> str:
    """Return where a request comes from: the address, or for IPv6 the network, which belongs to one machine.

    Behind proxies, the address that the outermost of them has seen; what a client adds before that is ignored.
    """
    address = request.META.get("REMOTE_ADDR", "")
    proxies = conf.proxies()
    if proxies:
        seen = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
        address = seen[-min(proxies, len(seen))] if seen else address
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return str(address)
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else str(known)


def _read(rate: str) -> tuple[int, int]:
    number, _, unit = rate.partition("/")
    return int(number), _UNITS[unit[0]]


def cache_key(kind: str, by: str) -> str:
    """Return a key for the cache that identifies no one."""
    return f"cleanup_{kind}_{hashlib.sha256(by.encode(errors='surrogatepass')).hexdigest()}"


def _key(kind: str, by: str, window: int, now: int) -> str:
    return f"{cache_key(f'wrong_{kind}', by)}_{now // window}"
