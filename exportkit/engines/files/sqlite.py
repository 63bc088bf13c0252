"""SQLite files: opened read-only, read as Arrow, every value as the text that SQLite makes of it.

A SQLite column may hold anything in any row, whatever it was declared. So all are cast to text
there, and the declared type serves predicates alone.
"""

# ruff: noqa: S608 - names are quoted by `sql`; a query is the source's own

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from exportkit.config.names import nearest_hint
from exportkit.engines.readers import Table
from exportkit.engines.sql import identifier, literal
from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from exportkit.config.source import Source
    from exportkit.engines.files.file import SourceFile

_ROWS = "exportkit_rows"
_BYTES = "\x1fexportkit: bytes\x1f"
_BATCH = 32_768


def sqlite_table(connection: duckdb.DuckDBPyConnection, source: Source, file: SourceFile) -> Table:
    """The table or query of a SQLite file. Its rows come in at the first use, all at once.

    So counting and selecting see the same rows, whoever writes to the file meanwhile.
    """
    declared = _declared(source, file)
    names = tuple(declared)
    columns = ", ".join(f"{identifier(name)} VARCHAR" for name in names)
    connection.execute(f"CREATE TEMP TABLE {_ROWS} ({columns})")
    selected = _selected(source, names)
    return Table(
        _ROWS,
        names,
        lambda: {name: _predicate_type(kind) for name, kind in declared.items()},
        is_text=True,
        load=lambda: _load(connection, file, selected),
    )


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro"


def _declared(source: Source, file: SourceFile) -> dict[str, str]:
    """The columns and their declared types, which a view of ours knows for queries too."""
    at = source.document.locate(("table",) if source.table else ("query",))
    try:
        with closing(sqlite3.connect(_uri(file.path), uri=True, timeout=10)) as database:
            if source.table:
                _check_table(database, source.table, at)
            # SQLite refuses here what is not one single query.
            database.execute(f"CREATE TEMP VIEW {_ROWS} AS {_body(source)}")
            database.execute(f"SELECT * FROM {_ROWS} LIMIT 0")
            rows = database.execute(f"SELECT name, type FROM pragma_table_info('{_ROWS}')")
            return dict(rows.fetchall())
    except sqlite3.DatabaseError as error:
        raise _rewrite(error, file, at) from None


def _check_table(database: sqlite3.Connection, table: str, at: Location) -> None:
    known = [row[0] for row in database.execute("SELECT name FROM pragma_table_list")]
    known = [name for name in known if not name.startswith("sqlite_")]
    if table.lower() not in (name.lower() for name in known):
        raise SourceError(
            f"there is no table {table!r}", hint=nearest_hint(table, known), location=at
        )


def _body(source: Source) -> str:
    return f"SELECT * FROM main.{identifier(source.table)}" if source.table else source.query or ""


def _rewrite(error: sqlite3.Error, file: SourceFile, at: Location) -> SourceError:
    text = str(error)
    if "locked" in text or "busy" in text:
        message, hint = "is locked by another program", "try again when it is done"
    elif "not a database" in text or "malformed" in text:
        message, hint = (
            "is damaged",
            "restore it; `sqlite3 FILE 'pragma integrity_check'` says more",
        )
    elif "unable to open" in text or "readonly" in text:
        message = "cannot be opened"
        hint = "a database in WAL mode needs a folder that this account may write to"
    else:
        message = "does not answer what is declared here"
        hint = "a query is one SELECT; try it with `sqlite3 FILE`"
    return SourceError(f"{file.shown_as} {message}", hint=hint, location=at)


def _selected(source: Source, names: tuple[str, ...]) -> str:
    """The query that runs: text for every value, a mark for bytes, and a first row of texts.

    The driver takes a column's type from its first rows, and for nulls it would guess wrong.
    """
    head = ", ".join(f"'' AS {identifier(name)}" for name in names)
    values = ", ".join(
        f"CASE typeof({column}) WHEN 'blob' THEN {literal(_BYTES)} ELSE CAST({column} AS TEXT) END"
        for column in map(identifier, names)
    )
    return f"SELECT {head} UNION ALL SELECT {values} FROM (\n{_body(source)}\n)"


def _load(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, selected: str
) -> Mapping[str, str]:
    import adbc_driver_sqlite.dbapi as adbc
    import pyarrow as pa

    not_text: dict[str, str] = {}
    with (
        closing(adbc.connect(_uri(file.path))) as database,
        closing(database.cursor()) as cursor,
    ):
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _BATCH})
        try:
            cursor.execute(selected)
            reader = cursor.fetch_record_batch()
            batches = _readable(reader, not_text)
            stream = pa.RecordBatchReader.from_batches(reader.schema, batches)
            connection.register("exportkit_stream", stream)
            connection.execute(f"INSERT INTO {_ROWS} SELECT * FROM exportkit_stream")
            connection.unregister("exportkit_stream")
        except adbc.Error as error:
            raise _rewrite(sqlite3.DatabaseError(str(error)), file, file.at(1)) from None
    return not_text


def _readable(reader: pa.RecordBatchReader, not_text: dict[str, str]) -> Iterator[pa.RecordBatch]:
    """The batches without the first row, and null where something is not text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    skip = 1
    for batch in reader:
        columns = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                column.validate(full=True)
                marked = pc.equal(column, _BYTES)
                if pc.any(marked).as_py():
                    not_text[name] = "bytes in some rows"
                    column = pc.if_else(marked, None, column)
            except pa.ArrowInvalid:
                not_text[name] = "text that is not UTF-8"
                column = pa.nulls(len(batch), column.type)
            columns.append(column)
        yield pa.RecordBatch.from_arrays(columns, schema=batch.schema).slice(skip)
        skip = 0


def _predicate_type(declared: str) -> str:
    """What a declared type means to predicates: SQLite's affinity, and the names people use."""
    kind = declared.upper()
    if "BOOL" in kind:
        return "BOOLEAN"
    if "DATETIME" in kind or "TIMESTAMP" in kind:
        return "TIMESTAMP"
    if kind == "DATE":
        return "DATE"
    if "INT" in kind:
        return "BIGINT"
    if any(part in kind for part in ("REAL", "FLOA", "DOUB", "NUM", "DEC")):
        return "DOUBLE"
    return "VARCHAR"
