from django.db import migrations

from cleanup.guards.operations import MakeSupportingIndexes


class Migration(migrations.Migration):
    # Concurrent builds and bounded lock waits need transactions of their own.
    atomic = False

    dependencies = [("cleanup", "0005_queue_and_structure_lock")]

    operations = [MakeSupportingIndexes()]
