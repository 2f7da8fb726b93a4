"""Settings of a project whose admin wears another theme: django-unfold, which brings styles and scripts of its own."""

from project.settings import *  # noqa: F403  # settings are a module of names
from project.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = ["cleanup", "unfold", *(app for app in INSTALLED_APPS if app != "cleanup")]
MIDDLEWARE = [name for name in MIDDLEWARE if name != "csp.middleware.CSPMiddleware"]
