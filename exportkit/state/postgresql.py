"""The PostgreSQL that keeps the state of several runners: how it is reached, and what it says.

Sessions are set up so that neither side waits long for a dead one: after half a minute without an
answer to a probe the server ends the session of a host that is gone, and its locks with it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
import sqlalchemy as sa
from psycopg import conninfo, sql

from exportkit.config.state import SCHEMA
from exportkit.errors import JournalError
from exportkit.redaction import without_secrets
from exportkit.state.sharedtables import IN_ORDER, REMEDY, ServerTables
from exportkit.state.upgrades import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.exc import SQLAlchemyError

OLDEST = 12
_DEFAULTS: dict[str, tuple[str, str | int]] = {
    "application_name": ("PGAPPNAME", "exportkit"),
    "connect_timeout": ("PGCONNECT_TIMEOUT", 10),
    "target_session_attrs": ("PGTARGETSESSIONATTRS", "read-write"),
    "keepalives_idle": ("", 10),
    "keepalives_interval": ("", 5),
    "keepalives_count": ("", 4),
    "tcp_user_timeout": ("", 30_000),
}
"""What a connection has unless the URL, or the variable, says otherwise; times in seconds, the
last one in milliseconds."""

_SESSION = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
    # A lock lasts as long as its session: nothing may end one that is only idle.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_RIGHTS = "the user of the URL needs the right to write there: docs/runners.md says which"
_REACH = (
    "look at the URL under `state:`, the network and the server; the password comes from "
    "PGPASSWORD or ~/.pgpass. Nothing is lost: run it again"
)


class Database:
    """One database and the schema in it that a workspace has to itself.

    `?schema=NAME` in the URL names another one than `exportkit`. All else is libpq's own.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.schema = options.pop("schema", SCHEMA)
        plain = (parts.scheme, parts.netloc, parts.path)
        self._url = urlunsplit((*plain, urlencode(options), ""))
        self.shown = urlunsplit((*plain, "", "")) + f" (schema {self.schema})"
        self._engine: sa.Engine | None = None

    @property
    def engine(self) -> sa.Engine:
        """Connections to the tables, made or upgraded if need be. Raises JournalError."""
        if self._engine is None:
            engine = self._create(sa.pool.QueuePool, pool_size=2, max_overflow=2)
            try:
                with self.explained():
                    prepare(ServerTables(self.shown, engine.begin, engine.begin))
            except BaseException:
                engine.dispose()
                raise
            self._engine = engine
        return self._engine

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction. Raises JournalError where it fails."""
        with self.explained(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def session(self) -> Iterator[sa.Connection]:
        """A session of its own, on no account another one under the same name."""
        _ = self.engine  # the tables
        engine = self._create(sa.pool.NullPool)
        try:
            with self.explained():
                connection = engine.connect()
            with connection:
                yield connection
        finally:
            engine.dispose()

    @contextmanager
    def explained(self, lost: Callable[[], JournalError] | None = None) -> Iterator[None]:
        """Tell what goes wrong as a JournalError; where the session itself is gone, as `lost`."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            if lost is not None and error.connection_invalidated:
                raise lost() from None
            raise self.failure(error) from None
        except sa.exc.SQLAlchemyError as error:
            raise self.failure(error) from None

    def failure(self, error: SQLAlchemyError) -> JournalError:
        """What the database says, without the statement, and what to do about it."""
        original = getattr(error, "orig", None)
        said = str(original or type(error).__name__)
        diagnosis = getattr(getattr(original, "diag", None), "message_primary", None)
        lines = (line.strip() for line in (diagnosis or said).splitlines())
        reason = without_secrets("; ".join(line for line in lines if line))
        hint = _REACH
        if "permission denied" in reason:
            hint = _RIGHTS
        elif reason.startswith(("relation ", "column ")):
            hint = REMEDY
        return JournalError(f"the state in {self.shown} does not work: {reason}", hint=hint)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _create(self, pool: type[sa.pool.Pool], **options: Any) -> sa.Engine:
        return sa.create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            poolclass=pool,
            isolation_level="READ COMMITTED",
            **options,
        )

    def _connect(self) -> Any:
        given = conninfo.conninfo_to_dict(self._url)
        for name, (variable, value) in _DEFAULTS.items():
            if name not in given and variable not in os.environ:
                given[name] = value
        # Prepared statements are no use here, and are in the way of what stands between.
        connection = psycopg.connect(**given, prepare_threshold=None)  # type: ignore[arg-type]
        try:
            self._set_up(connection, sql.Identifier(self.schema))
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: Any, schema: Any) -> None:
        version = connection.info.server_version
        if version < OLDEST * 10_000:
            raise JournalError(
                f"the server of {self.shown} is PostgreSQL {version // 10_000}",
                hint=f"exportkit needs {OLDEST} or newer",
            )
        settings = dict(_SESSION)
        if version >= 140_000:
            settings["idle_session_timeout"] = "0"
        known = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [self.schema])
        if not known.fetchone()[0]:
            # Even with IF NOT EXISTS one of two that do it at once would fail.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [IN_ORDER])
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        for name, value in {**settings, "search_path": self.schema}.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        # An intent has to survive whatever happens, also where a role is set up to hurry.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        )
        connection.commit()
