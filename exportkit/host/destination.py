"""One destination as the host sees it: a typed method for each hook, every answer checked.

This is the only place that calls a destination's hooks. What the contract lets a plugin raise
comes out as it is (a `JobError` with its place in the job's file); all else as `PluginError`.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from exportkit.errors import JobError, PluginError
from exportkit.host import answers
from exportkit.host.columns import (
    declared_columns,
    placed,
    refuse_repeated,
    refuse_unknown,
    tightened,
)
from exportkit.host.containment import WrongAnswer, contained
from exportkit.host.veil import hand_over_batch, hand_over_columns, veiled
from exportkit.records import (
    Batch,
    Catalogue,
    Column,
    Connection,
    Delivery,
    Description,
    FieldMapping,
    Finding,
    Settlement,
    Target,
)
from exportkit.redaction import forget_people, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from exportkit.config.documents import Document
    from exportkit.host.plugin import Plugin
    from exportkit.services import Prompt

T = TypeVar("T")
log = logging.getLogger("exportkit.host")


class Destination:
    """The hooks of one plugin, with the cross-cutting plugins around them.

    `callers` are its hooks; `chain` is the plugin, then those that may wrap it; `job` is the
    document in which a `JobError` has its place; `facts` are those of one job, see `for_job`.
    """

    def __init__(
        self,
        chain: Sequence[Plugin],
        callers: Mapping[str, Callable[..., Any]],
        job: Document | None = None,
        facts: Description | None = None,
    ) -> None:
        self.plugin = chain[0]
        self._chain = tuple(chain)
        self._callers = callers
        self._job = job
        self._facts = facts

    def __repr__(self) -> str:
        return f"<Destination {self.plugin}>"

    @property
    def type(self) -> str:
        """The name under which the plugin is installed."""
        return self.plugin.name

    def can(self, hook: str) -> bool:
        """Does the plugin itself implement this hook, as far as the job's options let it?"""
        missing = self._facts.without if self._facts else ()
        return hook in self.plugin.hooks and hook not in missing

    def describe(self) -> Description:
        """The destination's offline facts, asked once; or those of one job."""
        return self._facts or self._description

    def for_job(self, options: Mapping[str, Any]) -> Destination:
        """The same destination as it is for a job with these options."""
        if not self.can("describe_job"):
            return self
        facts = self._call("describe_job", answers.description, options=dict(options))
        return Destination(self._chain, self._callers, self._job, facts)

    @contextmanager
    def connect(self, connection: Connection) -> Iterator[Any]:
        """A session with the account, closed on the way out.

        What the block raises is raised on, whatever the plugin makes of it; a session that cannot
        be closed fails the block only if nothing else did.
        """
        forget_people()
        manager = self._call("connect", _context_manager, connection=connection)
        session = contained(self._chain, "connect", manager.__enter__)
        try:
            yield session
        except BaseException as error:
            try:
                self._close(manager, error)
            except Exception as second:  # noqa: BLE001 - the first error is the one to tell
                log.warning("closing the session after a failure failed as well: %s", second)
            raise
        self._close(manager, None)

    def account(self, session: Any) -> str | None:
        """The name of the account that a session is with, if the plugin says it."""
        found = contained(self._chain, "connect", lambda: getattr(session, "account", None))
        return found if isinstance(found, str) and found.strip() else None

    def describe_target(
        self, session: Any, options: Mapping[str, Any], *, planning: bool = True
    ) -> Catalogue:
        """What is at the target now; without the hook it is known by its options alone.

        A destination may make its target where there is none, unless it is `planning`.
        """
        if not self.can("describe_target"):
            return Catalogue(name=self.describe().title)
        return self._call(
            "describe_target",
            answers.catalogue,
            session=session,
            options=dict(options),
            planning=planning,
        )

    def map_fields(self, mapping: FieldMapping, target: Target) -> tuple[Column, ...]:
        """The columns of the destination, with the job's own limits where they are tighter.

        Without the hook each field is the column of its name. Raises `JobError` for each field
        that is neither declared nor answered, unless field names are free.
        """
        self._placed(lambda: refuse_repeated(mapping))
        declared = declared_columns(self.describe(), target.catalogue)
        free = not self.describe().fields
        if self.can("map_fields"):
            found = self._call("map_fields", answers.columns, mapping=mapping, target=target)
        else:
            found = tuple(
                declared.get(name, Column(name))
                for name in mapping.names
                if free or name in declared
            )
        if not free:
            refuse_unknown(mapping, {*declared, *(column.name for column in found)}, self._job)
        return tightened(found, mapping)

    def measure(self, target: Target, columns: pa.RecordBatch) -> pa.Array:
        """The encoded bytes of each row, as 64-bit integers."""
        hand_over_columns(columns)
        return self._call(
            "measure",
            lambda answer: answers.sizes(answer, columns.num_rows),
            target=target,
            columns=columns,
        )

    def push(self, session: Any, batch: Batch, target: Target) -> Delivery:
        """The answer to one batch; `rejections` is a tuple of rows of this batch, each once."""
        return self._deliver("push", session, batch, target)

    def remove(self, session: Any, batch: Batch, target: Target) -> Delivery:
        """The answer to one batch of keys to take out, as for `push`."""
        return self._deliver("remove", session, batch, target)

    def settle(
        self,
        session: Any,
        receipts: Sequence[str],
        target: Target,
        batch_of: Callable[[str], Batch],
    ) -> tuple[Settlement, ...]:
        """Exactly one settlement a receipt, in the order of the receipts.

        `batch_of` reads the batch that a receipt stands for.
        """

        def handed_over(receipt: str) -> Batch:
            batch = batch_of(receipt)
            hand_over_batch(batch)
            return batch

        def read(answer: object) -> tuple[Settlement, ...]:
            return tuple(
                _veiled(settlement, handed_over)
                for settlement in answers.settlements(answer, receipts)
            )

        return self._call(
            "settle",
            read,
            session=session,
            receipts=tuple(receipts),
            target=target,
            batch_of=handed_over,
        )

    def find_delivery(self, session: Any, batch: Batch, target: Target) -> Finding:
        """Was this batch taken, and with which delivery?"""
        hand_over_batch(batch)
        return self._call(
            "find_delivery",
            lambda answer: _found(answers.finding(answer, batch, can_settle=self.can("settle"))),
            session=session,
            batch=batch,
            target=target,
        )

    def finish(self, session: Any, target: Target) -> None:
        """Commit a complete run; without the hook there is nothing to commit."""
        if self.can("finish"):
            self._call("finish", answers.nothing, session=session, target=target)

    def authorize(self, connection: Connection, prompt: Prompt) -> dict[str, Any]:
        """Credentials to keep, after a sign-in with a person at the keyboard."""
        return self._call("authorize", answers.credentials, connection=connection, prompt=prompt)

    def revoke(self, connection: Connection) -> None:
        """Sign out at the provider."""
        self._call("revoke", answers.nothing, connection=connection)

    @cached_property
    def _description(self) -> Description:
        return self._call("describe_destination", answers.description)

    def _deliver(self, hook: str, session: Any, batch: Batch, target: Target) -> Delivery:
        hand_over_batch(batch)
        return self._call(
            hook,
            lambda answer: _delivered(
                answers.delivery(answer, batch, can_settle=self.can("settle"))
            ),
            session=session,
            batch=batch,
            target=target,
        )

    def _call(self, hook: str, read: Callable[[Any], T], **arguments: Any) -> T:
        """Call a hook and read its answer, both contained: an answer may be lazy."""
        if not self.can(hook):
            raise PluginError(
                f"{self.plugin} has no hook {hook!r}",
                hint=f"see what {self.type} can do with `exportkit plugins show {self.type}`",
            )
        caller = self._callers[hook]
        return self._placed(lambda: contained(self._chain, hook, lambda: read(caller(**arguments))))

    def _placed(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except JobError as error:
            raise placed(error, self._job) from None

    def _close(self, manager: AbstractContextManager[Any], error: BaseException | None) -> None:
        kind, traceback = (type(error), error.__traceback__) if error else (None, None)

        def leave() -> None:
            try:
                manager.__exit__(kind, error, traceback)
            except BaseException as raised:
                if raised is not error:  # handing on what came in is no failure of the plugin
                    raise

        self._placed(lambda: contained(self._chain, "connect", leave))


def _delivered(delivery: Delivery) -> Delivery:
    return replace(delivery, rejections=veiled(delivery.rejections))


def _found(finding: Finding) -> Finding:
    return replace(finding, delivery=_delivered(finding.delivery))


def _veiled(settlement: Settlement, batch_of: Callable[[str], Batch]) -> Settlement:
    if settlement.rejections or settlement.reason:
        batch_of(settlement.receipt)  # the reasons may quote it
    reason = redact(settlement.reason)
    return replace(settlement, rejections=veiled(settlement.rejections), reason=reason)


def _context_manager(answer: object) -> AbstractContextManager[Any]:
    if not isinstance(answer, AbstractContextManager):
        raise WrongAnswer(
            "must answer a context manager: decorate it with @contextlib.contextmanager"
        )
    return answer
