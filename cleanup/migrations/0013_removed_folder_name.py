from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cleanup", "0012_screen_words"),
    ]

    operations = [
        migrations.AddField(
            model_name="removedfolder",
            name="name",
            field=models.CharField(blank=True, db_default="", max_length=255),
        ),
        migrations.AddIndex(
            model_name="removedfolder",
            index=models.Index(fields=["name", "-id"], name="cleanup_removedfolder_name"),
        ),
    ]
