"""A host's path column, and the function that recomputes it."""

from tests.support.model_roles import Folder
from tests.support.trees import execute, raw


def rebuild(*, using: str, application_ids: list[str]) -> None:
    """Set ``path`` of the applications' folders to the names from the root."""
    rows = Folder.objects.using(using).filter(application__in=application_ids)
    folders = {key: (parent, name) for key, parent, name in rows.values_list("pk", "parent", "name")}
    for key in folders:
        names, above = [], key
        while above in folders:
            above, name = folders[above]
            names.insert(0, name)
        execute(using, "UPDATE :folders SET path = %s WHERE :folders.key = %s", "/".join(names), raw(using, key))
