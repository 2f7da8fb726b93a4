"""Rename what says of a result that it is to be claimed on its own: the column is renamed in the catalogue alone."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0024_snapshot_layout_to_schema")]

    operations = [migrations.RenameField("result", "alone", "isolated")]
