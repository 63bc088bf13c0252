"""The shelf in a database: files in pieces, seen by all from the moment that the table names them.

What lies in the folder of this process is a workbench: brought when it is needed, and gone when the
process ends. A file that is replaced gets new pieces, and whoever reads meanwhile has the old ones
to the end.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from exportkit.durable import Draft, make_folder
from exportkit.errors import JournalError
from exportkit.state.folder import remove_folder, unwritable
from exportkit.state.postgresql import Database
from exportkit.state.sessions import Locks, SessionLock, key_of
from exportkit.state.sharedtables import ServerTables, files, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 1 << 20
"""Bytes of a file that are in memory at a time."""


class DatabaseShelf:
    """What the runners of one workspace share; see `Shelf`. Nothing is open before it is used."""

    shared = True

    def __init__(self, url: str, home: Path) -> None:
        self.database = Database(url)
        self.home = home
        self._runners = home / "runners"
        self.root = self._runners / secrets.token_hex(8)
        self._locks = Locks(self.database)
        self.tables = ServerTables(self.shown, self.database.begin, self._locks.fenced)
        self._here: int | None = None
        self._known: dict[Path, tuple[str, int, int, int]] = {}

    @property
    def shown(self) -> str:
        """The database, for people."""
        return self.database.shown

    def held(self, lock: Path, what: str) -> Any:
        """A lock of the database; see `sessions`."""
        return self._locks.held(self._name(lock), what)

    def session_lock(self, lock: Path) -> SessionLock:
        """One to wait for, in a session of its own."""
        return SessionLock(self.database, self._name(lock))

    def holder(self, lock: Path) -> dict[str, Any] | None:
        """Who holds the lock, by the database."""
        return self._locks.holder(self._name(lock))

    def still_held(self) -> None:
        """Asks the database."""
        self._locks.still_held()

    @contextmanager
    def fenced(self) -> Iterator[sa.Connection]:
        """A transaction that is only if the locks that this process holds are still its own."""
        with self._locks.fenced() as connection:
            yield connection

    def bring(self, *paths: Path, named: str | None = None) -> None:
        """Bring what differs. What a folder holds here besides stays."""
        query = sa.select(files).where(self._below(*paths))
        if named is not None:
            query = query.where(files.c.path.like(f"%/{named}"))
        engine = self.database.engine.execution_options(isolation_level="REPEATABLE READ")
        with self.database.explained(), engine.connect() as connection, connection.begin():
            found = {self._place(row.path): row for row in connection.execute(query)}
            for place, row in found.items():
                try:
                    self.open_workbench()
                    self._bring(connection, place, row)
                except OSError as error:
                    raise unwritable(place, error) from None
        for path in paths:
            if path not in found and path.is_file() and not any(path in f.parents for f in found):
                path.unlink()

    def share(self, *paths: Path, fenced: bool = False) -> None:
        """Take up what is new, name it, and remove what nothing names any more: one transaction."""
        here = [file for path in paths for file in _files(path)]
        with self.fenced() if fenced else self.database.begin() as connection:
            for name in sorted(map(self._name, paths)):
                # Several may write one file at a time; they do it one after the other.
                lock = key_of(self.database.schema, f"share {name}")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
            rows = connection.execute(sa.select(files).where(self._below(*paths)))
            known = {row.path: row for row in rows}
            for file in here:
                name = self._name(file)
                self._take_up(connection, file, name, known.pop(name, None))
            for row in known.values():
                _forget(connection, row)

    def files(self, folder: Path) -> dict[Path, int]:
        """What the table names below the folder."""
        query = sa.select(files.c.path, files.c.bytes).where(self._below(folder))
        with self.database.explained(), self.database.engine.connect() as connection:
            return {self._place(row.path): row.bytes for row in connection.execute(query)}

    def untouched(self, folder: Path) -> timedelta:
        """Since the latest file below the folder, by the database's clock."""
        latest = sa.func.coalesce(sa.func.max(files.c.at), sa.func.to_timestamp(0))
        query = sa.select(sa.func.clock_timestamp() - latest).where(self._below(folder))
        with self.database.explained(), self.database.engine.connect() as connection:
            answer: timedelta = connection.execute(query).scalar_one()
            return answer

    def skew(self) -> timedelta:
        """How far the database's clock is ahead of this host's."""
        with self.database.explained(), self.database.engine.connect() as connection:
            theirs: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return theirs - datetime.now(UTC)

    def open_workbench(self) -> None:
        """Make this process's folder, and remove those of processes that died. Raises OSError."""
        if self._here is not None:
            return
        make_folder(self._runners)
        while self._here is None or not self.root.exists():
            # Somebody who clears up may be quicker than its lock.
            self.root.mkdir(mode=0o700, exist_ok=True)
            self._here = _hold(self.root)
        for other in self._runners.iterdir():
            if other != self.root and (theirs := _hold(other)) is not None:
                remove_folder(other)
                os.close(theirs)

    def close(self) -> None:
        """Give the locks back, close all sessions, remove the workbench."""
        self._locks.close()
        self.database.close()
        if self._here is not None:
            remove_folder(self.root)
            os.close(self._here)
            self._here = None

    def _below(self, *paths: Path) -> sa.ColumnElement[bool]:
        names = [self._name(path) for path in paths]
        if "." in names:
            return sa.true()
        below = [files.c.path.startswith(f"{name}/", autoescape=True) for name in names]
        return sa.or_(files.c.path.in_(names), *below)

    def _name(self, path: Path) -> str:
        """How all runners call what lies here in the workbench."""
        return path.relative_to(self.root).as_posix()

    def _place(self, name: str) -> Path:
        place = self.root / name
        if ".." in place.parts or not place.is_relative_to(self.root):
            raise JournalError(
                f"the state in {self.shown} names a file outside of it",
                hint="somebody wrote into it who is not exportkit; look at who may",
            )
        return place

    def _bring(self, connection: sa.Connection, place: Path, row: Any) -> None:
        if self._is_known(place, row):
            return
        if not place.exists() or place.stat().st_size != row.bytes or _digest(place) != row.sha256:
            make_folder(place.parent)
            with Draft(place) as draft:
                digest = hashlib.sha256()
                for number in range(-(-row.bytes // PIECE)):
                    piece = _piece(connection, row.content, number)
                    digest.update(piece)
                    draft.file.write(piece)
                if digest.hexdigest() != row.sha256:
                    raise JournalError(
                        f"{row.path} in {self.shown} is damaged",
                        hint="restore the database. If it cannot be, delete that row of the table "
                        "files: a snapshot that is missing means that everybody counts as new",
                    )
                draft.commit()
        os.utime(place, (row.at.timestamp(),) * 2)
        self._known[place] = _mark(place, row.content)

    def _is_known(self, file: Path, row: Any) -> bool:
        """Whether a large file is the row's without reading it; a small one is read quickly."""
        return row.bytes > PIECE and self._known.get(file) == _mark(file, row.content)

    def _take_up(self, connection: sa.Connection, file: Path, name: str, known: Any) -> None:
        now = sa.func.clock_timestamp()
        as_known = known is not None and self._is_known(file, known)
        digest = known.sha256 if as_known else _digest(file)
        if known is not None and known.sha256 == digest:
            same = sa.update(files).where(files.c.path == name)
            connection.execute(same.values(at=now))
            return
        if known is not None:
            _forget(connection, known)
        content, size = secrets.token_hex(16), 0
        for number, piece in enumerate(_read(file)):
            size += len(piece)
            row = {"number": number, "bytes": len(piece), "packed": _packed(piece)}
            connection.execute(sa.insert(pieces).values(content=content, **row))
        entry = sa.insert(files).values(path=name, content=content, bytes=size)
        connection.execute(entry.values(sha256=digest, at=now))
        self._known[file] = _mark(file, content)


def _forget(connection: sa.Connection, row: Any) -> None:
    connection.execute(sa.delete(files).where(files.c.path == row.path))
    connection.execute(sa.delete(pieces).where(pieces.c.content == row.content))


def _piece(connection: sa.Connection, content: str, number: int) -> bytes:
    """A piece as it was taken up; none where it is missing or damaged, which the digest tells."""
    import pyarrow as pa

    mine = (pieces.c.content == content, pieces.c.number == number)
    row = connection.execute(sa.select(pieces.c.bytes, pieces.c.packed).where(*mine)).first()
    piece = b""
    if row is not None:
        with suppress(OSError, pa.ArrowException):
            piece = pa.decompress(row.packed, row.bytes, codec="zstd", asbytes=True)
    return piece


def _packed(piece: bytes) -> bytes:
    import pyarrow as pa

    packed: bytes = pa.compress(piece, codec="zstd", asbytes=True)
    return packed


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            yield piece


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if _counts(file))
    elif path.is_file():
        yield path


def _mark(place: Path, content: str) -> tuple[str, int, int, int]:
    """That this content is in the file, as long as the file is not touched."""
    try:
        facts = place.stat()
    except FileNotFoundError:
        return content, -1, -1, -1
    return content, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _counts(file: Path) -> bool:
    """Whether it is a file of the state: not one in the making."""
    return file.is_file() and not file.name.startswith(".")


def _hold(folder: Path) -> int | None:
    """Keep a workbench from being removed; None if somebody else does."""
    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    if descriptor is not None:
        os.close(descriptor)
    return None
