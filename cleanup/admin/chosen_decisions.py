"""Which of the open decisions a person has chosen, on their page and wherever applications are ticked."""

from django.http import QueryDict

from cleanup.admin import access
from cleanup.services import monitoring

#: Open decisions that are chosen together: so many applications are put on hold, or confirmed to be cleaned up.
MOST_CHOSEN = 100


def chosen(sent: QueryDict) -> list[str]:
    """Return the applications that were ticked, in any list; or all of the open decisions that were listed."""
    if sent.get("next") == "open" and sent.get("every"):
        return monitoring.pending_decisions.first_open(
            using=access.database(), number=MOST_CHOSEN, codes=sent.getlist("code")
        )
    return sent.getlist("application")
