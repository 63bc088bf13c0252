"""From files to a `Table`, one function a format.

Two steps, because the jail closes between them: `prepare` does what needs the outside (attaching,
transcoding), `Prepared.table` what happens inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exportkit.engines import delimited
from exportkit.engines.readers import Table, native_table, parquet_scan
from exportkit.engines.sql import text_list
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import duckdb

    from exportkit.config.source import Source
    from exportkit.engines.files import SourceFile


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the jail lets in (`files`), and how to make a table of it once the jail is closed."""

    files: Sequence[SourceFile]
    table: Callable[[duckdb.DuckDBPyConnection], Table]


def prepare(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    files: Sequence[SourceFile],
    scratch: Path,
) -> Prepared:
    """Get files ready to be read from inside the jail."""
    if files[0].format == "csv":
        return Prepared(files, lambda inside: _csv(inside, source, files))
    if files[0].format == "parquet":
        return Prepared(files, lambda inside: _parquet(inside, files))
    raise SourceError(f"{files[0].format} is not read yet")


def _csv(
    connection: duckdb.DuckDBPyConnection, source: Source, files: Sequence[SourceFile]
) -> Table:
    names, delimiter = delimited.read_header(files[0], source.delimiter)
    for file in files[1:]:
        _check_same(files[0], names, file, delimited.read_header(file, delimiter)[0])
    paths = [str(file.path) for file in files]
    largest = max(files, key=lambda file: file.size)
    compression = files[0].compression
    return Table(
        delimited.scan(paths, names, delimiter, compression),
        names,
        lambda: delimited.infer_types(connection, str(largest.path), names, delimiter, compression),
        is_text=True,
    )


def _parquet(connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile]) -> Table:
    paths = [str(file.path) for file in files]
    first = native_table(connection, parquet_scan(paths[0]))
    for file in files[1:]:
        other = native_table(connection, parquet_scan(str(file.path)))
        _check_same(files[0], first.names, file, other.names)
        for name in first.names:
            if other.types[name] != first.types[name]:
                raise SourceError(
                    f"column {name!r} is {other.types[name].lower()} in {file.shown_as}, "
                    f"{first.types[name].lower()} in {files[0].shown_as}",
                    hint="files of one source have the same columns and types",
                )
    if len(files) > 1:
        first.scan = f"read_parquet({text_list(paths)})"
    return first


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
