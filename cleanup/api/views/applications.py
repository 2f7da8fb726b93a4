"""Applications with duplicates, the plan for each, and where removed folders went."""

from rest_framework.request import Request
from rest_framework.response import Response

from cleanup import queries
from cleanup.api import input_serializers
from cleanup.api.base import Endpoint, Keyed
from cleanup.api.output_serializers import serializer_of
from cleanup.api.pagination import Page, decode_cursor, encode_cursor, next_url, page_of
from cleanup.api.schema import described, path_id
from cleanup.exceptions import UnknownObject
from cleanup.permissions import CLEANING, Permission
from cleanup.services.merging import preview
from cleanup.services.operations import requests
from cleanup.services.results import DuplicateApplication, FolderCleanupResult, FolderSurvivor, Preview
from cleanup.services.runs.lifecycle import Options

APPLICATION_ID = path_id("application_id", "An application.", form=None)


class Applications(Endpoint):
    """The applications with duplicates."""

    required_permissions = {"GET": (Permission.VIEW,)}
    limits = {"GET": "check"}

    @described(
        "List applications with duplicates",
        {200: page_of(serializer_of(DuplicateApplication), "DuplicateApplication")},
        query=Page,
        limited=True,
    )
    def get(self, request: Request) -> Response:
        """List them by id, as their folders are now.

        A page examines some thousand applications, so it may hold fewer rows than the limit, even none, without being
        the last one: on that, ``next`` is null.
        """
        query = self.query(Page)
        after = decode_cursor(query["cursor"], parts=2)[1] if "cursor" in query else None
        rows, until = queries.affected_page(using=self.using, after=after, limit=query["limit"])
        cursor = None if until is None else encode_cursor(["Applications", until])
        results = [
            DuplicateApplication(row.application_id, root_folders=row.roots, duplicates=row.duplicates).as_json()
            for row in rows
        ]
        return Response({"next": next_url(request, cursor), "results": results})


class OneApplication(Endpoint):
    """The plan for an application."""

    required_permissions = {"GET": (Permission.VIEW,)}
    limits = {"GET": "check"}

    @described(
        "Get the plan for an application",
        {200: serializer_of(Preview)},
        parameters=[APPLICATION_ID],
        codes=["not_found", "preflight", "too_large_to_preview"],
        limited=True,
    )
    def get(self, request: Request, application_id: str) -> Response:
        """Show the tree before and after, what becomes of each folder and why, and what prevents the cleanup.

        ``plan_hash`` confirms the plan when it is carried out.
        """
        key = self.key(application_id, of="application")
        return Response(
            preview.preview(using=self.using, application_id=key).shortened(requests.MOST_FOLDERS).as_json()
        )


class CleanupApplication(Endpoint):
    """The cleanup of one application."""

    required_permissions = {"POST": CLEANING}
    limits = {"POST": "clean"}

    @described(
        "Clean up one application",
        {200: serializer_of(FolderCleanupResult)},
        body=input_serializers.ConsolidateBody,
        parameters=[APPLICATION_ID],
        codes=["not_found", "frozen", "preflight", "held", "stale_plan", "too_large", "collision", "different_roots"],
        limited=True,
        keyed=Keyed.BY_VERB,
    )
    def post(self, request: Request, application_id: str) -> Response:
        """Merge one application in this request, even while a run is active.

        With ``plan_hash``, only the plan that was reviewed is carried out; if it has changed, the answer is 409
        ``stale_plan`` with the new plan, unless that is too large.
        """
        body, key = self.body(input_serializers.ConsolidateBody), self.key(application_id, of="application")
        options = Options(include_held=body["include_held"], include_large=body["include_large"])
        return Response(
            requests.consolidate(
                using=self.using,
                application_id=key,
                options=options,
                actor=self.actor(body),
                plan_hash=body.get("plan_hash"),
                once=self.once(),
            )
        )


class Survivor(Endpoint):
    """Where a removed folder went."""

    required_permissions = {"GET": (Permission.VIEW,)}

    @described(
        "Follow a removed folder",
        {200: serializer_of(FolderSurvivor)},
        parameters=[path_id("folder_id", "A folder that was removed.", form=None)],
        codes=["not_found"],
    )
    def get(self, request: Request, folder_id: str) -> Response:
        """Return the folder that a removed folder's id leads to now, so that old links can follow; 404 if unknown."""
        key = self.key(folder_id, of="folder")
        survivor = self.service.resolve_folder(key)
        if survivor is None:
            raise UnknownObject(what="removed folder", key=key)
        return Response(FolderSurvivor(folder_id=key, survivor_id=survivor).as_json())
