"""Wrong attempts, counted in Django's default cache: so many of a kind, by whoever makes them, in a window of time.

Invariants: only what was wrong counts, and what is refused is not tried; a window ends, so no one waits longer than it.
What is wrong is kept as a hash.
"""

import hashlib
import ipaddress
import time
from typing import Any

from django.core.cache import cache

from cleanup import conf

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_to_wait(*, rate: str | None, kind: str, by: str) -> int:
    """Return for how long no more attempts are taken; 0: there are some left."""
    if rate is None:
        return 0
    most, window = _read(rate)
    now = int(time.time())
    return window - now % window if cache.get(_key(kind, by, window, now), 0) >= most else 0


def note(*, rate: str | None, kind: str, by: str) -> None:
    """Count a wrong attempt."""
    if rate is None:
        return
    _, window = _read(rate)
    key = _key(kind, by, window, int(time.time()))
    if not cache.add(key, 1, timeout=window):
        try:
            cache.incr(key)
        except ValueError:  # its window has ended in between
            cache.add(key, 1, timeout=window)


def address_of(request: Any) -> str:
    """Return where a request comes from: the address, or of IPv6 the network, of which one machine has all.

    Behind proxies, what the outermost of them has seen; what a client writes before that counts for nothing.
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
    """Return a key for the cache that names nobody."""
    return f"cleanup_{kind}_{hashlib.sha256(by.encode(errors='surrogatepass')).hexdigest()}"


def _key(kind: str, by: str, window: int, now: int) -> str:
    return f"{cache_key(f'wrong_{kind}', by)}_{now // window}"
