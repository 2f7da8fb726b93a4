"""A host's path column, and the function that computes it anew."""

from django.db import connections

from cleanup.models import Folder


def rebuild(*, using: str, application_ids: list[str]) -> None:
    """Set ``path`` of the applications' folders to the names from the root."""
    folders = {folder.pk: folder for folder in Folder.objects.using(using).filter(application__in=application_ids)}
    with connections[using].cursor() as cursor:
        for folder in folders.values():
            names, above = [], folder
            while above is not None:
                names.insert(0, above.name)
                above = folders.get(above.parent_id)
            key = Folder._meta.pk.get_db_prep_value(folder.pk, connections[using])
            cursor.execute("UPDATE folders SET path = %s WHERE id = %s", ["/".join(names), key])
