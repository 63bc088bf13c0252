"""A source: where profiles are read, and the segments that it names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from exportkit.config.references import resolve
from exportkit.config.scalars import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from exportkit.config.documents import Document


@dataclass(frozen=True, slots=True)
class Segment:
    """A named subset of a source's profiles. `where` is SQL; None means everyone."""

    name: str
    where: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of `sources/`, as written: paths are relative, references unresolved.

    Exactly one of `file`, `database`, `spark` is set, or `spark` with `file`. `table` and `query`
    exclude each other. `spark_state` is where a cluster keeps what was delivered. `types`
    maps columns to the SQL types that they are read as.
    """

    name: str
    file: str | None
    database: str | None = field(repr=False)
    spark: str | None = field(repr=False)
    table: str | None
    query: str | None
    key: str
    segments: tuple[Segment, ...]
    encoding: str | None
    delimiter: str | None
    types: Mapping[str, str]
    fresh_within: timedelta | None
    description: str
    document: Document = field(repr=False, compare=False)
    spark_state: str | None = None

    def segment(self, name: str) -> Segment | None:
        """The segment of that name, if the source has it."""
        return next((segment for segment in self.segments if segment.name == name), None)


def read_source(document: Document) -> Source:
    """The record of a document that `schemas.check` found nothing wrong with."""
    data, text = document.data, document.text
    fresh = text(("fresh_within",))
    return Source(
        name=text(("name",)) or "",
        file=text(("file",)),
        database=text(("database",)),
        spark=text(("spark",)),
        table=text(("table",)),
        query=text(("query",)),
        key=text(("key",)) or "",
        segments=tuple(_segment(document, name) for name in data.get("segments") or {}),
        encoding=text(("encoding",)),
        delimiter=text(("delimiter",)),
        types={name: text(("types", name)) or "" for name in data.get("types") or {}},
        fresh_within=parse_duration(fresh) if fresh else None,
        description=text(("description",)) or "",
        document=document,
        spark_state=text(("spark_state",)),
    )


def resolved(source: Source, root: Path) -> Source:
    """The source with its references replaced: a password may be in it now, so never show it.

    Raises ConfigError, with position, for what cannot be replaced.
    """
    parts = {
        name: resolve(getattr(source, name), source.document, (name,), root=root)
        for name in ("file", "database", "spark", "spark_state", "table", "query")
    }
    return replace(source, **parts)


def _segment(document: Document, name: str) -> Segment:
    at = ("segments", name)
    if document.data["segments"][name] is None:
        return Segment(name)
    return Segment(name, document.text((*at, "where")), document.text((*at, "description")) or "")
