"""Titles for the admin site of a project that is there for the cleanup alone."""

from django.utils.translation import gettext_lazy as _

SITE = _("Folder cleanup")
INDEX = _("What would you like to do?")
