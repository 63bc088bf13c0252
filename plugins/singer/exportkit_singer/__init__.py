"""Sends segments through any installed Singer target. The hooks, in the order of a run's calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exportkit import (
    Batch,
    Catalogue,
    Column,
    Connection,
    Delivery,
    Description,
    FieldMapping,
    Limits,
    Target,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from .session import Session

__version__ = "0.1.0"


@hookimpl
def describe_destination() -> Description:
    """What holds for every Singer target; what a single one can do, nobody can ask it."""
    from . import options

    return Description(
        title="Singer target",
        description="Hands the rows to a Singer target: a program that loads them somewhere.",
        connection_options=options.CONNECTION,
        job_options=options.JOB,
        modes=("upsert", "insert", "full"),
        limits=Limits(batch_rows=options.BATCH_ROWS),
    )


@hookimpl
def describe_job(options: dict[str, Any]) -> Description:
    """One sync of all rows is for a target that replaces what is there: it has to get all."""
    facts = replace(describe_destination(), limits=Limits(batch_rows=options["batch_rows"]))
    if options["sync"] == "batch":
        return replace(facts, without=("finish",))
    return replace(facts, modes=("full",), whole=True)


@hookimpl
def connect(connection: Connection) -> AbstractContextManager[Session]:
    """A session finds the program, and starts it when there is something to send."""
    from .session import open_session

    return open_session(connection)


@hookimpl
def describe_target(session: Session, options: dict[str, Any]) -> Catalogue:
    """A stream is known by its name and the connection: no Singer target can be asked about it."""
    stream = options["stream"]
    identity = f"{session.connection}/{stream}"
    return Catalogue(name=f"{stream} by {session.program.name}", identity=identity)


@hookimpl
def map_fields(mapping: FieldMapping, target: Target) -> Sequence[Column]:
    """Field names are free; what they hold is text, unless the job says otherwise."""
    from . import columns

    return columns.map_fields(mapping, target)


@hookimpl
def push(session: Session, batch: Batch, target: Target) -> Delivery:
    """A run of the program for this batch alone, or its part of the run of all."""
    return session.push(batch, target)


@hookimpl
def finish(session: Session, target: Target) -> None:
    """The end of the run of all: now the program may finish, and has to confirm."""
    session.finish(target)
