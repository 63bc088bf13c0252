"""Sends rows to any service that takes JSON over HTTP. The hooks, in the order of a run's calls."""

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
    Finding,
    Limits,
    Target,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from .session import Session

__version__ = "0.1.0"

ROWS = 500
"""Rows of a batch that may be sent again, where each is a call. Of others it is a call at most."""


@hookimpl
def describe_destination() -> Description:
    """What may be said in YAML; the rest depends on it."""
    from . import options

    return Description(
        title="HTTP",
        description="Calls a service for each row, or for many rows at once, as the job says.",
        connection_options=options.CONNECTION,
        job_options=options.JOB,
        modes=("upsert", "insert", "mirror", "full"),
    )


@hookimpl
def describe_job(options: dict[str, Any]) -> Description:
    """How many rows are a batch; whether it can be repeated, and anybody removed."""
    from .recipe import check_call
    from .session import is_safe
    from .verdict import rules

    removes = "remove" in options
    for removal in (False, True) if removes else (False,):
        check_call(options, removal=removal)
        rules(options, removal=removal)
    safe = is_safe(options)
    at_once = ROWS if safe else options["parallel"]
    removal_rows = options["remove"].get("batch") or at_once if removes else None
    lacks = [] if removes else ["remove"]
    return replace(
        describe_destination(),
        limits=Limits(
            batch_rows=options.get("batch") or at_once,
            removal_rows=removal_rows,
            calls_per_batch=1 if options.get("batch") else at_once,
        ),
        without=(*lacks, *([] if safe else ["find_delivery"])),
    )


@hookimpl
def connect(connection: Connection) -> AbstractContextManager[Session]:
    """A session makes no call of its own: the first row shows if it may."""
    from .session import open_session

    return open_session(connection, f"exportkit-http/{__version__}")


@hookimpl
def describe_target(session: Session, options: dict[str, Any]) -> Catalogue:
    """Known by what is sent where: jobs that send the same there have one target."""
    return session.describe(options)


@hookimpl
def map_fields(mapping: FieldMapping, target: Target) -> Sequence[Column]:
    """Names are free, and the placeholders are held against them."""
    from .recipe import check_fields

    needed = check_fields(target.options, mapping)
    return [Column(name, required=name in needed) for name in mapping.names]


@hookimpl
def push(session: Session, batch: Batch, target: Target) -> Delivery:
    """A call a row, or one for all."""
    return session.push(batch, target)


@hookimpl
def find_delivery(session: Session, batch: Batch, target: Target) -> Finding:
    """Where calls may be repeated, they are, under the same keys."""
    return session.find(batch, target)


@hookimpl
def remove(session: Session, batch: Batch, target: Target) -> Delivery:
    """As the job's `remove:` says."""
    return session.push(batch, target)
