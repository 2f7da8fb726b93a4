"""The models have their migrations, whichever of them play the parts: `tests/test_own_models.py` runs this, too."""

import pytest
from django.core.management import call_command

from cleanup import conf


@pytest.mark.django_db(databases="__all__")
def test_there_are_none():
    # The relation to a model that no longer plays a part is none to a swappable model.
    apps = () if conf.application_model() else ("cleanup", "cleanup_guards")
    call_command("makemigrations", *apps, check_changes=True, dry_run=True, verbosity=3)
