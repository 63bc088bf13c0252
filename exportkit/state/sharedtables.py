"""The tables in a PostgreSQL: the journal's, and those that only several runners need.

Elsewhere files and the kernel do what those do.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from exportkit.state.tables import Ask

    Begin = Callable[[], AbstractContextManager[sa.Connection]]

IN_ORDER = 7_305_804_402_438_173_797
"""The number of the lock under which a server's tables are made or upgraded."""
REMEDY = "somebody changed the tables: restore them. In an empty schema everybody counts as new"

_shared = sa.MetaData()
holders = sa.Table(
    "holders",
    _shared,
    sa.Column("lock", sa.String, primary_key=True),
    sa.Column("token", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("since", sa.String, nullable=False),
    sa.Column("session", sa.Integer, nullable=False),
)
files = sa.Table(
    "files",
    _shared,
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("content", sa.String, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
)
pieces = sa.Table(
    "pieces",
    _shared,
    sa.Column("content", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("packed", sa.LargeBinary, nullable=False),
)
calls = sa.Table(
    "calls",
    _shared,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("count", sa.JSON, nullable=False),
)


class ServerTables:
    """The journal's tables in a database; see `Tables`.

    `shown` is the database, for people; `begin` and `fenced` open its transactions, and say what is
    wrong with them.
    """

    remedy = REMEDY
    order = "number"
    counter = "SERIAL"
    # `to_regclass` would answer from what this session remembers: that there is none.
    known = "SELECT 1 FROM pg_class WHERE relname = 'schema' AND pg_table_is_visible(oid)"

    def __init__(self, shown: str, begin: Begin, fenced: Begin) -> None:
        self.where = f"in {shown}"
        self._begin, self._fenced = begin, fenced

    def further(self) -> Sequence[str]:
        """What SQLite has by itself, or does not need: the order of the runs; the other tables."""
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        made = (sa.schema.CreateTable(table) for table in _shared.sorted_tables)
        return [
            "ALTER TABLE runs ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY",
            *(str(table.compile(dialect=dialect)) for table in made),
            # They are packed already.
            "ALTER TABLE pieces ALTER COLUMN packed SET STORAGE EXTERNAL",
        ]

    @contextmanager
    def transaction(self, *, fenced: bool = False, alone: bool = False) -> Iterator[Ask]:
        """One transaction of the database."""
        with self._fenced() if fenced else self._begin() as connection:
            if alone:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(IN_ORDER)))
            yield partial(_ask, connection)


def _ask(
    connection: sa.Connection, statement: str, /, **values: object
) -> Sequence[Mapping[str, Any]]:
    result = connection.execute(sa.text(statement), values)
    return [dict(row) for row in result.mappings()] if result.returns_rows else ()
