"""The project's settings with both databases: `default` is SQLite in a file, `postgresql` a real server.

Tests name neither: they ask for the fixture `database` (or `scratch_database`, `blank_database`), see conftest.
"""

import os

from project import database
from project.settings import *  # noqa: F403 - settings are a module of names
from project.settings import DATA_DIR, DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.hostapp"]

# In a file, not in memory: the engine is tested with several connections, threads and processes.
DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}

# Absent when these settings are read outside pytest, as by mypy.
if url := os.environ.get("CLEANUP_TEST_POSTGRES_URL"):
    DATABASES["postgresql"] = database.parse_database_url(url, default_file=DATA_DIR / "unused.sqlite3")
    # No order between the two: neither refers to the other.
    DATABASES["postgresql"]["TEST"] = {"NAME": "test_cleanup", "DEPENDENCIES": []}

# Real password hashing takes a tenth of a second for each user a test makes.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file is looked for when it is asked for: each client of a test would list all of them.
WHITENOISE_AUTOREFRESH = True
