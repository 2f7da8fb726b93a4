"""Let a request that is sent twice start one run.

Invariant: key and run are written in one transaction, the key first. So of two requests with one key the database lets
one through and has the other wait for it; a start that is refused, or breaks off, leaves no key behind.
"""

import hashlib
import json
from collections.abc import Callable

from django.db import IntegrityError, transaction

from cleanup.exceptions import KeyReused
from cleanup.models import RequestKey, Run
from cleanup.services.reports import JSON


def once(*, using: str, account: str, key: str, request: JSON, start: Callable[[], Run]) -> tuple[Run, bool]:
    """Start a run, and return it with True; or return the run that this key has started, with False.

    Without a key, it is started in any case. Raises KeyReused, and what ``start`` raises.
    """
    if not key:
        return start(), True
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    try:
        with transaction.atomic(using=using):
            row = RequestKey.objects.using(using).create(account=account, key=key, digest=digest)
            row.run = start()
            row.save(using=using, update_fields=["run"])
            return row.run, True
    except IntegrityError:
        earlier = RequestKey.objects.using(using).select_related("run").filter(account=account, key=key).first()
        if earlier is None or earlier.run is None:
            raise  # it was another constraint
    if earlier.digest != digest:
        raise KeyReused
    return earlier.run, False
