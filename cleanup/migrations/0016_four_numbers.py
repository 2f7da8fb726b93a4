"""What became of a run's applications, in four numbers: held and skipped ones are counted apart from the cleaned."""

from typing import Any

from django.db import migrations, models
from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce


def count(apps: Any, schema_editor: Any) -> None:
    """Count the results of the runs that there are."""
    runs = apps.get_model("cleanup", "Run").objects.using(schema_editor.connection.alias)
    results = apps.get_model("cleanup", "Result").objects.filter(run=OuterRef("pk")).order_by().values("run")

    def number_of(status: str) -> Coalesce:
        number = results.filter(status=status).values(number=Count("pk"))
        return Coalesce(Subquery(number, output_field=IntegerField()), 0)

    runs.update(held_applications=number_of("held"), skipped_applications=number_of("skipped"))


class Migration(migrations.Migration):
    dependencies = [("cleanup", "0015_who_changed_schedules")]

    operations = [
        migrations.AddField("run", "held_applications", models.PositiveIntegerField(default=0)),
        migrations.AddField("run", "skipped_applications", models.PositiveIntegerField(default=0)),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]
