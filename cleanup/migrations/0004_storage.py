"""How PostgreSQL stores the journal: faster to write, the same to read."""

from django.db import migrations

from cleanup.migrations._operations import restore, tune


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0003_run_progress")]

    operations = [migrations.RunPython(tune, restore)]
