"""Of what hangs on folders in real databases, ours loses nothing. (That others do is `python -m tests.peers`.)"""

import json
import os
import subprocess
import sys

import pytest

from tests import ROOT
from tests.peers.__main__ import FEATURES, verdict
from tests.support import databases

pytestmark = pytest.mark.slow

SET_ASIDE = "unique conflict"


@pytest.fixture
def told(blank_database) -> dict[str, dict]:
    """What became of all features at once."""
    url = databases.url_of(blank_database)
    done = subprocess.run(
        [sys.executable, "-m", "tests.peers.child", "cleanup", "losses"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.peers.settings", "DATABASE_URL": url},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.only("postgresql")
class TestTheScenario:
    def test_loses_nothing_and_can_be_undone(self, told):
        kept = {feature: verdict(fate) for feature, fate in told.items() if feature != SET_ASIDE}
        assert kept == {feature: "kept" for feature in FEATURES if feature != SET_ASIDE}
        assert verdict(told[SET_ASIDE]) == "1 of 3 rows set aside, in the undo record"
        assert [feature for feature, fate in told.items() if not fate["undone"]] == []
