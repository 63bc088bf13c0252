"""Which files a source is: paths, globs and database URLs become existing, readable files."""

from __future__ import annotations

import glob
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exportkit.config.names import nearest_hint
from exportkit.engines.files.file import SourceFile, codec_of, is_part, look_at
from exportkit.engines.stores import store as stores
from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exportkit.config.source import Source

_LOCAL = ("sqlite", "duckdb")


def find_files(source: Source, root: Path) -> list[SourceFile]:
    """The files of a source, sorted by path. SourceError if there are none, or they differ."""
    if source.encoding:
        codec_of(source.encoding, source.document.locate(("encoding",)))
    if source.spark:  # its `file:` is one that the cluster sees
        raise SourceError(
            "the files of this source are on a cluster", location=source.document.locate(("spark",))
        )
    key = "database" if source.database else "file"
    at = source.document.locate((key,))
    where = _local_path(source.database, at) if source.database else source.file or ""
    if "://" in where:
        scheme = where.partition("://")[0].lower()
        known = [*stores.OBJECT_SCHEMES, "https", "iceberg"]
        raise SourceError(
            f"nothing here reads {scheme}://",
            hint=nearest_hint(scheme, known),
            location=at,
        )
    paths = _paths(where, root)
    if not paths:
        raise SourceError(
            f"no file matches {where}", hint="relative paths start at the workspace", location=at
        )
    files = [look_at(path, _shown(path, root), encoding=source.encoding, at=at) for path in paths]
    check_alike(files, source, at)
    return files


def _local_path(url: str, at: Location) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme not in _LOCAL or not separator:
        _not_yet(f"{scheme}:// databases" if separator else "such a database", at)
    if not rest.startswith("/") or rest == "/":
        raise SourceError(
            f"{scheme}:// needs three slashes and a path: {scheme}:///data/crm.db", location=at
        )
    return rest[1:]


def _paths(where: str, root: Path) -> list[Path]:
    path = root / where
    if path.is_dir() and (parts := _parts(path)):
        return parts
    if path.exists() or not glob.has_magic(where):
        return [path]
    found = glob.glob(where, root_dir=root, recursive=True)  # noqa: PTH207 - absolute ones too
    return [root / name for name in sorted(found)]


def _parts(folder: Path) -> list[Path]:
    """The Parquet files of a folder that a program wrote as one data set, partitioned or not."""
    below = (path for path in folder.rglob("*") if is_part(path.relative_to(folder).parts))
    return sorted(path for path in below if path.is_file())


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def check_alike(files: Sequence[SourceFile], source: Source, at: Location) -> None:
    """Return if the files can be read as one source. Raises SourceError if they cannot."""
    first = files[0]
    for file in files[1:]:
        if file.format != first.format:
            raise SourceError(
                f"{file.shown_as} is {file.format}, {first.shown_as} is {first.format}",
                hint="a glob matches files of one format",
                location=at,
            )
    _check_compression(files, at)
    if first.format in _LOCAL:
        if len(files) > 1:
            raise SourceError("a database is one file", hint="name one of them", location=at)
        if not source.table and not source.query:
            raise SourceError(
                f"{first.shown_as} is a database", hint="add `table:` or `query:`", location=at
            )
    elif source.table or source.query:
        key = "table" if source.table else "query"
        raise SourceError(
            f"`{key}:` goes with databases, and {first.shown_as} is {first.format}",
            hint="segments choose rows: segments: {vip: {where: …}}",
            location=source.document.locate((key,), key=True),
        )


def _check_compression(files: Sequence[SourceFile], at: Location) -> None:
    first = files[0]
    for file in files[1:]:
        if file.compression != first.compression:
            said = [
                f"{f.shown_as} is "
                + (f"compressed ({f.compression})" if f.compression != "none" else "not")
                for f in (file, first)
            ]
            raise SourceError(
                ", ".join(said), hint="a glob matches files that are compressed alike", location=at
            )


def _not_yet(what: str, at: Location) -> None:
    raise SourceError(
        f"this version does not read {what} yet",
        hint="use `file:` with a file (csv, jsonl, parquet, duckdb, sqlite), "
        "or `database: sqlite:///…` or `duckdb:///…`",
        location=at,
    )


def modified_at(source: Source, root: Path) -> datetime:
    """When the newest of the source's files was last written, in UTC. Raises SourceError."""
    newest = max(file.modified_ns for file in find_files(source, root))
    return datetime.fromtimestamp(newest / 1_000_000_000, tz=UTC)
