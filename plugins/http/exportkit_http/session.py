"""A session with one service: the client, and what it has answered to the batches in flight."""

from __future__ import annotations

import json
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from exportkit import Catalogue, Column, Delivery, DestinationError, Finding

from . import delivery
from .client import Client
from .delivery import Progress, Way
from .recipe import Call, part_of, recipe
from .verdict import rules
from .wire import LostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exportkit import Batch, Connection, Target

HOPELESS = 1_000
"""Refused rows after which a run stops that has not seen one taken: the job must be wrong."""


class Session:
    """What the hooks share."""

    def __init__(self, client: Client, test: str | None) -> None:
        self._client = client
        self._test = test
        self._ways: dict[bool, tuple[Target, Way]] = {}
        self._known: dict[str, Progress] = {}
        self._taken, self._refused = 0, 0

    @property
    def account(self) -> str:
        """Who answers, for `connection test`. Raises what a call raises."""
        if self._test is None:
            self._client.access.headers()
            return f"{self._client.host} (no call was made: the connection names no `test:`)"
        try:
            reply = self._client.send(Call("GET", self._test, {}, None), {})
        except LostError as lost:
            raise DestinationError(f"the service {lost}") from None
        rules({}, removal=False).judge(
            reply, recipe({"method": "GET", "nulls": "keep"}, (), removal=False)
        )
        return f"{self._client.host} answers"

    def push(self, batch: Batch, target: Target) -> Delivery:
        """Send a batch, or take it out."""
        self._stop_if_hopeless()
        progress = self._known.setdefault(batch.id, Progress())
        repeatable = is_safe(target.options)
        found = delivery.push(self._way(batch, target), batch, progress, repeatable=repeatable)
        del self._known[batch.id]
        refused = len(found.rejections)
        self._refused, self._taken = self._refused + refused, self._taken + len(batch) - refused
        return found

    def find(self, batch: Batch, target: Target) -> Finding:
        """Whether a batch may be sent again as it is: not if the body asks for other fields now."""
        if not self._way(batch, target).recipe.fields <= set(batch.columns):
            return Finding("not_taken")
        self._known.setdefault(batch.id, Progress()).repeated = True
        return Finding("repeat")

    def describe(self, options: Mapping[str, Any]) -> Catalogue:
        """The target is known by its address and by what is sent there; nobody is asked."""
        parts = [part_of(options, removal=False)[0]]
        parts += [part_of(options, removal=True)[0]] if "remove" in options else []
        names = ("method", "path", "headers", "body", "row")
        what = [[part.get(name) for name in names] for part in parts]
        digest = sha256(json.dumps([self._client.url, what]).encode()).hexdigest()
        calls = self._client.calls
        return Catalogue(
            name=f"{options['method']} {self._client.url}{options.get('path', '')}",
            identity=digest,
            details={} if calls is None else {"calls_left": calls.left()},
        )

    def _way(self, batch: Batch, target: Target) -> Way:
        removal = batch.operation == "remove"
        made = self._ways.get(removal)
        if made is not None and made[0] is target:
            return made[1]
        options = target.options
        columns = target.columns or [Column(name) for name in batch.columns]
        way = Way(
            self._client,
            recipe(options, columns, removal=removal),
            rules(options, removal=removal),
            options["parallel"],
            options["idempotency_header"],
        )
        self._ways[removal] = target, way
        return way

    def _stop_if_hopeless(self) -> None:
        if self._refused >= HOPELESS and not self._taken:
            raise DestinationError(
                f"the service has refused all of the first {self._refused:,} rows",
                hint="`exportkit rejections` says why; when the job is right, "
                "`run --retry-refused` sends them again",
            )


def is_safe(options: Mapping[str, Any]) -> bool:
    """Whether the same call may be made twice: as the job says, or by what its method means."""
    return bool(options.get("safe_to_repeat", options["method"] in ("PUT", "DELETE")))


@contextmanager
def open_session(connection: Connection, user_agent: str) -> Iterator[Session]:
    """A session, which makes no call before the first that is needed."""
    client = Client(connection, user_agent)
    try:
        yield Session(client, connection.options.get("test"))
    finally:
        client.close()
