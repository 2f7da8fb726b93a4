"""Limits on expensive calls, by kind of call and account."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from cleanup import conf


class KindRateThrottle(SimpleRateThrottle):
    """Limit the rate of calls of a kind, as ``CLEANUP_API_RATES`` says; counted in Django's default cache."""

    rate = "1/s"  # so that the parent's constructor does not look for one
    cache_format = "cleanup_api_%(scope)s_%(ident)s"

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count a call, and return whether it is still allowed."""
        scope = view.limits.get(request.method)
        rate = conf.api_rates().get(scope) if scope else None
        if rate is None:
            return True
        self.scope, self.rate = scope, rate
        self.num_requests, self.duration = self.parse_rate(rate)
        return bool(super().allow_request(request, view))

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count by account."""
        return self.cache_format % {"scope": self.scope, "ident": request.user.pk}
