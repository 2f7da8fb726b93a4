"""What a new folder of the second set of models needs: its key is text, which no database makes."""

from typing import Any
from uuid import uuid4


def code_of(**_: Any) -> dict[str, str]:
    """Return a key for a new folder."""
    return {"code": f"New {uuid4().hex}"}
