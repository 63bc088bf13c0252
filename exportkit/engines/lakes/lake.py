"""Tables in a lake: Delta, and Iceberg, told by what lies in their folder.

The library made for a format decides which files belong to the table and what is deleted in them.
What it reads is one version of the table, the one that was there at first, as a stream of Arrow;
the columns that are asked for become a table of the engine, which spills.
"""

# ruff: noqa: S608 - names are quoted by `sql`, types are the engine's own

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

from exportkit.engines.files.file import is_data
from exportkit.engines.files.formats import Prepared
from exportkit.engines.readers import Table, describe, native_table
from exportkit.engines.sql import identifier
from exportkit.engines.stores import store as stores
from exportkit.engines.stores.arrivals import Version
from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from exportkit.config.source import Source
    from exportkit.engines.files.file import SourceFile
    from exportkit.engines.stores.arrivals import Wanted

_ROWS = "exportkit_rows"
_STREAM = "exportkit_stream"
_METADATA = re.compile(r"(?:^|/)v?(\d+)[^/]*\.metadata\.json$")


class Lake(Protocol):
    """One version of a table, opened by the library of its format."""

    kind: str
    mark: str
    modified_at: datetime | None
    is_empty: bool

    @property
    def schema(self) -> pa.Schema:
        """The columns."""

    def read(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """The rows, with these columns, as a stream."""


class LakeTable:
    """A table in a lake as a source: its columns at once, its rows when they are asked for."""

    def __init__(self, source: Source, lake: Lake, at: Location) -> None:
        self.files: list[SourceFile] = []
        self.folders: list[Path] = []
        self._source = source
        self._lake = lake
        self._at = at
        self._columns: frozenset[str] | None = None
        self._loads = 0
        if source.table or source.query:
            key = "table" if source.table else "query"
            raise SourceError(
                f"`{key}:` goes with databases, and this is one {lake.kind} table",
                hint="segments choose rows: segments: {vip: {where: …}}",
                location=source.document.locate((key,), key=True),
            )

    @property
    def versions(self) -> list[Version]:
        """The one version that is read."""
        written = self._lake.modified_at
        nanoseconds = round(written.timestamp() * 1_000_000_000) if written else None
        return [Version(self._source.file or "", 0, nanoseconds, self._lake.mark)]

    def look(self, connection: duckdb.DuckDBPyConnection) -> Prepared:  # noqa: ARG002 - protocol
        """The columns alone."""

        def build(inside: duckdb.DuckDBPyConnection) -> Table:
            inside.register(_ROWS, self._lake.schema.empty_table())
            table = native_table(inside, _ROWS)
            table.known_empty = self._lake.is_empty
            return table

        return Prepared([], build, self._source)

    def land(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> Prepared | None:
        """Read the rows with these columns, unless that was done."""
        columns = wanted.columns
        if self._columns is not None and self._columns.issuperset(columns):
            return None
        types = describe(connection, _ROWS)
        self._columns = frozenset(columns) | (self._columns or frozenset())
        # A frame that was made before still reads the table of its time.
        self._loads += 1
        name = f"{_ROWS}_{self._loads}"
        self._load(connection, name, [n for n in types if n in self._columns] or [*types][:1])
        items = [
            identifier(n) if n in self._columns else f"CAST(NULL AS {kind}) AS {identifier(n)}"
            for n, kind in types.items()
        ]
        scan = f"(SELECT {', '.join(items)} FROM {name})"
        return Prepared([], lambda inside: native_table(inside, scan), self._source)

    def _load(
        self, connection: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str]
    ) -> None:
        import duckdb
        import pyarrow as pa

        failed: list[Exception] = []

        def noted(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as error:
                failed.append(error)  # the engine would say it in its own words
                raise

        try:
            with explained(self._lake.kind, self._source.file or "", self._at):
                reader = self._lake.read(columns)
            stream = pa.RecordBatchReader.from_batches(reader.schema, noted(reader))
            connection.register(_STREAM, stream)
            connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM {_STREAM}")
            connection.unregister(_STREAM)
        except duckdb.Error:
            with explained(self._lake.kind, self._source.file or "", self._at):
                if failed:
                    raise failed[0] from None
            raise


@contextmanager
def explained(kind: str, shown: str, at: Location) -> Iterator[None]:
    """Ask a lake's library; whatever it raises comes out as a SourceError, without its words.

    They quote addresses, keys and values.
    """
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - two libraries, each with errors of three others
        message, hint = why(str(error))
        raise SourceError(f"the {kind} table {shown} {message}", hint=hint, location=at) from None


def why(text: str) -> tuple[str, str]:
    """What is wrong with a table and what to do, by what a library says."""
    said = text.lower()
    if any(word in said for word in ("expiredtoken", "expired_token", "token has expired")):
        return "cannot be read: the credentials have expired", "sign in again, then run"
    if any(word in said for word in (" 403", "access_denied", "accessdenied", "forbidden", " 401")):
        return (
            "may not be read with these credentials",
            "give the account the right to read all of its folder, and to list it",
        )
    if any(word in said for word in ("not supported", "unsupported", "not yet support")):
        return (
            "uses a feature that the library here does not read",
            "upgrade the library; or have the table rewritten without it",
        )
    if "not found" in said or "no such file" in said or "does not exist" in said:
        return (
            "misses files that belong to it",
            "was it cleaned up (vacuum, expiry) while it was read? Then run again",
        )
    return (
        "cannot be read",
        "look whether other programs can read it, and at the network",
    )


def lake_at(source: Source, root: Path) -> LakeTable | None:
    """The table that a source's `file:` names, if it names one: by its folder, or its metadata.

    Raises SourceError for one that cannot be opened.
    """
    where, at = source.file or "", source.document.locate(("file",))
    if stores.scheme_of(where) == "iceberg":
        from exportkit.engines.lakes.iceberg import open_in_catalog

        return LakeTable(source, open_in_catalog(where, at), at)
    if where.endswith(".metadata.json"):
        from exportkit.engines.lakes.iceberg import open_metadata

        there = where if stores.scheme_of(where) else str((root / where).absolute())
        return LakeTable(source, open_metadata(there, where, at), at)
    names = _beside(where, root, at)
    if names is None:
        return None
    folder = where.rstrip("/") if stores.scheme_of(where) else str((root / where).absolute())
    if any(name.startswith("_delta_log/") for name in names):
        from exportkit.engines.lakes.delta import open_delta

        return LakeTable(source, open_delta(folder, where, at), at)
    if found := [name for name in names if _METADATA.search(name)]:
        from exportkit.engines.lakes.iceberg import open_metadata

        newest = max(found, key=lambda name: (_number(name), name))
        # Some writers keep a note of which one counts.
        there = folder if "metadata/version-hint.text" in names else f"{folder}/{newest}"
        return LakeTable(source, open_metadata(there, where, at), at)
    return None


def _beside(where: str, root: Path, at: Location) -> list[str] | None:
    """What lies in a folder where a lake's format keeps its notes; None if it is no folder."""
    if stores.scheme_of(where) in stores.OBJECT_SCHEMES:
        store, path = stores.open_store(where, at)
        if stores.has_magic(path) or is_data(path):
            return None
        base = path.rstrip("/")
        log = islice(store.below(f"{base}/_delta_log"), 1)
        found = [each.path for each in chain(log, store.below(f"{base}/metadata"))]
        return [name.removeprefix(base).lstrip("/") for name in found]
    folder = root / where
    if stores.scheme_of(where) or not folder.is_dir():
        return None
    notes = [*folder.glob("_delta_log/*"), *folder.glob("metadata/*")]
    return [str(path.relative_to(folder)) for path in notes]


def _number(name: str) -> int:
    found = _METADATA.search(name)
    return int(found[1]) if found else -1
