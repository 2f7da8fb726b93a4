from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0038_name_groups"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="restored",
            field=models.JSONField(default=dict),
        ),
    ]
