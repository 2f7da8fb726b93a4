from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0017_answers_to_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="told_by",
            field=models.JSONField(default=list),
        ),
    ]
