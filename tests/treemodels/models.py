"""A third set of models: no files, no times, small keys; what is filed is filed by a column or by a link table.

`tests/settings_tree_models.py` lets them play the parts. Each way in which programs make a link table is here.
"""

# ruff: noqa: DJ008 - no one looks at these rows

from django.db import models


class Desk(models.Model):
    """Owns topics; its key is a number."""

    class Meta:
        db_table = "library_desks"


class Topic(models.Model):
    """A folder: its key is a number, and nothing tells when it was made."""

    heading = models.CharField(max_length=255)
    above = models.ForeignKey("self", models.CASCADE, null=True)
    desk = models.ForeignKey(Desk, models.CASCADE, null=True)
    icon = models.CharField(max_length=20, db_default="")

    class Meta:
        db_table = "library_topics"


class Entry(models.Model):
    """Filed under a topic by a column, and belongs to no desk of its own."""

    title = models.CharField(max_length=255)
    topic = models.ForeignKey(Topic, models.CASCADE, null=True)
    display_name = models.CharField(max_length=255, null=True)
    file_size = models.IntegerField(db_default=1)


class Item(models.Model):
    """Filed under topics by link tables: an automatic one, and those below."""

    title = models.CharField(max_length=255)
    topics = models.ManyToManyField(Topic)


class Placement(models.Model):
    """A pure link: its key is what it links."""

    pk = models.CompositePrimaryKey("topic_id", "item_id")
    topic = models.ForeignKey(Topic, models.CASCADE)
    item = models.ForeignKey(Item, models.CASCADE)


class Appearance(models.Model):
    """A link with a key and values of its own, and each once."""

    topic = models.ForeignKey(Topic, models.CASCADE)
    item = models.ForeignKey(Item, models.CASCADE)
    note = models.CharField(max_length=100, db_default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["topic", "item"], name="library_appearance_once")]


class Mention(models.Model):
    """A link that may be there twice."""

    topic = models.ForeignKey(Topic, models.CASCADE)
    item = models.ForeignKey(Item, models.CASCADE)
