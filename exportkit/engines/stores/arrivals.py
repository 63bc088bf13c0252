"""How a source's files come to the engine: what is known at once, and what is brought later.

Local files are there. Of those in a store only the beginning is brought, until rows are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from exportkit.engines.files import formats
from exportkit.engines.files.located import find_files
from exportkit.engines.stores import store as stores

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from exportkit.config.source import Source
    from exportkit.engines.files.file import SourceFile
    from exportkit.engines.files.formats import Prepared


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one state of a file, or of a table in a lake, from another, without reading it.

    `mark` is what its store gives for that (an ETag, a version's number). `modified_ns` is None
    where nothing says when it was written.
    """

    shown_as: str
    size: int
    modified_ns: int | None
    mark: str = ""

    def __bytes__(self) -> bytes:
        mark = f"{self.mark}\0" if self.mark else ""
        return f"{self.shown_as}\0{self.size}\0{self.modified_ns}\0{mark}".encode()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read: these columns, of the rows for which one of the conditions holds.

    Without any condition it is every row. `types` answers those of all columns in predicates.
    """

    columns: Collection[str]
    conditions: Sequence[str]
    types: Callable[[], Mapping[str, str]]


class Arrival(Protocol):
    """The files of one source on their way to the engine."""

    @property
    def versions(self) -> Sequence[Version]:
        """What is there, all of it."""

    @property
    def files(self) -> Sequence[SourceFile]:
        """Those that are here from the start."""

    @property
    def folders(self) -> Sequence[Path]:
        """Where files come to lie that are not here yet."""

    def look(self, connection: duckdb.DuckDBPyConnection) -> Prepared:
        """What can be read now, before the jail is closed: everything, or a beginning."""

    def land(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> Prepared | None:
        """Bring what is missing of what is wanted; None if nothing is."""


class LocalFiles:
    """Files on this machine: there is nothing to bring."""

    def __init__(self, source: Source, root: Path, scratch: Path) -> None:
        self._source = source
        self._scratch = scratch
        self.files = find_files(source, root)

    @property
    def versions(self) -> list[Version]:
        """One for each file."""
        return [version_of(file) for file in self.files]

    @property
    def folders(self) -> list[Path]:
        """None."""
        return []

    def look(self, connection: duckdb.DuckDBPyConnection) -> Prepared:
        """All of it."""
        return formats.prepare(connection, self._source, self.files, self._scratch)

    def land(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
        """Nothing."""


def version_of(file: SourceFile) -> Version:
    """What a local file is known by."""
    return Version(file.shown_as, file.size, file.modified_ns)


def arrival_of(source: Source, root: Path, scratch: Path) -> Arrival:
    """How the source's files come; `scratch` is a private folder that lives as long as it is open.

    Raises SourceError where they are not there.
    """
    from exportkit.engines.lakes.lake import lake_at

    if source.file and (lake := lake_at(source, root)):
        return lake
    if stores.scheme_of(source.file or "") in (*stores.OBJECT_SCHEMES, *stores.WEB_SCHEMES):
        from exportkit.engines.stores.remote import RemoteFiles

        return RemoteFiles(source, scratch)
    return LocalFiles(source, root, scratch)
