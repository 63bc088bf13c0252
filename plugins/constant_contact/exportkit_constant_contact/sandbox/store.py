"""What the sandbox remembers, in SQLite: in a file that stays, or in one that SQLite removes."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from typing import TYPE_CHECKING

from .identities import Identities

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE contacts (
  n INTEGER PRIMARY KEY, key TEXT UNIQUE, address TEXT,
  permission TEXT NOT NULL, first_name TEXT, last_name TEXT, job_title TEXT, company_name TEXT,
  birthday_month INTEGER, birthday_day INTEGER, anniversary TEXT,
  details TEXT NOT NULL DEFAULT '{}', create_source TEXT NOT NULL, update_source TEXT NOT NULL,
  opt_in_source TEXT, opt_in_at INTEGER, opt_out_source TEXT, opt_out_at INTEGER,
  opt_out_reason TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, deleted_at INTEGER
);
CREATE TABLE lists (
  n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT,
  favorite INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  deleted_at INTEGER
);
CREATE TABLE memberships (contact INTEGER, list INTEGER, PRIMARY KEY (contact, list)) WITHOUT ROWID;
CREATE UNIQUE INDEX members ON memberships (list, contact);
CREATE TABLE custom_fields (
  n INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
  extra TEXT NOT NULL DEFAULT '{}', created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE activities (
  n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, file_name TEXT,
  created_at REAL NOT NULL, started_at REAL NOT NULL, completed_at REAL, fate TEXT NOT NULL,
  task TEXT NOT NULL, payload BLOB, worked INTEGER NOT NULL DEFAULT 0,
  status TEXT NOT NULL, errors TEXT NOT NULL DEFAULT '[]', result BLOB
);
CREATE TABLE tokens (
  token TEXT PRIMARY KEY, kind TEXT NOT NULL, scope TEXT NOT NULL, caller TEXT NOT NULL,
  expires_at REAL NOT NULL
) WITHOUT ROWID;
"""

_STAGING = """
CREATE TEMP TABLE staging (
  line INTEGER PRIMARY KEY, key TEXT, address TEXT, first_name TEXT, last_name TEXT, job_title TEXT,
  company_name TEXT, birthday_month INTEGER, birthday_day INTEGER, anniversary TEXT, details TEXT
);
CREATE TEMP TABLE chosen (contact INTEGER PRIMARY KEY);
"""


class StateError(ValueError):
    """The file of the state is none that this sandbox can read."""


class Store:
    """The connection, the lock that everybody takes who reads or writes, and the ids.

    With a `path` what was there stays there. Raises `StateError` for a file that is something else.
    """

    def __init__(self, path: Path | None, *, seed: int | None) -> None:
        # An empty name is a file that SQLite keeps in memory while it is small and deletes itself.
        self.db = sqlite3.connect(
            str(path) if path else "", check_same_thread=False, isolation_level=None
        )
        self.lock = threading.RLock()
        try:
            self._prepare(seed)
        except sqlite3.DatabaseError as error:
            self.db.close()
            raise StateError(f"{path}: this is no state of a sandbox ({error})") from None
        except StateError as error:
            self.db.close()
            raise StateError(f"{path}: {error}") from None
        self.ids = Identities(int(self.remembered("seed")))

    def _prepare(self, seed: int | None) -> None:
        self.db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;"
            "PRAGMA temp_store=MEMORY;"
        )
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        there = self.db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if version == 0 and not there:
            self.db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
            self.remember("seed", str(secrets.randbits(62) if seed is None else seed))
        elif version != VERSION:
            raise StateError("this is no state of a sandbox, or one of another version")
        self.db.executescript(_STAGING)

    def remembered(self, name: str) -> str:
        """A value that `remember` kept; empty where there is none."""
        found = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    def remember(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Let go of the file."""
        with self.lock:
            self.db.close()
