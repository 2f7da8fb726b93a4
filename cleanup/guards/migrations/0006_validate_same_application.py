from django.db import migrations

from cleanup.guard_names import Guard
from cleanup.guards.operations import ValidateGuard


class Migration(migrations.Migration):
    # Concurrent builds and bounded lock waits need transactions of their own.
    atomic = False

    dependencies = [("cleanup_guards", "0005_file_in_same_application")]

    operations = [ValidateGuard(Guard.PARENT_APPLICATION), ValidateGuard(Guard.FILE_APPLICATION)]
