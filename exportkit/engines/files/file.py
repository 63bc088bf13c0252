"""What a file is, before any engine touches it: format, compression, encoding, readability.

The name says the format and the first bytes have to agree with it. Whatever is wrong here is a
`SourceError` that names the file and never quotes what is in it.
"""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Literal, cast

from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Format = Literal["csv", "json", "parquet", "duckdb", "sqlite"]
Compression = Literal["none", "gzip", "zstd"]

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}
PARQUET = (".parquet", ".pq")
_COMPRESSED = (".gz", ".zst")
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PAR1", "parquet"),
    (0, b"SQLite format 3\0", "sqlite"),
    (8, b"DUCK", "duckdb"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"PK\x03\x04", "zip or spreadsheet"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"%PDF", "PDF"),
    (0, b"ORC", "ORC"),
    (0, b"Obj\x01", "Avro"),
    (0, b"\xd0\xcf\x11\xe0", "spreadsheet"),
)
_BOMS: tuple[tuple[bytes, str], ...] = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_PEEK = 64 * 1024


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One existing, readable file with something in it.

    `shown_as` is its name in messages. `encoding` is the Python codec that reads its text
    ("utf-8" where nothing else is declared or marked); it means nothing for binary formats.
    `size` in bytes and `modified_ns` take in a database's write-ahead log.
    """

    path: Path
    shown_as: str
    format: Format
    compression: Compression
    encoding: str
    size: int
    modified_ns: int

    def at(self, line: int) -> Location:
        """The location of a line of the file."""
        return Location(self.shown_as, line)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The file's bytes, decompressed."""
        if self.compression == "gzip":
            with gzip.open(self.path, "rb") as stream:
                yield cast("IO[bytes]", stream)
        elif self.compression == "zstd":
            import pyarrow as pa

            with pa.input_stream(str(self.path), compression="zstd") as stream:
                yield stream
        else:
            with self.path.open("rb") as stream:
                yield stream

    def head(self, size: int = _PEEK) -> bytes:
        """The first `size` decompressed bytes, or less. SourceError if they cannot be read."""
        try:
            with self.opened() as stream:
                return stream.read(size)
        except (OSError, EOFError) as error:
            how = "be read" if self.compression == "none" else f"be read as {self.compression}"
            raise SourceError(
                f"{self.shown_as} cannot {how}",
                hint="the file is damaged or cut off: write it again",
                location=Location(self.shown_as),
            ) from error


