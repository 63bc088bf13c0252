"""CSV and TSV: the columns and the delimiter are settled once, then every read is told them.

The dialect is fixed (quote and escape are `"`, no comments, no skipped lines, no padding) and the
header is always the first line, so that nothing about the data can change how it is read.
"""

# ruff: noqa: S608 - names and values are quoted by `sql`, expressions checked by `predicates`

from __future__ import annotations

import csv
import io
import os
from itertools import islice
from typing import TYPE_CHECKING

from exportkit.engines import failures
from exportkit.engines.sql import literal, text_list
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

    from exportkit.engines.files.file import SourceFile

LONGEST_LINE = failures.LONGEST_LINE
_BUFFER = 2 * LONGEST_LINE  # one a thread; left to itself the engine takes 16 lines, and is slower
_DELIMITERS = ",\t;|"
_SAMPLE_LINES = 50


def read_header(file: SourceFile, declared: str | None) -> tuple[tuple[str, ...], str]:
    """The column names and the delimiter of one file. Raises SourceError for an unusable header."""
    text = _beginning(file)
    delimiter = declared or _delimiter(text, file)
    names = next(_records(text, delimiter), [])
    if sum(map(len, names)) > LONGEST_LINE:
        raise failures.too_long(file.shown_as, 1)
    _check_names(names, file, delimiter)
    return tuple(names), delimiter


def _beginning(file: SourceFile) -> str:
    """The first lines as text; at least the whole first one."""
    size = 64 * 1024
    while size <= 16 * LONGEST_LINE:
        head = file.head(size)
        text = _decode(head, file, final=len(head) < size)
        if len(head) < size or len(text.splitlines()) > 1:
            return text
        size *= 16
    raise failures.too_long(file.shown_as, 1)


def _decode(head: bytes, file: SourceFile, *, final: bool) -> str:
    import codecs

    decoder = codecs.getincrementaldecoder(file.encoding)()
    try:
        return decoder.decode(head, final)
    except UnicodeDecodeError as error:
        line = head[: error.start].count(b"\n") + 1
        codec = file.encoding.removesuffix("-sig")
    raise SourceError(
        f"line {line} is not valid {codec.upper()}",
        hint="declare what it is, for example `encoding: windows-1252`",
        location=file.at(line),
    )


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(2**31 - 1)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _delimiter(text: str, file: SourceFile) -> str:
    """The delimiter that gives every line of the beginning as many values as the header."""
    if ".tsv" in file.path.name.lower() or ".tab" in file.path.name.lower():
        return "\t"
    best, most = ",", (False, 1)
    for candidate in _DELIMITERS:
        records = islice(_records(text, candidate), _SAMPLE_LINES)
        widths = [len(record) for record in records if record]
        if len(widths) > 2:
            widths.pop()  # the sample may end inside of its last line
        found = (len(set(widths)) == 1, widths[0] if widths else 0)
        if found[1] > 1 and found > most:
            best, most = candidate, found
    return best


def check_last_line(file: SourceFile) -> None:
    """Refuse a file whose last line is too long: the engine leaves such a row out silently.

    Compressed files are not looked at: their end is known only once all is read.
    """
    if file.compression != "none" or file.path.stat().st_size <= LONGEST_LINE:
        return
    size = 64 * 1024
    with file.opened() as stream:
        while size <= LONGEST_LINE:
            stream.seek(-size, os.SEEK_END)
            if len(stream.read(size).rstrip(b"\r\n").splitlines()) > 1:
                return
            size *= 2
    raise failures.too_long(file.shown_as, failures.long_line(file, LONGEST_LINE))


def _check_names(names: Sequence[str], file: SourceFile, delimiter: str) -> None:
    where = file.at(1)
    if not names:
        raise SourceError(
            "line 1 is empty where the header should be",
            hint="the first line names the columns",
            location=where,
        )
    empty = [number for number, name in enumerate(names, start=1) if not name.strip()]
    if empty:
        raise SourceError(
            f"column {empty[0]} of {len(names)} has no name in the header",
            hint=f"the delimiter is {delimiter!r}; if that is wrong, declare `delimiter:`",
            location=where,
        )
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        first = seen.setdefault(name.lower(), number)
        if first != number:
            raise SourceError(
                f"columns {first} and {number} of the header have the same name",
                hint="names that differ in upper and lower case alone count as the same",
                location=where,
            )


def scan(files: Sequence[SourceFile], names: Sequence[str], delimiter: str) -> str:
    """The FROM item that reads the files, every column as the text that stands there."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({text_list(str(file.path) for file in files)}, auto_detect=false, "
        f"columns={{{columns}}}, header=true, all_varchar=true, {_dialect(delimiter)}, "
        f"nullstr='', allow_quoted_nulls=false, null_padding=false, ignore_errors=false, "
        f"{_reading(files[0])})"
    )


def _reading(file: SourceFile) -> str:
    return (
        f"strict_mode=true, compression='{file.compression}', "
        f"max_line_size={LONGEST_LINE}, buffer_size={_BUFFER}"
    )


def _dialect(delimiter: str) -> str:
    return f"delim={literal(delimiter)}, quote='\"', escape='\"', comment=''"


def infer_types(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, names: Sequence[str], delimiter: str
) -> dict[str, str]:
    """A type for each column, from the beginning of one file. For predicates alone."""
    import duckdb

    options = f"header=true, {_dialect(delimiter)}, {_reading(file)}"
    sniffed = f"sniff_csv({literal(str(file.path))}, {options})"
    try:
        ((columns, dates, times),) = connection.execute(
            f"SELECT Columns, DateFormat, TimestampFormat FROM {sniffed}"
        ).fetchall()
    except duckdb.InvalidInputException:
        columns, dates, times = [], None, None
    if len(columns) != len(names):
        # Something is broken: reading says what and where. If nothing is, all columns are text.
        everything = scan([file], names, delimiter)
        connection.execute(f"SELECT count(*) FROM {everything}").fetchall()
        return dict.fromkeys(names, "VARCHAR")
    # 01/02/2020 has two readings: what is not ISO stays text, and the predicate says how it reads.
    guessed = {"DATE": dates, "TIMESTAMP": times}
    return {
        name: column["type"] if _is_iso(guessed.get(column["type"])) else "VARCHAR"
        for name, column in zip(names, columns, strict=True)
    }


def _is_iso(pattern: str | None) -> bool:
    return not pattern or pattern.startswith("%Y-%m-%d")
