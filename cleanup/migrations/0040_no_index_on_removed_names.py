"""Drop an index that no search uses: names are looked for by what they contain, from the newest on."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0039_run_restored"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="removedfolder", name="cleanup_removedfolder_name"),
    ]
