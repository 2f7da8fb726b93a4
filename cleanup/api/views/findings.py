"""Stored verifications and their findings."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers
from cleanup.api.base import Endpoint
from cleanup.api.model_serializers import CheckResource, FindingResource, VerificationResource
from cleanup.api.pagination import Listing, Page, page_of
from cleanup.api.schema import described
from cleanup.api.serializer_fields import Key, QueryFlag, QueryNumber
from cleanup.backends.finding_kinds import CODES
from cleanup.exceptions import UnknownObject
from cleanup.models import ConsistencyCheck, Finding, Verification
from cleanup.permissions import Permission


class VerificationsQuery(Page):
    """Which verifications."""

    passed = QueryFlag(required=False)
    ordering = serializers.ChoiceField(["-verification_id", "verification_id"], default="-verification_id")


class Verifications(Listing):
    """The verifications of the whole database."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = VerificationsQuery
    row = VerificationResource
    orders = {"-verification_id": ("-id",), "verification_id": ("id",)}

    @described("List verifications", {200: page_of(VerificationResource, "Verification")}, query=VerificationsQuery)
    def get(self, request: Request) -> Response:
        """List the verifications of the whole database, the newest first."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the requested verifications."""
        found = Verification.objects.using(self.using).defer("summary")
        return found.filter(**input_serializers.given(dict(query), "passed"))


class ChecksQuery(Page):
    """Which checks."""

    ordering = serializers.ChoiceField(["-check_id", "check_id"], default="-check_id")


class Checks(Listing):
    """The stored consistency checks."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = ChecksQuery
    row = CheckResource
    orders = {"-check_id": ("-id",), "check_id": ("id",)}

    @described("List checks", {200: page_of(CheckResource, "Check")}, query=ChecksQuery)
    def get(self, request: Request) -> Response:
        """List the stored consistency checks, the newest first: duplicates over time."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the checks."""
        return ConsistencyCheck.objects.using(self.using).defer("summary")


class OneVerification(Endpoint):
    """A verification."""

    required_permissions = {"GET": (Permission.VIEW,)}

    @described("Get a verification", {200: VerificationResource}, codes=["not_found"])
    def get(self, request: Request, verification_id: int) -> Response:
        """Return whether it passed, and the number of findings by code."""
        found = Verification.objects.using(self.using).filter(pk=verification_id).first()
        if found is None:
            raise UnknownObject(what="verification", key=verification_id)
        return Response(VerificationResource(found).data)


class FindingsQuery(Page):
    """Which findings."""

    verification_id = QueryNumber(required=False, min_value=1, max_value=2**63 - 1, help_text="By default, the latest.")
    code = serializers.ChoiceField(CODES, required=False)
    severity = serializers.ChoiceField(Finding.Severity.choices, required=False)
    application_id = Key(of="application", required=False)


class Findings(Listing):
    """Findings of a verification."""

    required_permissions = {"GET": (Permission.VIEW,)}
    filters = FindingsQuery
    row = FindingResource
    orders = {"finding_id": ("id",)}

    @described("List findings", {200: page_of(FindingResource, "Finding")}, query=FindingsQuery)
    def get(self, request: Request) -> Response:
        """List the stored findings of a verification of the whole database, by default of the latest."""
        return self.answer(request)

    def rows(self, query: Mapping[str, Any], **path: Any) -> QuerySet[Any]:
        """Return the requested findings."""
        found = Finding.objects.using(self.using)
        if "verification_id" in query:
            found = found.filter(verification=query["verification_id"])
        else:
            verifications = Verification.objects.using(self.using).exclude(ended_at=None).order_by("-id")
            found = found.filter(verification=verifications.values("id")[:1])
        if "application_id" in query:
            found = found.filter(application_key=query["application_id"])
        return found.filter(**input_serializers.given(dict(query), "code", "severity"))
