"""What can be known to be wrong with a file elsewhere before anybody asks its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.config.references import has_reference
from exportkit.engines.databases.unopened import place_in
from exportkit.engines.predicates import ExpressionError, check_tree
from exportkit.engines.stores import store as stores
from exportkit.errors import Complaint, SourceError

if TYPE_CHECKING:
    from exportkit.config.documents import Document
    from exportkit.config.source import Source

_ELSEWHERE = (*stores.OBJECT_SCHEMES, *stores.WEB_SCHEMES, "iceberg")


def is_elsewhere(source: Source) -> bool:
    """Whether the source's file, as it is written, lies in a store or on a web server."""
    return stores.scheme_of(source.file or "") in _ELSEWHERE


def complaints_unfetched(source: Source) -> list[Complaint]:
    """What is wrong with a source elsewhere, as far as its file in the workspace can tell."""
    found: list[Complaint] = []
    where = source.file or ""
    if not has_reference(where) and stores.scheme_of(where) != "iceberg":
        try:
            stores.open_store(where, source.document.locate(("file",)))
        except SourceError as error:
            found += error.complaints
    for segment in source.segments:
        if segment.where is not None:
            found += unreadable(source.document, ("segments", segment.name, "where"), segment.where)
    return found


def unreadable(document: Document, path: tuple[str, ...], sql: str) -> list[Complaint]:
    """What is wrong with an expression, whatever the columns are."""
    try:
        check_tree(sql, None, dialect="duckdb")
    except ExpressionError as error:
        return [Complaint(error.message, place_in(document, path, error.offset), error.hint)]
    return []
