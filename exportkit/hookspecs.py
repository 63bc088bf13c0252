"""The contract with plugins, and nothing else.

A plugin is a distribution with an entry point in the group `exportkit`; the entry point's name is
the destination's `type`. Its module implements some of these hooks with `exportkit.hookimpl`. One
that implements any of `describe_destination`, `connect`, `push` is a destination and needs all
three; others wrap a destination's hooks or listen to `run_finished`. An implementation may leave
out trailing arguments that it does not need.

Hooks are listed in the order in which a run calls them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import click
    import pyarrow as pa

    from exportkit.records import (
        Batch,
        Catalogue,
        Column,
        Connection,
        Delivery,
        Description,
        FieldMapping,
        Finding,
        Run,
        Settlement,
        Target,
    )
    from exportkit.services import Prompt

hookspec = pluggy.HookspecMarker("exportkit")
hookimpl = pluggy.HookimplMarker("exportkit")


@hookspec(firstresult=True)
def describe_destination() -> Description:
    """Say what the destination is, offline: options, fields, modes, limits. Required.

    Called while files are validated, so it opens nothing and takes no time.

    >>> @hookimpl
    ... def describe_destination():
    ...     return Description("Paper mill", fields=(Column("email", kind="email", key=True),))
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def describe_job(options: dict[str, Any]) -> Description:
    """Say what is otherwise for one job: fields, modes, limits, hooks. Pure.

    For a destination of which the job's options decide what it can do; `options` is the job's
    `destination:`. `without` names hooks that the plugin has, and not for such a job.

    >>> @hookimpl
    ... def describe_job(options):
    ...     return Description("Paper mill", limits=Limits(batch_rows=options["sheets"]))
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def connect(connection: Connection) -> AbstractContextManager[Any]:
    """Open a session with the account. Required.

    The session is yours: the host only hands it back to the other hooks. Closing it commits
    nothing. Raise `AccessDeniedError` if the credentials are not accepted. A session's `account`,
    if it has such an attribute, is the name that `connection test` shows.

    >>> from contextlib import contextmanager
    >>> @hookimpl
    ... @contextmanager
    ... def connect(connection):
    ...     yield {"account": connection.options["account"]}
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def describe_target(session: Any, options: dict[str, Any], planning: bool) -> Catalogue:
    """Look at the target of a job: its name, its fields beyond the declared ones, its members.

    `options` is the job's `destination:`. The answer is kept for offline plans. Raise `JobError`
    where an option names something that is not there. A destination that makes its target where
    there is none does so here, unless it is `planning`, when nothing may change. Without this hook
    the target is known by its options alone.

    >>> @hookimpl
    ... def describe_target(session, options):
    ...     return Catalogue(name=options["tray"], members=3)
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def map_fields(mapping: FieldMapping, target: Target) -> Sequence[Column]:
    """Turn the job's mapped fields into the destination's columns. Pure: no calls, no state.

    Without this hook each field becomes the column of its name. A field that is neither declared
    nor answered is refused with the nearest name. The expressions are narwhals, so that they run
    where the profiles are.

    >>> import narwhals as nw
    >>> @hookimpl
    ... def map_fields(mapping, target):
    ...     month = nw.col("birthday").str.slice(5, 2)
    ...     return [Column("email", kind="email", key=True), Column("birth_month", month)]
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def measure(target: Target, columns: pa.RecordBatch) -> pa.Array:
    """Say how many bytes each row takes when encoded, so that one batch is one call. Pure.

    Answer one integer a row. The host cuts batches so that their sum stays within
    `Limits.batch_bytes`.

    >>> import pyarrow as pa, pyarrow.compute as pc
    >>> @hookimpl
    ... def measure(target, columns):
    ...     return pc.add(pc.binary_length(pc.fill_null(columns["email"], "")), 1)
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def push(session: Any, batch: Batch, target: Target) -> Delivery:
    """Send one batch. Required.

    Every row that the answer does not reject counts as accepted: at once without a receipt, after
    `settle` with one. Raise `ThrottledError` or `UnavailableError` if nothing was taken and the
    same batch may come again, `OutcomeUnknownError` if the connection died mid-call.

    >>> @hookimpl
    ... def push(session, batch, target):
    ...     unfit = [row["email"] for row in batch.rows() if "@" not in (row["email"] or "")]
    ...     return Delivery(rejections=[Rejection(key, "no address") for key in unfit])
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def settle(
    session: Any, receipts: Sequence[str], target: Target, batch_of: Callable[[str], Batch]
) -> Sequence[Settlement]:
    """Say what became of batches that were answered with a receipt: one settlement a receipt.

    Called again, ever more slowly, while any is pending; also by later runs. `batch_of(receipt)`
    reads the batch again, for a service that names rows by their number.

    >>> @hookimpl
    ... def settle(session, receipts):
    ...     return [Settlement(receipt, "done") for receipt in receipts]
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def find_delivery(session: Any, batch: Batch, target: Target) -> Finding:
    """After a connection or process died mid-call: was this batch taken?

    With this hook nothing is sent twice; without it, at most the one batch in doubt is. Answer
    `unknown` rather than guess: the batch then stays unsettled and unsent. Answer `repeat` where
    the service takes a batch once, however often it comes with its id: it is then pushed again.

    >>> @hookimpl
    ... def find_delivery(session, batch):
    ...     return Finding("taken" if batch.id in session["seen"] else "not_taken")
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def remove(session: Any, batch: Batch, target: Target) -> Delivery:
    """Take these people out of the target. The rows carry what was last delivered of them.

    A destination without this hook cannot remove, and `mode: mirror` is refused.

    >>> @hookimpl
    ... def remove(session, batch):
    ...     session["members"].difference_update(batch.keys.to_pylist())
    ...     return Delivery()
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def finish(session: Any, target: Target) -> None:
    """Commit, once, after the last batch of a complete run. A file becomes visible here.

    Not called when a run fails or is interrupted: what was there before stays.

    >>> @hookimpl
    ... def finish(session, target):
    ...     session["draft"].replace(session["path"])
    """
    raise NotImplementedError


@hookspec
def run_finished(run: Run) -> None:
    """Hear of every run that ended, however it ended. What this raises fails no run.

    >>> @hookimpl
    ... def run_finished(run):
    ...     print(run.job, run.status, run.counts.sent)
    """


@hookspec(firstresult=True)
def authorize(connection: Connection, prompt: Prompt) -> dict[str, Any]:
    """Sign in with a person at the keyboard; answer the credentials to keep.

    They become `connection.credentials`. `prompt.browser` is False where no browser can be opened
    (`connection authorize --device`); `prompt.tell(text)` shows a text without asking.

    >>> @hookimpl
    ... def authorize(connection, prompt):
    ...     return {"api_key": prompt("API key")}
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def revoke(connection: Connection) -> None:
    """Sign out: make the stored credentials worthless at the provider, where that is possible.

    >>> @hookimpl
    ... def revoke(connection):
    ...     print("signed out of", connection.name)
    """


@hookspec(firstresult=True)
def register_commands(cli: click.Group) -> None:
    """Add the plugin's own commands, as `exportkit TYPE ...`. Called only when they are used.

    >>> @hookimpl
    ... def register_commands(cli):
    ...     @cli.command()
    ...     def weigh():
    ...         print("12 kg")
    """