def is_data(name: str) -> bool:
    """Whether a name says of what kind the file is."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix in _FORMATS or suffix in _COMPRESSED or suffix == ".db"


def is_part(parts: Sequence[str]) -> bool:
    """Whether a file in a folder, at this path below it, is one of the folder's Parquet files.

    Names that start with a dot or an underscore are notes of the program that wrote the folder.
    """
    below = [part for part in parts if part]
    return (
        bool(below)
        and below[-1].lower().endswith(PARQUET)
        and not any(part.startswith((".", "_")) and "=" not in part for part in below)
    )


def look_at(path: Path, shown_as: str, *, encoding: str | None, at: Location | None) -> SourceFile:
    """Find out what the file at `path` is.

    `encoding` is the declared one, `at` where the workspace declares the file. Raises SourceError
    for a file that is missing, a folder, unreadable, empty, or not what its name says.
    """
    peek, size, modified_ns = _first_bytes(path, shown_as, at)
    compression = _compression(path, peek, shown_as)
    declared = _format(path, peek, compression, shown_as, at)
    file = SourceFile(path, shown_as, declared, compression, encoding or "utf-8", size, modified_ns)
    if declared not in ("csv", "json"):
        return file
    head = file.head() if compression != "none" else peek
    if not head:
        raise _empty(shown_as)
    return _with_encoding(file, head, encoding)


def _first_bytes(path: Path, shown_as: str, at: Location | None) -> tuple[bytes, int, int]:
    try:
        if path.is_dir():
            hint = f"name the files in it: `file: {shown_as.rstrip('/')}/*.csv`"
            raise SourceError(f"{shown_as} is a folder, not a file", hint=hint, location=at)
        with path.open("rb") as stream:
            peek = stream.read(_PEEK)
        states = [part.stat() for part in (path, *_logs(path))]
    except FileNotFoundError as error:
        raise SourceError(
            f"there is no file {shown_as}",
            hint="relative paths start at the workspace",
            location=at,
        ) from error
    except PermissionError as error:
        raise SourceError(
            f"{shown_as} may not be read by this account",
            hint="give the account that runs exportkit the right to read it",
            location=at,
        ) from error
    except OSError as error:
        raise SourceError(
            f"{shown_as} cannot be read: {error.strerror or type(error).__name__}", location=at
        ) from error
    if not peek:
        raise _empty(shown_as)
    return peek, sum(s.st_size for s in states), max(s.st_mtime_ns for s in states)


def _logs(path: Path) -> list[Path]:
    """The write-ahead log beside a database: what was written last may stand there alone."""
    beside = (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}.wal"))
    return [log for log in beside if log.exists()]


def _empty(shown_as: str) -> SourceError:
    hint = "was it still being written? Even without profiles a file has a header"
    return SourceError(f"{shown_as} is empty (0 bytes)", hint=hint, location=Location(shown_as))


def _compression(path: Path, peek: bytes, shown_as: str) -> Compression:
    found = _magic(peek)
    if found in ("gzip", "zstd"):
        return cast("Compression", found)
    if path.suffix.lower() in _COMPRESSED:
        raise SourceError(
            f"{shown_as} is named like a compressed file but is none",
            hint="take the ending off its name, or compress it",
            location=Location(shown_as),
        )
    return "none"


def _format(
    path: Path, peek: bytes, compression: Compression, shown_as: str, at: Location | None
) -> Format:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    found = _magic(peek) if compression == "none" else None
    if suffix == ".db" and found in ("sqlite", "duckdb"):
        return cast("Format", found)
    named = _FORMATS.get(suffix)
    if named is None:
        if found in ("parquet", "sqlite", "duckdb"):
            return cast("Format", found)
        raise SourceError(
            f"nothing says what kind of file {shown_as} is",
            hint="names end with .csv, .tsv, .jsonl, .parquet, .duckdb or .sqlite "
            "(text also with .gz or .zst)",
            location=at,
        )
    if named in ("csv", "json"):
        if found:
            _refuse(shown_as, named, found)
    elif compression != "none":
        _refuse(shown_as, named, compression)
    elif found != named:
        _refuse(shown_as, named, found)
    return named


def _refuse(shown_as: str, named: str, found: str | None) -> None:
    what = f"it is {found}" if found else "it is not, or it is damaged"
    raise SourceError(
        f"{shown_as} should be {named} by its name, but {what}",
        hint="give it the ending of what it is, or write it again",
        location=Location(shown_as),
    )


def _magic(peek: bytes) -> str | None:
    return next(
        (name for start, magic, name in _MAGIC if peek[start:].startswith(magic)),
        None,
    )


def _with_encoding(file: SourceFile, head: bytes, declared: str | None) -> SourceFile:
    marked = next((codec for mark, codec in _BOMS if head.startswith(mark)), None)
    codec = codec_of(declared) if declared else marked or "utf-8"
    if codec == "utf-8" and marked == "utf-8-sig":
        codec = "utf-8-sig"
    wide = codec.startswith(("utf-16", "utf-32"))
    if b"\0" in head and not wide:
        raise SourceError(
            f"{file.shown_as} is not text: there are zero bytes in it",
            hint="UTF-16 needs a byte order mark or `encoding: utf-16`; "
            "anything else is not a text file",
            location=Location(file.shown_as),
        )
    return SourceFile(
        file.path,
        file.shown_as,
        file.format,
        file.compression,
        codec,
        file.size,
        file.modified_ns,
    )


def codec_of(declared: str, at: Location | None = None) -> str:
    """Python's name of a declared encoding. SourceError, at `at`, if there is none."""
    import codecs

    try:
        name = codecs.lookup(declared).name
        "".encode(name)
    except (LookupError, UnicodeError) as error:
        raise SourceError(
            f"there is no encoding {declared!r}",
            hint="for example utf-8, utf-16, latin-1, windows-1252",
            location=at,
        ) from error
    return name
