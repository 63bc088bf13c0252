"""Sends segments to Constant Contact lists. The hooks, in the order in which a run calls them."""

from __future__ import annotations

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
    Settlement,
    Target,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    import click
    import pyarrow as pa

    from exportkit import Prompt

    from .session import Session

__version__ = "0.1.0"


@hookimpl
def describe_destination() -> Description:
    """What is known offline; the limits are the service's, a little less where it is unclear."""
    from . import options
    from .fields import FIELDS
    from .payload import BYTES, ROWS

    return Description(
        title="Constant Contact",
        description="Imports people into a list. Nobody who has unsubscribed is subscribed again.",
        connection_options=options.CONNECTION,
        job_options=options.JOB,
        fields=FIELDS,
        modes=("upsert", "insert", "mirror", "full"),
        limits=Limits(
            batch_rows=ROWS,
            batch_bytes=BYTES,
            removal_rows=500,
            profiles=1_000_000,
            calls_per_second=options.CALLS_A_SECOND,
            calls_per_day=options.CALLS_A_DAY,
            calls_per_batch=3,
        ),
    )


@hookimpl
def authorize(connection: Connection, prompt: Prompt) -> dict[str, Any]:
    """Sign in, in a browser here or on another device."""
    from .sign_in import sign_in

    return sign_in(connection, prompt)


@hookimpl
def connect(connection: Connection) -> AbstractContextManager[Session]:
    """A session makes no call of its own: the first question to the service shows if it may."""
    from .session import open_session

    return open_session(connection)


@hookimpl
def describe_target(session: Session, options: dict[str, Any], planning: bool) -> Catalogue:
    """The list, its members, the account's custom fields."""
    from .target import describe

    return describe(session, options, planning=planning)


@hookimpl
def map_fields(mapping: FieldMapping, target: Target) -> Sequence[Column]:
    """The columns of the import."""
    from . import fields

    return fields.map_fields(mapping, target)


@hookimpl
def measure(target: Target, columns: pa.RecordBatch) -> pa.Array:
    """The encoded bytes of each row: what is beyond 4 MB would be dropped without a word."""
    from .fields import widest_name
    from .imports import is_json
    from .payload import sizes

    known = target.catalogue.details.get("custom_fields", ())
    names = [widest_name(name, known) for name in columns.schema.names]
    return sizes(columns.rename_columns(names), "json" if is_json(target) else "csv")


@hookimpl
def push(session: Session, batch: Batch, target: Target) -> Delivery:
    """One import."""
    from . import imports

    return imports.push(session, batch, target)


@hookimpl
def settle(
    session: Session, receipts: Sequence[str], target: Target, batch_of: Callable[[str], Batch]
) -> Iterable[Settlement]:
    """What became of imports and removals."""
    from . import imports

    return imports.settle(session, receipts, target, batch_of)


@hookimpl
def find_delivery(session: Session, batch: Batch, target: Target) -> Finding:
    """An import is found again by the name of its file."""
    from . import imports

    return imports.find_delivery(session, batch, target)


@hookimpl
def remove(session: Session, batch: Batch, target: Target) -> Delivery:
    """Out of the list, or deleted, as the job says."""
    from . import removal

    return removal.remove(session, batch, target)


@hookimpl
def register_commands(cli: click.Group) -> None:
    """`exportkit constant-contact sandbox`."""
    from .sandbox.command import sandbox

    cli.add_command(sandbox)
