"""The correlation id of a request: taken from ``X-Correlation-ID`` or created, kept for the request, and returned."""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from cleanup import correlation

_Handler = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def correlation_id_middleware(get_response: _Handler) -> _Handler:
    """Give each request an id; list it first, so that all other middleware knows the id."""
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> HttpResponseBase:
            with correlation.bound(correlation_id=_id_of(request)):
                return _marked(await get_response(request))

        return answer_later

    def answer(request: HttpRequest) -> HttpResponseBase:
        with correlation.bound(correlation_id=_id_of(request)):
            return _marked(get_response(request))  # type: ignore[arg-type]  # not asynchronous

    return answer


def _id_of(request: HttpRequest) -> str:
    return correlation.parse(request.headers.get(correlation.HEADER, "")) or correlation.new()


def _marked(response: HttpResponseBase) -> HttpResponseBase:
    response.headers[correlation.HEADER] = correlation.current()
    return response
