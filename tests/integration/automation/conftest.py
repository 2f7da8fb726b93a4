"""The automated service without clusters: what would be handed to them is kept."""

import pytest

from cleanup.models import Heartbeat
from cleanup.services import AutomatedCleanupService, DatabaseCleanupService
from cleanup.services.background import clusters


@pytest.fixture(autouse=True)
def queue(monkeypatch):
    """Keep deliveries instead of sending them to a broker that no cluster asks: [task, arguments]."""
    kept = []
    monkeypatch.setattr(clusters, "_hand_over", lambda task, arguments, options: kept.append((task, arguments)))
    return kept


@pytest.fixture
def service(database) -> DatabaseCleanupService:
    Heartbeat.objects.using(database).create(cluster="elsewhere:1", host="elsewhere")
    return DatabaseCleanupService(using=database)


@pytest.fixture
def automated(database) -> AutomatedCleanupService:
    return AutomatedCleanupService(using=database)
