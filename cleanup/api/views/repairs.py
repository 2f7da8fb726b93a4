"""Repairs of what verifications find, and decisions about names that look the same."""

from rest_framework.request import Request
from rest_framework.response import Response

from cleanup.api import input_serializers
from cleanup.api.base import Endpoint, Keyed
from cleanup.api.output_serializers import StartedRepair, serializer_of
from cleanup.api.permissions import require_permission
from cleanup.api.run_responses import run_response
from cleanup.api.schema import described, path_id
from cleanup.api.views.applications import APPLICATION_ID
from cleanup.models import NameGroup
from cleanup.permissions import CLEANING, Permission, to_clean_up, to_plan
from cleanup.services.operations import requests
from cleanup.services.repair.kinds import REPAIRABLE
from cleanup.services.results import NameGroupList, ProposedGroup
from cleanup.services.runs.lifecycle import Options


class Repair(Endpoint):
    """The repair of one kind of finding."""

    required_permissions = {"POST": (*CLEANING, Permission.CHECK)}
    limits = {"POST": "clean"}

    @described(
        "Repair what was found",
        {200: StartedRepair, 202: StartedRepair},
        query=input_serializers.CleanupQuery,
        body=input_serializers.RepairBody,
        parameters=[path_id("code", "The code of the findings.", form=None, choices=REPAIRABLE)],
        codes=["frozen", "preflight", "no_cluster", "not_found", "not_repairable", "too_many_to_wait"],
        limited=True,
        keyed=Keyed.BY_VERB,
    )
    def post(self, request: Request, code: str) -> Response:
        """Take away what a verification finds by one code, reversibly.

        Answers 202 with the run, which a cluster works on; 200 with the report of a dry run, which requires the
        permission to check and says in sentences what would change, and with ``wait=true``. Named applications require
        the permission to clean up selected applications; otherwise that to clean up everything is required.
        """
        query, body = self.query(input_serializers.CleanupQuery), self.body(input_serializers.RepairBody)
        ask = to_plan if query["dry_run"] else to_clean_up
        require_permission(request, *ask(named="applications" in body, most=None))
        named = tuple(body["applications"]) if "applications" in body else None
        limits = input_serializers.given(body, "batch_size", "include_held", "include_large")
        options, once = Options(named, repair=code, **limits), self.once(run_response)
        if query["dry_run"]:
            return run_response(requests.dry_run_of_repair(using=self.using, options=options, once=once))
        return run_response(
            requests.repair(using=self.using, options=options, actor=self.actor(body), wait=query["wait"], once=once)
        )


class NameGroups(Endpoint):
    """Folders side by side whose names look the same."""

    required_permissions = {"GET": (Permission.VIEW,), "POST": CLEANING}
    limits = {"GET": "check"}

    @described(
        "List names that look the same",
        {200: serializer_of(NameGroupList)},
        parameters=[APPLICATION_ID],
        codes=["not_found", "preflight"],
        limited=True,
    )
    def get(self, request: Request, application_id: str) -> Response:
        """List an application's folders whose names differ only in case, Unicode form or blanks, in groups."""
        return Response({"results": self.service.name_groups(self.key(application_id, of="application"))})

    @described(
        "Decide about names that look the same",
        {200: serializer_of(ProposedGroup)},
        body=input_serializers.NamesBody,
        parameters=[APPLICATION_ID],
        codes=["not_found", "not_repairable", "preflight"],
    )
    def post(self, request: Request, application_id: str) -> Response:
        """Approve a group, so that a repair of ``names_alike`` merges it, or dismiss it, so that it is no finding."""
        body, key = self.body(input_serializers.NamesBody), self.key(application_id, of="application")
        if body["decision"] == NameGroup.Decision.DISMISSED:
            return Response(self.service.dismiss_names(key, body["folder_id"], decided_by=self.account))
        return Response(
            self.service.approve_names(key, body["folder_id"], stays=body["stays"], decided_by=self.account)
        )
