"""Tokens of the requesting account: created, listed, revoked; no account sees another's."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from knox.models import get_token_model
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers
from cleanup.api.authentication import expiry
from cleanup.api.base import Endpoint
from cleanup.api.model_serializers import NewTokenResource, TokenResource
from cleanup.api.schema import described, path_id
from cleanup.exceptions import UnknownObject
from cleanup.permissions import Permission


class TokenEndpoint(Endpoint):
    """Tokens."""

    def own(self) -> QuerySet[Any]:
        """Return the live tokens of the account, the newest first; an account has only a few.

        Elsewhere, tokens without an expiry can be created; they are valid, so they are listed as well.
        """
        endless, not_over = Q(expiry=None), Q(expiry__gt=timezone.now())
        live = get_token_model().objects.filter(endless | not_over, user=self.request.user)
        return live.order_by("-created")  # type: ignore[no-any-return]  # knox has no types


class TokenList(serializers.Serializer[Any]):
    """The tokens of an account."""

    results = TokenResource(many=True)


class Tokens(TokenEndpoint):
    """The tokens of the account."""

    required_permissions = {"GET": (Permission.VIEW,), "POST": (Permission.VIEW,)}
    limits = {"POST": "tokens"}

    @described("List your tokens", {200: TokenList})
    def get(self, request: Request) -> Response:
        """List the account's tokens that have not expired."""
        return Response({"results": TokenResource(self.own(), many=True).data})

    @described(
        "Make a token", {201: NewTokenResource}, body=input_serializers.TokenBody, limited=True, secrets=["token"]
    )
    def post(self, request: Request) -> Response:
        """Create a token for the account, with all its permissions. It is shown once, and stored as a hash.

        A token that is created with another token lives no longer than that one.
        """
        life = expiry(hours=self.body(input_serializers.TokenBody)["hours"], within=request.auth)
        made, token = get_token_model().objects.create(user=request.user, expiry=life)
        return Response({**TokenResource(made).data, "token": token}, status=201)


class OneToken(TokenEndpoint):
    """A token of the account."""

    required_permissions = {"DELETE": (Permission.VIEW,)}

    @described(
        "Revoke a token",
        {204: None},
        parameters=[path_id("token_id", "A token's first characters.", form=None)],
        codes=["not_found"],
    )
    def delete(self, request: Request, token_id: str) -> Response:
        """Revoke a token of the account at once."""
        printable = token_id.isascii() and token_id.isprintable()
        deleted = self.own().filter(token_key=token_id).delete()[0] if printable else 0
        if not deleted:
            raise UnknownObject(what="token", key=token_id)
        return Response(status=204)
