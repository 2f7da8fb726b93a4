"""The settings of a small project whose models the scenario declares. PEERS_FEATURE chooses which of them there are."""

import os

import dj_database_url

SECRET_KEY = "only for a comparison"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])} if "DATABASE_URL" in os.environ else {}
INSTALLED_APPS = ["django.contrib.contenttypes", "tests.peers.apps.PeersConfig", "cleanup"]
USE_TZ = True

CLEANUP_APPLICATION_MODEL = "peers.Case"
CLEANUP_FOLDER_MODEL = "peers.Section"
CLEANUP_FILE_MODEL = "peers.Document"
CLEANUP_FOLDER_FIELDS = {"parent": "inside", "application": "case", "name": "title", "created": "opened"}
CLEANUP_FILE_FIELDS = {"folder": "section", "application": "case", "name": "heading"}
# Two rows that say different things of one folder and one person: only a person can tell which is right.
if os.environ.get("PEERS_FEATURE") in (None, "unique conflict"):  # a table that is missing is a mistake in the settings
    CLEANUP_COLLISIONS = {"peers_membership": "keep_survivor"}
