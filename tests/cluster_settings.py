"""The project's settings for clusters under test: what CLEANUP_TEST_SETTINGS says in JSON, over the project's own."""

import json
import os

from project.settings import *  # noqa: F403 - settings are a module of names
from project.settings import DATABASES, LOGGING

globals().update(json.loads(os.environ.get("CLEANUP_TEST_SETTINGS", "{}")))

# The name under which the tests know it, and which their tasks carry.
DATABASES["postgresql"] = DATABASES["default"]

# What django-q2 says of workers that were killed is of use when a test fails.
LOGGING["loggers"]["django-q"] = {"level": "INFO"}
