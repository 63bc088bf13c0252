"""What can be known to be wrong with a server's source before anybody asks the server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from exportkit.engines.databases.servers import ADBC, sql_dialect
from exportkit.engines.databases.statements import check_query
from exportkit.engines.databases.translations import dialect_of
from exportkit.engines.predicates import ExpressionError, check_tree
from exportkit.errors import Complaint, SourceError

if TYPE_CHECKING:
    from exportkit.config.documents import Document
    from exportkit.config.source import Source
    from exportkit.errors import Location

_ONLY_FILES = {
    "types": "cast the column in `query:`",
    "fresh_within": "a server does not say when it was written to; a query can ask a column",
}


def checked_query(source: Source, dialect: str) -> str | None:
    """The source's query, to stand in brackets. Raises SourceError, with the place in the file."""
    if source.query is None:
        return None
    try:
        return check_query(source.query, dialect)
    except ExpressionError as error:
        at = place_in(source.document, ("query",), error.offset)
        raise SourceError(error.message, hint=error.hint, location=at) from None


def complaints_unopened(source: Source, scheme: str) -> list[Complaint]:
    """What is wrong with a source on a server, as far as its file alone can tell.

    `scheme` is what its URL begins with, empty where that is not known here.
    """
    found: list[Complaint] = []
    try:
        if scheme.startswith(ADBC):
            from exportkit.engines.databases.adbc_drivers import check_driver

            check_driver(scheme, source.document.locate(("database",)))
        checked_query(source, sql_dialect(scheme))
    except SourceError as error:
        found += error.complaints
    found += misplaced_keys(source)
    for segment in source.segments:
        if segment.where is not None:
            path = ("segments", segment.name, "where")
            found += untranslatable(source.document, path, segment.where, scheme)
    return found


def misplaced_keys(source: Source) -> list[Complaint]:
    """Complaints about keys that say something of files alone."""
    return [
        Complaint(
            f"`{key}:` goes with files of this machine, not with a server",
            source.document.locate((key,), key=True),
            why,
        )
        for key, why in _ONLY_FILES.items()
        if source.document.part((key,)) is not None
    ]


def untranslatable(
    document: Document, path: tuple[str, ...], sql: str, scheme: str
) -> list[Complaint]:
    """What an expression says that cannot be said to such a server, whatever its columns are."""
    try:
        if scheme:
            dialect_of(scheme).check(sql)
        else:
            check_tree(sql, None, dialect="duckdb")
    except ExpressionError as error:
        return [Complaint(error.message, place_in(document, path, error.offset), error.hint)]
    return []


def place_in(document: Document, path: tuple[str, ...], offset: int | None) -> Location:
    """The place `offset` characters into a text of a file, as far as the file tells it.

    In a block (`|`) each line of the text is a line of the file, further down and indented; text
    that is folded (`>`, or over several lines) is placed where it begins.
    """
    at, text = document.locate(path), document.text(path) or ""
    if offset is None:
        return at
    with suppress(OSError, ValueError, IndexError):
        lines = document.path.read_text(encoding="utf-8-sig").splitlines()
        begin = lines[at.line - 1][at.column - 1 :]
        before = text[:offset].split("\n")
        if begin.startswith("|"):
            line = lines[at.line + len(before) - 1]
            indent = len(line) - len(line.lstrip()) if line.strip() else 0
            own = text.split("\n")[len(before) - 1]
            indent -= len(own) - len(own.lstrip())
            return replace(at, line=at.line + len(before), column=indent + len(before[-1]) + 1)
        if begin.startswith(text.rstrip("\n")):
            return replace(at, column=at.column + offset)
        if begin.startswith(("'", '"')) and "\n" not in text:
            return replace(at, column=at.column + offset + 1)
    return at
