"""The journal's tables, in the words of SQLAlchemy Core: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa

SCHEMA_VERSION = 1

metadata = sa.MetaData()
schema = sa.Table("schema", metadata, sa.Column("version", sa.Integer, nullable=False))
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("job", sa.String, nullable=False, index=True),
    sa.Column("target", sa.String, nullable=False, default=""),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("finished_at", sa.String),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("error", sa.JSON),
    sa.Column("reasons", sa.JSON, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("folded", sa.Boolean, nullable=False, default=True),
)
batches = sa.Table(
    "batches",
    metadata,
    sa.Column("batch_id", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False, index=True),
    sa.Column("operation", sa.String, nullable=False),
    sa.Column("first_row", sa.Integer, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("receipt", sa.String),
    sa.Column("refused", sa.Integer, nullable=False, default=0),
    sa.Column("intended_at", sa.String, nullable=False),
    sa.Column("answered_at", sa.String),
)
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("entry", sa.Integer, primary_key=True),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("user", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
)

shared = sa.MetaData()
"""What only a database has that several runners use: elsewhere files and the kernel do this."""
holders = sa.Table(
    "holders",
    shared,
    sa.Column("lock", sa.String, primary_key=True),
    sa.Column("token", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("since", sa.String, nullable=False),
    sa.Column("session", sa.Integer, nullable=False),
)
files = sa.Table(
    "files",
    shared,
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("content", sa.String, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
)
pieces = sa.Table(
    "pieces",
    shared,
    sa.Column("content", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("packed", sa.LargeBinary, nullable=False),
)
calls = sa.Table(
    "calls",
    shared,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("count", sa.JSON, nullable=False),
)


def old_runs(job: str, before: str, latest: str) -> sa.Select[tuple[str]]:
    """The ids of a job's runs that began before, but the latest and those that are still open."""
    return sa.select(runs.c.run_id).where(
        runs.c.job == job,
        runs.c.started_at < before,
        runs.c.folded.is_(True),
        runs.c.run_id != latest,
    )
