"""What most tests of repairs begin with; without foreign keys, which forbid what an undo has to bring back."""

import pytest

from cleanup.services import DatabaseCleanupService
from tests.support.trees import Tree, tree


@pytest.fixture
def service(loose) -> DatabaseCleanupService:
    return DatabaseCleanupService(using=loose)


@pytest.fixture
def loan(loose) -> Tree:
    return tree(loose, "top:Loan/{docs:Docs(a.txt), photos:Photos(b.txt)/old:Old(c.txt)}")


@pytest.fixture
def other(loose) -> Tree:
    return tree(loose, "top:Case/docs:Docs(d.txt)")
