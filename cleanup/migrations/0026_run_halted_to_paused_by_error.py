"""Rename what says of a run that an error has paused it: the column is renamed in the catalogue alone."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0025_result_alone_to_isolated")]

    operations = [migrations.RenameField("run", "halted", "paused_by_error")]
