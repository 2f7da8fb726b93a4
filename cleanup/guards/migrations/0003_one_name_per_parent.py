from django.db import migrations

from cleanup.guard_names import Guard
from cleanup.guards.operations import PutGuard


class Migration(migrations.Migration):
    # Concurrent builds and bounded lock waits need transactions of their own.
    atomic = False

    dependencies = [("cleanup_guards", "0002_one_root_per_application")]

    operations = [PutGuard(Guard.ONE_NAME)]
