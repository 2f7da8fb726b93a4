"""PostgreSQL's dialect for the sample of the folder table."""

from cleanup.backends import samples
from cleanup.backends.query import block
from cleanup.backends.samples import LONGEST

#: Stored bytes beyond which PostgreSQL would have to assemble a value from pieces: left out.
_LARGE = 8000


class SampleSql(samples.SampleSql):
    """Values are texts."""

    def enum_labels(self) -> dict[str, list[str]]:
        found = self.sql.fetch(
            block(
                """
                SELECT a.attname::text, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
                  FROM pg_attribute AS a
                  JOIN pg_type AS t ON t.oid = a.atttypid
                  JOIN pg_enum AS e ON e.enumtypid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
                 WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
                 GROUP BY a.attname
                """
            ).bind(table=self.name.quoted)
        )
        return dict(found)

    def _text(self, expression: str) -> str:
        return f"CASE WHEN pg_column_size({expression}) < {_LARGE} THEN left({expression}::text, {LONGEST}) END"
