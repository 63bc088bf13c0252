"""From files to a `Table`, one function a format.

Two steps, because the jail closes between them: `prepare` does what needs the outside (attaching,
transcoding), `Prepared.table` what happens inside.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exportkit.engines.files import delimited, jsonlines
from exportkit.engines.files.partitions import types_of, values_of
from exportkit.engines.files.transcoding import as_utf8
from exportkit.engines.readers import Table, native_table
from exportkit.engines.sql import identifier, literal, text_list
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from exportkit.config.source import Source
    from exportkit.engines.files.file import SourceFile

_FRIENDLY = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
}
_SQL_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*(\(\d+(, *\d+)?\))?")
_ATTACHED = "exportkit_source"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the jail lets in (`files`), and how to make a table of it once the jail is closed."""

    files: Sequence[SourceFile]
    build: Callable[[duckdb.DuckDBPyConnection], Table]
    source: Source

    def table(self, connection: duckdb.DuckDBPyConnection) -> Table:
        """The source as a table, with the declared `types:`. SourceError for unknown types."""
        table = self.build(connection)
        table.overrides = _overrides(connection, self.source, table.names)
        return table


def prepare(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    files: Sequence[SourceFile],
    scratch: Path,
    partitions: Mapping[str, str] | None = None,
) -> Prepared:
    """Get files ready to be read from inside the jail.

    `partitions` are the types of what their folders say, where there are more files than these.
    """
    kind = files[0].format
    files = [_plainly_named(file, scratch, number) for number, file in enumerate(files)]
    if kind == "parquet":
        return Prepared(files, lambda inside: _parquet(inside, files, partitions), source)
    if kind == "sqlite":
        from exportkit.engines.files.sqlite import sqlite_table

        return Prepared(files, lambda inside: sqlite_table(inside, source, files[0]), source)
    if kind == "duckdb":
        _attach(connection, files[0])
        return Prepared(files, lambda inside: _attached(inside, source), source)
    readable = [as_utf8(file, scratch, number) for number, file in enumerate(files)]
    if kind == "json":
        return Prepared(readable, lambda inside: _json(inside, readable), source)
    return Prepared(readable, lambda inside: _csv(inside, source, readable), source)


def _plainly_named(file: SourceFile, scratch: Path, number: int) -> SourceFile:
    """The engine takes `data[1].csv` for a pattern: such a file is read through a link."""
    if not glob.has_magic(file.path.name):
        return file
    link = scratch / f"{number}.link"
    link.symlink_to(file.path.absolute())
    return replace(file, path=link)


def _csv(
    connection: duckdb.DuckDBPyConnection, source: Source, files: Sequence[SourceFile]
) -> Table:
    for file in files:
        delimited.check_last_line(file)
    names, delimiter = delimited.read_header(files[0], source.delimiter)
    for file in files[1:]:
        _check_same(files[0], names, file, delimited.read_header(file, delimiter)[0])
    largest = max(files, key=lambda file: file.size)  # the first may be a header alone
    return Table(
        delimited.scan(files, names, delimiter),
        names,
        lambda: delimited.infer_types(connection, largest, names, delimiter),
        is_text=True,
    )


def _json(connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile]) -> Table:
    types = jsonlines.found_types(connection, files[0])
    for file in files[1:]:
        if jsonlines.layout(file) != jsonlines.layout(files[0]):
            raise SourceError(f"{file.shown_as} is laid out differently from {files[0].shown_as}")
        _check_same(files[0], sorted(types), file, sorted(jsonlines.found_types(connection, file)))
    return Table(jsonlines.scan(files, tuple(types)), tuple(types), lambda: types, is_text=True)


def _parquet(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    partitions: Mapping[str, str] | None,
) -> Table:
    kinds = partitions if partitions is not None else types_of([values_of(f.path) for f in files])
    # What a folder's name says is text, as in a CSV file: 0123 stays so.
    options = f"hive_partitioning={str(bool(kinds)).lower()}, hive_types_autocast=false"

    def one(file: SourceFile) -> Table:
        return native_table(connection, f"read_parquet({literal(str(file.path))}, {options})")

    first = one(files[0])
    for file in files[1:]:
        other = one(file)
        _check_same(files[0], first.names, file, other.names)
        for name in first.names:
            if other.types[name] != first.types[name]:
                raise SourceError(
                    f"column {name!r} is {other.types[name].lower()} in {file.shown_as}, "
                    f"{first.types[name].lower()} in {files[0].shown_as}",
                    hint="files of one source have the same columns and types",
                )
    paths = text_list(str(file.path) for file in files)
    scan = f"read_parquet({paths}, {options})"
    written = frozenset(first.names).intersection(kinds)
    guessed = {name: kinds[name] if name in written else first.types[name] for name in first.names}
    return Table(scan, first.names, lambda: guessed, is_text=False, written=written)


def _attach(connection: duckdb.DuckDBPyConnection, file: SourceFile) -> None:
    connection.execute(f"ATTACH {literal(str(file.path))} AS {_ATTACHED} (READ_ONLY)")
    # Our own in-memory database first: it is where frames are held.
    connection.execute(f"SET search_path = 'memory.main,{_ATTACHED}.main'")


def _attached(connection: duckdb.DuckDBPyConnection, source: Source) -> Table:
    import duckdb

    if source.table:
        parts = map(identifier, source.table.split("."))
        scan, key = f"{_ATTACHED}.{'.'.join(parts)}", "table"
    else:
        scan, key = f"(\n{source.query}\n)", "query"
    at = source.document.locate((key,))
    try:
        if source.query:
            _check_query(connection, source.query)
        return native_table(connection, scan)
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException):
        failure = SourceError(
            f"the database does not answer this {key}",
            hint="a query is one SELECT over the tables of that file",
            location=at,
        )
    raise failure


def _check_query(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    import duckdb

    statements = connection.extract_statements(query)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise duckdb.ParserException("not one SELECT")


def _check_same(
    first: SourceFile, names: Sequence[str], other: SourceFile, found: Sequence[str]
) -> None:
    if tuple(names) == tuple(found):
        return
    missing = [name for name in names if name not in found]
    extra = [name for name in found if name not in names]
    parts = [f"it has no {', '.join(map(repr, missing[:3]))}"] if missing else []
    parts += [f"it has {', '.join(map(repr, extra[:3]))} besides"] if extra else []
    raise SourceError(
        f"the columns of {other.shown_as} differ from those of {first.shown_as}: "
        + (" and ".join(parts) or "they come in another order"),
        hint="files of one source have the same columns in the same order",
        location=other.at(1),
    )


def _overrides(
    connection: duckdb.DuckDBPyConnection, source: Source, names: Sequence[str]
) -> Mapping[str, str]:
    """The declared types by real column name. Unknown columns are left to `complaints`."""
    import duckdb

    real = {name.lower(): name for name in names}
    found = {}
    for column, declared in source.types.items():
        kind = _FRIENDLY.get(declared.lower(), declared)
        try:
            if not _SQL_TYPE.fullmatch(kind):
                raise duckdb.ParserException(kind)
            ((kind,),) = connection.execute(f"SELECT typeof(CAST(NULL AS {kind}))").fetchall()
        except (duckdb.CatalogException, duckdb.ParserException, duckdb.BinderException):
            raise SourceError(
                f"there is no type {declared!r}",
                hint=f"there are: {', '.join(_FRIENDLY)}, and SQL types",
                location=source.document.locate(("types", column)),
            ) from None
        if column.lower() in real:
            found[real[column.lower()]] = kind
    return found
