"""A second set of application, folder and file: other names everywhere, other keys, quoting, soft deletion, and columns
that must be filled. `tests/settings_own_models.py` lets them play the parts."""

# ruff: noqa: DJ008 - no one looks at these rows

from django.db import models


class Customer(models.Model):
    """Owns binders; its key is a number."""

    number = models.BigAutoField(primary_key=True, db_column="customer no")
    branch = models.CharField(max_length=20, db_default="main")

    class Meta:
        db_table = "Clients"


class Binder(models.Model):
    """A folder; its key is text, and a binned one is still there."""

    code = models.CharField(primary_key=True, max_length=40)
    caption = models.CharField(max_length=255, db_column="Title")
    inside = models.ForeignKey("self", models.CASCADE, null=True, db_column="inside")
    client = models.ForeignKey(Customer, models.CASCADE, null=True, db_column="belongs to")
    opened = models.DateTimeField(null=True, db_column="opened on")
    is_deleted = models.BooleanField(db_default=False)
    material = models.CharField(max_length=20, db_default="grey")
    updated_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "Client binders"


class Paper(models.Model):
    """A file; its key is a small number, its table's name a reserved word."""

    serial = models.AutoField(primary_key=True)
    heading = models.CharField(max_length=255, db_column="Heading")
    binder = models.ForeignKey(Binder, models.CASCADE, null=True, db_column="kept in")
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, db_column="of")
    display_name = models.CharField(max_length=255, null=True)
    file_size = models.IntegerField(db_default=1)

    class Meta:
        db_table = "group"
