import pytest

from tests.support.trees import drop_foreign_keys


@pytest.fixture
def loose(scratch_database) -> str:
    """Return a database like those of other programs that have no foreign keys."""
    drop_foreign_keys(scratch_database)
    return scratch_database
