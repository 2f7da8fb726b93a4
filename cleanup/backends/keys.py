"""Keys that columns spell in several ways, as SQL: what they name, and which spellings are not searched for.

Invariant: no expression here fails on any value; what is not a key becomes null, or equals none.
"""

from cleanup.backends.catalogue import Column

#: Characters that may appear between and around the digits of a UUID.
_AROUND = "-{} "

#: The spellings that ``KeyColumn.spellings`` knows, as a regular expression of PostgreSQL.
_KNOWN = "|".join(
    spelling
    for digit in ("[0-9a-f]", "[0-9A-F]")
    for hyphened in (f"{digit}{{8}}-{digit}{{4}}-{digit}{{4}}-{digit}{{4}}-{digit}{{12}}",)
    for spelling in (hyphened, rf"\{{{hyphened}\}}", f"{digit}{{32}}")
)


def is_padded(column: Column) -> bool:
    """Return whether PostgreSQL pads the column's values with spaces, which are ignored in comparisons."""
    return column.stored_type.startswith("character(")


def uuid_in_text(text: str) -> str:
    """Return the UUID that a text spells on PostgreSQL, null if it spells none."""
    digits = f"translate(lower({text}::text), '{_AROUND}', '')"
    return f"CASE WHEN {digits} ~ '^[0-9a-f]{{32}}$' THEN {digits}::uuid END"


def integer_in_text(text: str) -> str:
    """Return the integer that a text spells on PostgreSQL, null if it spells none that is usable."""
    return f"CASE WHEN {text}::text ~ '^-?[0-9]{{1,18}}$' THEN {text}::text::bigint END"


def digits_in_text(text: str) -> str:
    """Return the digits of the UUID that a text spells, as SQLite keeps them."""
    for character in _AROUND:
        text = f"replace({text}, '{character}', '')"
    return f"lower({text})"


def same_key(loose: str, key: str, *, own: Column, of_key: Column, spelled: bool) -> str:
    """Test on PostgreSQL whether the column ``own`` names the key that the column ``of_key`` holds."""
    if is_padded(own) or is_padded(of_key):
        if of_key.stored_type == "uuid":
            return f"{key} = {uuid_in_text(loose)}"
        return f"{key}::bpchar = {loose}::bpchar"
    if own.stored_type == of_key.stored_type:
        return f"{key} = {loose}"
    if spelled and of_key.stored_type == "uuid":
        return f"{key} = {uuid_in_text(loose)}"
    return f"{key}::text = {loose}::text"


def odd_spellings(column: str, *, of_key: Column) -> str:
    """Test on PostgreSQL whether a text spells a key in a way that is not searched for."""
    if of_key.stored_type == "uuid":
        digits = f"translate(lower({column}::text), '{_AROUND}', '')"
        return f"{digits} ~ '^[0-9a-f]{{32}}$' AND {column}::text !~ '^({_KNOWN})$'"
    length = int(of_key.stored_type[len("character(") : -1])
    text = f"{column}::text"
    return f"length({text}) > length(rtrim({text}, ' ')) AND length({text}) <> {length}"


def hyphenated(digits: str) -> str:
    """Spell the 32 digits of a UUID as the product does."""
    groups = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return " || '-' || ".join(f"substr({digits}, {start}, {length})" for start, length in groups)
