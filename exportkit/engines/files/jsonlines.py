"""JSON: one object a line, or one list of objects. Columns are the keys that the beginning shows.

Every value is read as text, so that a number of 25 digits, or a column that is a number in one
line and text in the next, comes through; lists and objects stay JSON. Numbers with a fraction are
written as short as they read back (1.50 becomes 1.5): JSON knows no other difference.
"""

# ruff: noqa: S608 - names and values are quoted by `sql`

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from exportkit.engines import failures
from exportkit.engines.sql import literal, text_list
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from exportkit.engines.files.file import SourceFile

_PREDICATE_TYPES = ("BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIME", "TIMESTAMP")
_LARGEST_OBJECT = 64 * 1024 * 1024


def layout(file: SourceFile) -> str:
    """`array` for a file that is one JSON list, else `newline_delimited`.

    Raises SourceError if a key of the first object occurs twice: the engine would take either.
    """
    head = file.head().lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"["):
        return "array"
    try:
        json.loads(head.split(b"\n", 1)[0], object_pairs_hook=_Keys)
    except _TwiceError as error:
        key = str(error)
        raise SourceError(
            f"the key {key!r} occurs twice in one object",
            hint="keys that differ in upper and lower case alone count as the same",
            location=file.at(1),
        ) from None
    except ValueError:
        pass  # not JSON, or longer than the head: the engine says so, with the line
    return "newline_delimited"


class _TwiceError(Exception):
    """A key occurs twice."""


class _Keys(dict[str, Any]):
    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        for key, _ in pairs:
            if key.lower() in seen:
                raise _TwiceError(key)
            seen.add(key.lower())


def found_types(connection: duckdb.DuckDBPyConnection, file: SourceFile) -> dict[str, str]:
    """The keys of the file's first 20,000 objects, and the type of each for predicates.

    Raises SourceError if there are no objects, or something else stands between them.
    """
    import duckdb

    scan = f"read_json({literal(str(file.path))}, {_options(file)}, map_inference_threshold=-1)"
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    except duckdb.BinderException:  # something is no object, and it does not say where
        raise _no_object(file) from None
    return {row[0]: row[1] if row[1].startswith(_PREDICATE_TYPES) else "VARCHAR" for row in rows}


def _no_object(file: SourceFile) -> SourceError:
    line = failures.first_fault(file)
    if line is not None and layout(file) == "newline_delimited":
        return failures.not_an_object(file.shown_as, line)
    return SourceError(
        f"{file.shown_as} has no JSON object in it"
        if line is None
        else f"{file.shown_as} is a list, but not of objects alone",
        hint='one object a line ({"id": 1, "email": …}), or one list of objects',
        location=file.at(1),
    )


def scan(files: Sequence[SourceFile], names: Sequence[str]) -> str:
    """The FROM item that reads the files, every column as text."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    paths = text_list(str(file.path) for file in files)
    return f"read_json({paths}, {_options(files[0])}, columns={{{columns}}})"


def _options(file: SourceFile) -> str:
    return (
        f"format='{layout(file)}', records=true, ignore_errors=false, "
        f"compression='{file.compression}', maximum_object_size={_LARGEST_OBJECT}"
    )
