"""The permission that each method of each route requires, declared on the view."""

from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.exceptions import PermissionDenied as FrameworkPermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from cleanup.permissions import DESCRIPTIONS, Permission


class Denied(FrameworkPermissionDenied):
    """The account lacks a permission."""

    def __init__(self, *permissions: Permission) -> None:
        wanted = " or ".join(f"{permission} ({DESCRIPTIONS[permission].lower()})" for permission in permissions)
        super().__init__(f"This requires the permission {wanted}.")
        self.told = {"permission": str(permissions[0])}


def require_permission(request: Request, *permissions: Permission) -> None:
    """Raise Denied unless the account has one of the permissions."""
    if not any(request.user.has_perm(permission) for permission in permissions):
        raise Denied(*permissions)


class HasCleanupPermission(BasePermission):
    """Require one of the permissions that the view names for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True if the account has the permission. Raises NotAuthenticated and Denied."""
        if not request.user.is_authenticated:
            raise NotAuthenticated
        method = "GET" if request.method == "HEAD" else request.method
        permissions = view.required_permissions.get(method, ())  # no such method: the view reports it itself
        if permissions:
            require_permission(request, *permissions)
        return True
