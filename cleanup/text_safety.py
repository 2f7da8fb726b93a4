"""What a folder may be called, and how a name is shown. Pure: no Django, no database.

The merge takes names as they are; only folders that are made here have to have good ones.
"""


def fault_of_name(name: object) -> str | None:
    """Describe what keeps a value from being a folder's name; None if it is one. The name itself is not repeated."""
    if not isinstance(name, str):
        return f"it is of type {type(name).__name__}, not text"
    if not name.strip():
        return "it is blank"
    if name != name.strip():
        return "it begins or ends with a blank"
    if not is_storable(name):
        return "it holds NUL or half of a surrogate pair, which no database stores"
    return None


def is_storable(text: str) -> bool:
    """Return whether a database can hold the text: no NUL, no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def safe(value: object) -> str:
    """Return a value with control, direction and other invisible characters escaped, as Python writes them."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in str(value)
    )


def storable(text: str) -> str:
    """Return the text with what no database can hold replaced: NUL, and halves of surrogate pairs."""
    return text.encode(errors="replace").decode().replace("\x00", "?")


def stored_name(text: str) -> str:
    """Return a person's name as it fits the columns for it."""
    return storable(text)[:255]
