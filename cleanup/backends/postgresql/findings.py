"""PostgreSQL's dialect for verification."""

from collections.abc import Sequence

from cleanup.backends import findings, keys
from cleanup.backends.catalogue import Column
from cleanup.backends.folders import BLANKS
from cleanup.backends.postgresql.folders import FolderSql
from cleanup.backends.query import Query, block, quote

#: The first that exists is used.
_UNICODE_COLLATIONS = ("und-x-icu", "pg_c_utf8")

#: Where lower case and case folding differ: sharp s, and sigma at the end of a word.
_LOWER_UNLIKE_FOLDED = {"sharp": "\u00df", "double": "ss", "final": "\u03c2", "sigma": "\u03c3"}


class FindingSql(FolderSql, findings.FindingSql):
    """PostgreSQL's dialect."""

    def is_blank(self, expression: str, *, unicode: bool) -> Query:
        blanks = BLANKS if unicode else "".join(filter(str.isascii, BLANKS))
        return Query(f"btrim({expression}::text, %(blanks)s) = ''", {"blanks": blanks})

    def trimmed(self, expression: str) -> str:
        blanks = "".join(f"\\u{ord(blank):04X}" for blank in BLANKS)
        return f"btrim({expression}, E'{blanks}')"

    def fold(self, expression: str, *, unicode: bool, collation: str) -> Query:
        # As a hash: independent of collations, and quick to group by. Spaces are removed entirely, which is coarser and
        # far cheaper than comparing runs of them.
        plain = "".join(filter(str.isascii, BLANKS))
        ascii_only = f"""hashtextextended(lower(translate({expression}::text, %(ascii_blanks)s, '') COLLATE "C"), 0)"""
        if not unicode:
            return Query(ascii_only, {"ascii_blanks": plain})
        by = f" COLLATE {quote(collation)}" if collation else ""
        folded = f"lower(translate(normalize({expression}::text, NFKC), %(all_blanks)s, ''){by})"
        return Query(
            f"CASE WHEN octet_length({expression}::text) = char_length({expression}::text) THEN {ascii_only}"
            f" ELSE hashtextextended(replace(replace({folded}, %(sharp)s, %(double)s), %(final)s, %(sigma)s), 0) END",
            {"ascii_blanks": plain, "all_blanks": BLANKS, **_LOWER_UNLIKE_FOLDED},
        )

    def abilities(self) -> tuple[bool, str]:
        ((unicode, collations),) = self.fetch(
            block(
                """
                SELECT current_setting('server_encoding') = 'UTF8',
                       ARRAY(SELECT collname::text
                               FROM pg_collation
                              WHERE collnamespace = 'pg_catalog'::regnamespace AND collname = ANY(%(names)s)
                                AND collencoding IN (-1, pg_char_to_encoding('UTF8')))
                """
            ).bind(names=list(_UNICODE_COLLATIONS))
        )
        # Without any of them (a server before 17 built without ICU) the database's own rules decide.
        return bool(unicode), next((name for name in _UNICODE_COLLATIONS if name in collations), "")

    def row_text(self, columns: Sequence[Column]) -> str:
        if not columns:
            return "''"
        return f"concat_ws(',', {', '.join(f'x.{quote(column.name)}::text' for column in columns)})"

    same_key = staticmethod(keys.same_key)
