"""Rename the model of the automation's switch, and its table.

The table is renamed in the catalogue: no row is read or written. The check constraint keeps its name, since SQLite
would rebuild the table to change it.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0020_undone_points")]

    operations = [
        migrations.RenameModel("Service", "AutomationState"),
        migrations.AlterModelOptions("automationstate", {"verbose_name": "automation state"}),
    ]
