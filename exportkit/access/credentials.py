"""What a connection keeps between runs: in the system's keyring, or in a private file.

Which of them is chosen once, when there is something to keep for the first time, and written down
beside it: a keyring that is not there later is an error, never another place. Nothing secret is in
any error or `repr`.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from exportkit.access import keyrings, sealing
from exportkit.config.secrets import is_secret_key
from exportkit.durable import Draft, synced
from exportkit.errors import BusyError, JournalError, PermissionDeniedError, PluginError
from exportkit.redaction import conceal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from filelock import BaseFileLock

    from exportkit.state.folder import StateFolder
    from exportkit.state.sessions import SessionLock
    from exportkit.state.shared import DatabaseShelf

Store = Literal["keyring", "file", "encrypted file"]
_LONG = 16
LONGEST_HOLD = 300.0
"""Seconds to wait for whoever holds the credentials; a sign-in renews them in one."""


@dataclass(frozen=True, slots=True)
class _Record:
    """The connection's file: the kind of store, and what that kind needs to find the values."""

    store: Store
    entry: str = ""
    sealed: str = ""
    values: Any = None


class KeptCredentials:
    """The credentials of one connection; see `exportkit.Credentials`.

    `folder` holds one file a connection. Nothing is opened before something is asked for. Where
    `shared` runners see the file, it is kept in the database, encrypted and in no other way.
    """

    def __init__(self, folder: Path, connection: str, shared: DatabaseShelf | None = None) -> None:
        self.file = folder / f"{connection}.json"
        self._connection = connection
        self._shared = shared

    def __repr__(self) -> str:
        return f"<Credentials of {self._connection!r}>"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold them while the block runs; waits for whoever holds them now.

        Raises BusyError if that takes minutes, JournalError where there can be no lock.
        """
        from filelock import Timeout

        try:
            self._make_folder()
            self._lock.acquire(timeout=LONGEST_HOLD)
        except Timeout:
            raise BusyError(
                f"another process holds the credentials of '{self._connection}'",
                hint="try again later; if that process hangs, end it",
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            yield
        finally:
            self._lock.release()

    @property
    def store(self) -> Store | None:
        """Where they are kept; None if nothing is. Raises JournalError for a damaged file."""
        record = self._record()
        return record.store if record else None

    def read(self) -> dict[str, Any]:
        """What is kept now; empty if nothing is.

        Raises PermissionDeniedError where the keyring, or the key of an encrypted file, is not
        there, JournalError for a file that is damaged or cannot be read.
        """
        record = self._record()
        if record is None:
            # A key that is none is found before there is a new token to lose.
            self._require_key()
            return {}
        if record.store == "file":
            values = record.values
        else:
            values = self._parsed(
                keyrings.get(record.entry, self._connection)
                if record.store == "keyring"
                else sealing.unseal(record.sealed, self._connection)
            )
        if not isinstance(values, dict):
            raise self._damaged()
        _conceal(values)
        return values

    def replace(self, values: Mapping[str, Any], /) -> None:
        """Keep these values and no others, where the ones before were kept.

        Raises as `read`, and PluginError for what is no JSON; what was kept before then still is.
        """
        text = self._text(values)
        record = self._record()
        if record is None:
            self._keep_first(text)
        else:
            self._keep(record.store, text, record.entry)

    def expect(self, store: Literal["keyring", "file"] | None) -> None:
        """Raise what `move` would raise, before somebody signs in for nothing."""
        if store is None:
            self.read()
        elif store == "file":
            self._require_key()
        else:
            self._require_own_keyring()
        if store == "keyring" and not keyrings.usable():
            raise PermissionDeniedError(
                "there is no system keyring here that could keep credentials",
                hint="leave --store out, or say --store file",
            )
        self._record()

    def move(self, values: Mapping[str, Any], store: Literal["keyring", "file"] | None) -> None:
        """Keep these values in the place that somebody chose; None leaves the place as it is.

        A file is encrypted if there is a key now. Raises as `replace`.
        """
        if store is None:
            self.replace(values)
            return
        text, before = self._text(values), self._record()
        kind: Store = store if store == "keyring" else _kind_of_file()
        self._keep(kind, text, before.entry if before else "")
        if before and before.store == "keyring" and kind != "keyring":
            with suppress(PermissionDeniedError):  # that it is not there may be why they move
                keyrings.forget(before.entry, self._connection)

    def remove(self) -> None:
        """Forget them and where they were kept, damaged or not.

        Raises PermissionDeniedError where the keyring that has them is not there, JournalError
        where the file cannot be removed.
        """
        with self.held():
            record = None
            with suppress(JournalError):
                record = self._record()
            if record and record.store == "keyring":
                keyrings.forget(record.entry, self._connection)
            try:
                if self.file.exists():
                    self.file.unlink()
                    synced(self.file.parent)
            except OSError as error:
                raise self._unwritable(error) from None
            if self._shared is not None:
                self._shared.share(self.file)
        self._lock_file.unlink(missing_ok=True)

    def _keep_first(self, text: str) -> None:
        """Choose a place: the keyring if there is one that takes them, else a file."""
        self._require_key()
        if self._shared is None and keyrings.usable():
            with suppress(PermissionDeniedError):  # it is locked: nothing was chosen yet
                self._keep("keyring", text, "")
                return
        self._keep(_kind_of_file(), text, "")

    def _keep(self, store: Store, text: str, entry: str) -> None:
        self._require_key()
        if store == "keyring":
            self._require_own_keyring()
        # The file comes last: it never names a place with nothing in it.
        record: dict[str, Any] = {"version": 1, "store": store}
        if store == "keyring":
            entry = entry or f"{self._connection} {os.urandom(4).hex()}"
            keyrings.put(entry, text, self._connection)
            record["entry"] = entry
        elif store == "encrypted file":
            record["sealed"] = sealing.seal(text, self._connection)
        else:
            record["values"] = json.loads(text)
        try:
            self._make_folder()
            with Draft(self.file) as draft:
                draft.file.write(json.dumps(record, indent=1).encode())
                draft.commit()
        except OSError as error:
            raise self._unwritable(error) from None
        if self._shared is not None:
            self._shared.share(self.file)

    def _require_key(self) -> None:
        """Raise PermissionDeniedError if there is a key that is none, or none for a database."""
        sealing.check_key(self._connection)
        if self._shared is not None and not sealing.has_key():
            raise PermissionDeniedError(
                f"the credentials of '{self._connection}' cannot be kept in a database without a "
                "key to encrypt them",
                hint=f"give all runners the same {sealing.VARIABLE}; docs/connections.md says how "
                "to make one",
            )

    def _require_own_keyring(self) -> None:
        if self._shared is not None:
            raise PermissionDeniedError(
                "several runners share this state, and they have no keyring in common",
                hint="leave --store out, or say --store file",
            )

    def _record(self) -> _Record | None:
        if self._shared is not None:
            self._shared.bring(self.file)
        try:
            found = json.loads(self.file.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JournalError(
                f"{self.file} cannot be read: {(error.strerror or 'failed').lower()}",
                hint="the user who runs exportkit has to be able to read it",
            ) from None
        except ValueError:
            raise self._damaged() from None
        if not isinstance(found, dict):
            raise self._damaged()
        needs = {"keyring": "entry", "encrypted file": "sealed", "file": "values"}
        store = found.get("store")
        part = needs.get(store) if isinstance(store, str) else None
        wanted = dict if part == "values" else str
        if part is None or store is None or not isinstance(found.get(part), wanted):
            raise self._damaged()
        return _Record(store, **{part: found[part]})

    def _parsed(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise self._damaged() from None

    def _text(self, values: Mapping[str, Any]) -> str:
        _conceal(values)
        try:
            return json.dumps(dict(values), allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            pass  # its words could quote a value, and shall be no context either
        raise PluginError(f"the credentials of '{self._connection}' are no JSON values")

    def _make_folder(self) -> None:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def _lock_file(self) -> Path:
        return self.file.with_suffix(".lock")

    @cached_property
    def _lock(self) -> BaseFileLock | SessionLock:
        from filelock import FileLock

        if self._shared is not None:
            return self._shared.session_lock(self._lock_file)
        return FileLock(self._lock_file, mode=0o600)

    def _damaged(self) -> JournalError:
        return JournalError(
            f"the credentials of '{self._connection}' are damaged ({self.file})",
            hint=f"move that file away, then: exportkit connection authorize {self._connection}",
        )

    def _unwritable(self, error: OSError) -> JournalError:
        return JournalError(
            f"the credentials of '{self._connection}' cannot be written in {self.file.parent}: "
            f"{(error.strerror or 'failed').lower()}",
            hint="the user who runs exportkit has to be able to write there, and the disk needs "
            "room; what was kept before still is",
        )


def kept_credentials(state: StateFolder, connection: str) -> KeptCredentials:
    """What a connection keeps in this state. Opens nothing yet."""
    return KeptCredentials(state.credentials, connection, state.database)


def _conceal(values: Mapping[str, Any]) -> None:
    """Have no message show them: what is called a secret, and what is as long as one."""
    for name, value in values.items():
        if isinstance(value, str) and (is_secret_key(str(name)) or len(value) >= _LONG):
            conceal(value)


def _kind_of_file() -> Store:
    return "encrypted file" if sealing.has_key() else "file"
