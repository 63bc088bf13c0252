"""Files in a store: found by their address, brought in pieces, read like any local file.

What is looked at first is the beginning of a text file and the footer of a Parquet file; the rest
comes when rows are asked for, and of Parquet only the columns that are.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from exportkit.engines.files import formats, jsonlines
from exportkit.engines.files.beginnings import whole_rows
from exportkit.engines.files.file import PARQUET, SourceFile, is_part, look_at
from exportkit.engines.files.located import check_alike
from exportkit.engines.files.partitions import needed, types_of, values_of
from exportkit.engines.stores import chunks
from exportkit.engines.stores import store as stores
from exportkit.engines.stores.arrivals import Version
from exportkit.engines.stores.landing import THREADS, Landing
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from exportkit.config.source import Source
    from exportkit.engines.files.formats import Prepared
    from exportkit.engines.readers import Table
    from exportkit.engines.stores.arrivals import Wanted
    from exportkit.engines.stores.store import Store, StoredObject
    from exportkit.errors import Location

BEGINNING = 4 * 1024 * 1024
"""So much of a text file is looked at first; files that are no longer together come at once."""


class RemoteFiles:
    """The files of a source that lie in a store."""

    def __init__(self, source: Source, scratch: Path) -> None:
        self._source = source
        self._at = source.document.locate(("file",))
        self._folder = scratch / "source"
        self._folder.mkdir(mode=0o700)
        store, objects = find_objects(source.file or "", self._at)
        self._landing = Landing(store, objects, self._folder)
        self._objects = objects
        self.files: list[SourceFile] = []
        self._is_parquet = False
        self._columns: set[str] = set()
        self._numbers: set[int] = set()
        self._complete = False
        self._partitions = [values_of(self._landing.path(n)) for n in range(len(objects))]

    @property
    def versions(self) -> list[Version]:
        """One for each object; if its server says nothing of it, it is known by what is in it."""
        return [self._version(number) for number in range(len(self._objects))]

    @property
    def folders(self) -> list[Path]:
        """The one where the files come to lie."""
        return [self._folder]

    def look(self, connection: duckdb.DuckDBPyConnection) -> Prepared:
        """The beginning of the first and the largest file, or everything if that is not enough."""
        sizes = [found.size or 0 for found in self._objects]
        some = [self._begin(number) for number in sorted({0, sizes.index(max(sizes))})]
        begun = [file for file in some if file is not None]
        is_known = all(map(_is_known, self._objects))
        if len(begun) < len(some) or not is_known or sum(sizes) <= BEGINNING:
            return self._everything(connection)
        self._is_parquet = begun[0].format == "parquet"
        prepared = self._ready(connection, begun)
        return _without_rows(prepared) if self._is_parquet else prepared

    def land(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> Prepared | None:
        """Bring all files; of Parquet what is missing of the partitions and columns."""
        if self._complete:
            return None
        if not self._is_parquet:
            return self._everything(connection)
        columns = self._columns.union(wanted.columns)
        numbers = self._numbers | (self._needed(connection, wanted) or {0})
        if (columns, numbers) == (self._columns, self._numbers):
            return None
        self._columns, self._numbers = columns, numbers
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self._bring_footer, numbers))
        self._landing.bring({n: self._spans(n, columns) for n in numbers})
        return self._prepared(connection, sorted(numbers))

    def _needed(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> set[int]:
        keys, known = types_of(self._partitions), wanted.types()
        types = {name: kind for name, kind in known.items() if name in keys}
        return needed(connection, self._partitions, types, [*known], wanted.conditions)

    def _everything(self, connection: duckdb.DuckDBPyConnection) -> Prepared:
        self._landing.bring_all()
        self._complete = True
        return self._prepared(connection, range(len(self._objects)))

    def _prepared(self, connection: duckdb.DuckDBPyConnection, numbers: Iterable[int]) -> Prepared:
        return self._ready(connection, [self._look_at(self._landing.path(n), n) for n in numbers])

    def _ready(
        self, connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile]
    ) -> Prepared:
        check_alike(files, self._source, self._at)
        kinds = types_of(self._partitions)
        return formats.prepare(connection, self._source, files, self._room(), kinds)

    def _room(self) -> Path:
        """A folder of its own for what is made of the files: they may be prepared twice."""
        return Path(mkdtemp(dir=self._folder))

    def _look_at(self, path: Path, number: int) -> SourceFile:
        shown = self._objects[number].shown_as
        return look_at(path, shown, encoding=self._source.encoding, at=self._at)

    def _begin(self, number: int) -> SourceFile | None:
        """A file from which the columns can be known; None if only all of it will do."""
        found, path = self._objects[number], self._landing.path(number)
        if not _is_known(found) or (found.size or 0) <= BEGINNING:
            self._landing.bring({number: [(0, found.size or 0)]})
            return self._look_at(path, number)
        if path.suffix.lower() in PARQUET and found.in_parts:
            self._bring_footer(number)
            return self._look_at(path, number)
        data = self._landing.beginning(number, BEGINNING)
        begun = self._look_at(self._written(number, path.name, data), number)
        is_text = begun.format == "csv" or (
            begun.format == "json" and jsonlines.layout(begun) == "newline_delimited"
        )
        if not is_text or begun.encoding.startswith(("utf-16", "utf-32")):
            return None
        rows = whole_rows(data, quoted=begun.format == "csv")
        if rows is None:
            return None
        plain = path.name if begun.compression == "none" else path.stem
        return self._look_at(self._written(number, plain, rows), number)

    def _written(self, number: int, name: str, data: bytes) -> Path:
        path = self._folder / "beginnings" / str(number) / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(data)
        return path

    def _bring_footer(self, number: int) -> None:
        size, path = self._objects[number].size or 0, self._landing.path(number)
        tail = max(0, size - chunks.TAIL)
        self._landing.bring({number: [(0, min(size, chunks.HEAD)), (tail, size)]})
        with path.open("rb") as file:
            file.seek(tail)
            footer = chunks.footer_of(file.read(), size)
        if footer is not None:
            self._landing.bring({number: [footer]})

    def _spans(self, number: int, columns: set[str]) -> list[chunks.Span]:
        path, size = self._landing.path(number), self._objects[number].size or 0
        return chunks.spans(path, size, columns.difference(self._partitions[number]))

    def _version(self, number: int) -> Version:
        found = self._objects[number]
        written = found.modified_at
        nanoseconds = round(written.timestamp() * 1_000_000_000) if written else None
        size, mark = found.size, found.etag or ""
        if not _is_known(found):  # it is here by now
            path = self._landing.path(number)
            size, mark = path.stat().st_size, mark or self._digest(path)
        return Version(found.shown_as, size or 0, nanoseconds, mark)

    def _digest(self, path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_objects(where: str, at: Location) -> tuple[Store, list[StoredObject]]:
    """The store of an address, and what it means there: an object, a glob, a folder of Parquet.

    In the order of their paths, at least one. Raises SourceError if there is none.
    """
    store, path = stores.open_store(where, at)
    if "*" not in path and (exact := store.find(path)) is not None:
        return store, [exact]
    if store.can_list and stores.has_magic(path):
        below = store.below(stores.folder_of(path))
        found = [each for each in below if stores.matches(each.path, path)]
        if not found:
            raise SourceError(
                f"no file matches {where}", hint="upper and lower case count in names", location=at
            )
        return store, sorted(found, key=lambda each: each.path)
    if not store.can_list:
        raise SourceError(
            f"there is no file {stores.shown(where)}",
            hint="a web server does not list its files, so the address names one",
            location=at,
        )
    below = list(store.below(path))
    found = [each for each in below if is_part(each.path.removeprefix(path).split("/"))]
    if below and not found:
        hint = f"name the files in it: `file: {where.rstrip('/')}/*.csv`"
        raise SourceError(f"{where} is a folder without Parquet files", hint=hint, location=at)
    if not found:
        raise SourceError(
            f"there is no file {where}", hint="upper and lower case count in names", location=at
        )
    return store, sorted(found, key=lambda each: each.path)


def _is_known(found: StoredObject) -> bool:
    """Whether its size is known, and another version of it would be noticed."""
    return found.size is not None and bool(found.modified_at or found.etag)


def _without_rows(prepared: Prepared) -> Prepared:
    def build(inside: duckdb.DuckDBPyConnection) -> Table:
        table = prepared.build(inside)
        table.known_empty = not any(chunks.rows_of(file.path) for file in prepared.files)
        return table

    return replace(prepared, build=build)
