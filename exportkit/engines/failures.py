"""What an engine says when it fails, said again without a value of anybody's row.

DuckDB quotes the row that it cannot read. No such text may reach a message, a log or a chained
exception, so its errors are replaced, not wrapped: only numbers and our own file names survive.
"""

from __future__ import annotations

import csv
import re
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from exportkit.errors import ExportkitError, JournalError, Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

    from exportkit.engines.files.file import SourceFile

LONGEST_LINE = 8 * 1024 * 1024
_CSV_LINE = re.compile(r"Invalid Input Error: CSV Error on Line: (\d+)\n")
_COUNTS = re.compile(r"\nExpected Number of Columns: (\d+) Found: (\d+)\n")
_JSON_LINE = re.compile(r'in file "[^"\n]*", (?:at byte \d+ )?in (?:line|record/value) (\d+)')
_UNWRITTEN = re.compile(
    r"Could not write file .*?: (No space left on device|Disk quota exceeded|[A-Z][a-z ]+)"
)
# Types by name, so that nothing out of a row can pass for one.
_CONVERSION = re.compile(
    r"\bto (?:type )?'?(U?INT(?:8|16|32|64|128)|FLOAT|DOUBLE|DECIMAL|DATE|TIMESTAMP|TIME|BOOL|"
    r"BOOLEAN|INTEGER|BIGINT|INTERVAL|UUID)\b"
)


@contextmanager
def rewritten(files: Sequence[SourceFile], shown_as: str) -> Iterator[None]:
    """Run engine code; whatever the engine raises comes out as a SourceError or a JournalError.

    `files` are the ones that may be at fault, `shown_as` is the name if none of them is known.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise rewrite(error, files, shown_as) from None


def rewrite(error: duckdb.Error, files: Sequence[SourceFile], shown_as: str) -> ExportkitError:
    """The engine's error as ours, without what it quotes."""
    import duckdb

    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return JournalError(
            "memory and the room for temporary files are used up",
            hint="make room on the disk of the state folder, then run again",
        )
    if is_conversion(error):
        return _conversion(text, shown_as)
    if isinstance(error, duckdb.IOException) and (failure := _of_the_disk(text, shown_as)):
        return failure
    file = _file_of(text, files)
    name = file.shown_as if file else shown_as
    if failure := _of_the_text(error, file, name):
        return failure
    if isinstance(error, duckdb.PermissionException):
        return SourceError(
            f"{name} would read something besides the source's own files", location=Location(name)
        )
    if isinstance(
        error, duckdb.IOException | duckdb.InvalidInputException | duckdb.InternalException
    ):
        return SourceError(
            f"{name} cannot be read: it is damaged, or it changed while it was read",
            hint="write it again, and replace it in one step (rename) when it is complete",
            location=Location(name),
        )
    return SourceError(
        f"{name} cannot be read as declared ({type(error).__name__.removesuffix('Exception')})",
        location=Location(name),
    )


def _of_the_disk(text: str, shown_as: str) -> ExportkitError | None:
    if unwritten := _UNWRITTEN.search(text):
        return JournalError(
            f"the disk does not take any more: {unwritten[1].lower()}",
            hint="make room on the disk of the state folder, then run again",
        )
    if "Could not set lock on file" in text:
        hint = "try again when it is done; another DuckDB must not have it open for writing"
        return SourceError(f"{shown_as} is open in another program", hint=hint)
    return None


def _of_the_text(error: duckdb.Error, file: SourceFile | None, name: str) -> SourceError | None:
    """What is wrong with CSV or JSON, and in which line."""
    import duckdb

    text = str(error)
    if csv_line := _CSV_LINE.match(text):
        return _csv_failure(text, int(csv_line[1]), file, name)
    if isinstance(error, duckdb.NotImplementedException) and "CSV Reader" in text and file:
        return too_long(name, long_line(file, LONGEST_LINE))
    if "CSV Parser state machine" in text:
        return SourceError(
            f"{name} does not hold together as CSV",
            hint="most often its lines end in different ways (LF and CR LF): write it again",
            location=Location(name),
        )
    if "JSON" in text and (json_line := _JSON_LINE.search(text)):
        return not_an_object(name, _json_line(file, int(json_line[1])))
    return None


