"""The WSGI application. Importing this module before the settings also turns the connection pool on, see settings."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)

from project.requests import TolerantWSGIHandler  # noqa: E402  # Django reads its settings when it is imported

application = TolerantWSGIHandler()
