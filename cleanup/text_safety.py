"""Which names a folder may have, and how a name is shown. Pure: no Django, no database.

The merge takes names as they are; only folders that are created here must have valid ones.
"""


def fault_of_name(name: object) -> str | None:
    """Describe why a value is not a valid folder name; None if it is. The name itself is not repeated."""
    if not isinstance(name, str):
        return f"it is of type {type(name).__name__}, not text"
    if not name.strip():
        return "it is blank"
    if name != name.strip():
        return "it begins or ends with white space"
    if not is_storable(name):
        return "it contains NUL or half of a surrogate pair, which no database stores"
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
    """Return the text with characters that no database can hold replaced: NUL, and halves of surrogate pairs."""
    return text.encode(errors="replace").decode().replace("\x00", "?")


def stored_name(text: str) -> str:
    """Return a person's name, cut to fit its columns."""
    return storable(text)[:255]