def unwritable(what: str, error: OSError) -> JournalError:
    """Something of ours that cannot be written."""
    return JournalError(
        f"{what} cannot be written: {error.strerror or type(error).__name__}",
        hint="look at the disk and the rights of the state folder",
    )


def is_conversion(error: duckdb.Error) -> bool:
    """Whether a value does not fit what an expression makes of it."""
    import duckdb

    if isinstance(error, duckdb.InvalidInputException):
        return str(error).startswith("Invalid Input Error: Could not parse string")  # strptime
    return isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException)


def _conversion(text: str, shown_as: str) -> SourceError:
    found = _CONVERSION.search(text)
    to = f" as {found[1]}" if found else ""
    return SourceError(
        f"a value in {shown_as} cannot be read{to}, which an expression asks for",
        hint="use try_cast(... as ...) or try_strptime, or compare with text in '…'",
    )


def _file_of(text: str, files: Sequence[SourceFile]) -> SourceFile | None:
    if len(files) == 1:
        return files[0]
    named = [
        (max(text.rfind(f"file = {file.path}\n"), text.rfind(f'"{file.path}"')), file)
        for file in files
    ]
    position, file = max(named, key=lambda pair: pair[0], default=(-1, None))
    return file if position >= 0 else None


def _csv_failure(text: str, record: int, file: SourceFile | None, name: str) -> SourceError:
    line = physical_line(file, record) if file else record
    counts = _COUNTS.findall(text)
    if "\nInvalid unicode (byte sequence mismatch) detected." in text:
        message = f"line {line} is not valid UTF-8"
        hint = "declare what it is, for example `encoding: windows-1252`"
    elif "\nValue with unterminated quote found." in text:
        message = f"line {line} has a quote that is not closed, or text after a closing quote"
        hint = 'a quote inside a quoted value is written twice: ""'
    elif "\nMaximum line size of " in text:
        return too_long(name, line)
    elif counts:
        expected, found = counts[-1]
        message = f"line {line} has {found} values where the header has {expected}"
        hint = 'a value with the delimiter in it stands in quotes: "…"'
    else:
        message, hint = f"line {line} is not CSV", "is it cut off, or quoted in another way?"
    return SourceError(message, hint=hint, location=Location(name, line))


def too_long(name: str, line: int) -> SourceError:
    """A line of CSV that is longer than any is read."""
    return SourceError(
        f"line {line} is longer than 8 MiB",
        hint="most often a quote is left open before it",
        location=Location(name, line),
    )


def long_line(file: SourceFile, longest: int) -> int:
    """The first line with more than `longest` bytes; 1 if there is none."""
    with file.opened() as stream:
        return next((n for n, line in enumerate(stream, start=1) if len(line) > longest), 1)


def physical_line(file: SourceFile, record: int) -> int:
    """The line of the file on which its n-th record starts: quoted values may span several.

    The engine counts records. Only the error path pays for this walk over the file.
    """
    import io

    csv.field_size_limit(2**31 - 1)
    with file.opened() as stream:
        text = io.TextIOWrapper(stream, encoding=file.encoding, errors="replace", newline="")
        rows = csv.reader(text)
        start = 1
        try:
            for number, _ in enumerate(rows, start=1):
                if number == record:
                    return start
                start = rows.line_num + 1
        except csv.Error:
            pass
    return start if record > 1 else 1


def _json_line(file: SourceFile | None, reported: int) -> int:
    """The engine is one line off for some faults: look at the lines around the one it names."""
    if file is None:
        return reported
    return first_fault(file, first=reported - 1, last=reported) or reported


def first_fault(file: SourceFile, *, first: int = 1, last: int | None = None) -> int | None:
    """The first line, between `first` and `last`, that is something else than a JSON object."""
    import json

    with file.opened() as stream:
        for number, line in enumerate(islice(stream, last), start=1):
            if number < first or not line.strip():
                continue
            try:
                if not isinstance(json.loads(line), dict):
                    return number
            except ValueError:
                return number
    return None


def not_an_object(name: str, line: int) -> SourceError:
    """A line of JSON lines that is something else."""
    return SourceError(
        f"line {line} is not a JSON object",
        hint="JSON lines have one object a line, encoded as UTF-8",
        location=Location(name, line),
    )
