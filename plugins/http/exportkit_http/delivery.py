"""A batch on its way: each row a call, or all of them one; what was answered is remembered.

A batch that stops half way goes on where it stopped, as long as the session lasts. Every call has
a key that is the same when the batch comes again, so that a service that honours it takes each
call once.
"""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import sleep
from typing import TYPE_CHECKING, Any

from exportkit import (
    AccessDeniedError,
    Delivery,
    DestinationError,
    OutcomeUnknownError,
    QuotaSpentError,
    Rejection,
    ThrottledError,
    UnavailableError,
)

from .template import UnfitError
from .verdict import Refusal
from .wire import LostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exportkit import Batch

    from .client import Client
    from .recipe import Call, Recipe
    from .verdict import Rules

NAMES = uuid.UUID("b0a4a5a4-6f0e-5d0b-9d0b-2b6f1f3c7a10")
"""The space of names in which the keys of calls are made."""
TRIES = 4
LONGEST_PAUSE = 30.0
"""How often the rest of a batch is tried without a gain, and with which pauses at most."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the rows of a job are sent. `key_header` None sends no keys."""

    client: Client
    recipe: Recipe
    rules: Rules
    parallel: int = 1
    key_header: str | None = None


@dataclass(slots=True)
class Progress:
    """What is known of a batch: rows by number, None for taken; and what is still to be said.

    `repeated`: it may have been sent before.
    """

    answers: dict[int, Refusal | None] = field(default_factory=dict)
    failure: DestinationError | None = None
    repeated: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether the service has taken any of it."""
        return any(answer is None for answer in self.answers.values())


def delivered(way: Way, batch: Batch, progress: Progress) -> Delivery:
    """Send what has no answer yet.

    Raises the first failure, after all calls in flight have ended: LostError, or one of the host's.
    """
    keys: list[str] = batch.keys.to_pylist()
    rows = [dict(row) for row in batch.rows()]
    if way.recipe.batch:
        _together(way, batch, keys, rows, progress)
    else:
        _singly(way, batch, keys, rows, progress)
    return Delivery(
        rejections=[
            Rejection(keys[number], answer.reason, answer.column)
            for number, answer in sorted(progress.answers.items())
            if answer is not None
        ]
    )


def _singly(
    way: Way, batch: Batch, keys: Sequence[str], rows: Sequence[dict[str, Any]], progress: Progress
) -> None:
    """A call a row, several at a time; none begins after the first failure."""
    waiting = iter([number for number in range(len(rows)) if number not in progress.answers])
    taking = threading.Lock()
    stop = threading.Event()
    failures: list[Exception] = []

    def work() -> None:
        while not stop.is_set():
            with taking:
                number = next(waiting, None)
            if number is None:
                return
            try:
                answer = _one(way, batch, keys[number], rows[number], repeated=progress.repeated)
                progress.answers[number] = answer
            except Exception as error:  # noqa: BLE001 - raised again once the others are done
                failures.append(error)
                stop.set()

    if way.parallel == 1 or len(rows) == 1:
        work()
    else:
        with ThreadPoolExecutor(min(way.parallel, len(rows))) as pool:
            for _ in range(min(way.parallel, len(rows))):
                pool.submit(work)
    if failures:
        # One whose outcome is unknown weighs more than one that was not taken.
        raise next((each for each in failures if isinstance(each, LostError)), failures[0])


def _one(
    way: Way, batch: Batch, key: str, row: dict[str, Any], *, repeated: bool
) -> Refusal | None:
    try:
        call = way.recipe.single(row)
    except UnfitError as unfit:
        return Refusal(unfit.reason, unfit.column)
    return way.rules.judge(_sent(way, call, batch, key), way.recipe, repeated=repeated)


def _together(
    way: Way, batch: Batch, keys: Sequence[str], rows: Sequence[dict[str, Any]], progress: Progress
) -> None:
    """One call; if it is refused as a whole, its halves, down to the rows that are at fault."""
    contents: dict[int, Any] = {}
    for number, row in enumerate(rows):
        try:
            contents[number] = way.recipe.content(row)
        except UnfitError as unfit:
            progress.answers[number] = Refusal(unfit.reason, unfit.column)
    parts = [[number for number in contents if number not in progress.answers]]
    while parts:
        part = parts.pop()
        if not part:
            continue
        call = way.recipe.together([contents[number] for number in part])
        reply = _sent(way, call, batch, " ".join(str(number) for number in part))
        refusal = way.rules.judge(reply, way.recipe, repeated=progress.repeated)
        results = way.rules.results
        named = None
        if results is not None:
            named = results.of(_json(reply, must=refusal is None), [keys[n] for n in part])
        if refusal is None:
            refused = {part[place]: why for place, why in (named or {}).items()}
            progress.answers.update({number: refused.get(number) for number in part})
        elif named:  # nothing was taken; without those it names, it may be
            progress.answers.update({part[place]: why for place, why in named.items()})
            parts.append([number for number in part if number not in progress.answers])
        elif len(part) == 1:
            progress.answers[part[0]] = refusal
        else:
            half = len(part) // 2
            parts += [part[half:], part[:half]]


def _json(reply: Any, *, must: bool) -> Any:
    from .verdict import readable

    try:
        return readable(reply)
    except LostError:
        if must:
            raise
        return None


def _sent(way: Way, call: Call, batch: Batch, part: str) -> Any:
    more = {}
    if way.key_header is not None:
        name = f"{batch.id}\n{way.recipe.digest}\n{part}"
        more[way.key_header] = str(uuid.uuid5(NAMES, name))
    return way.client.send(call, more)


def push(way: Way, batch: Batch, progress: Progress, *, repeatable: bool) -> Delivery:
    """Send a batch. What cannot be said to be not taken is an OutcomeUnknownError.

    That is so of every batch of which a part was taken. Of a `repeatable` one the host asks, and
    hands it over again: then it hears what the matter is, and the batch stays in doubt.
    """
    if progress.failure is not None:
        failure, progress.failure = progress.failure, None
        raise failure
    try:
        return _patiently(way, batch, progress)
    except LostError as lost:
        failure = OutcomeUnknownError(f"the service {lost}: whether it took the call is not known")
    except DestinationError as error:
        failure = error
        is_final = isinstance(error, AccessDeniedError | QuotaSpentError)
        if progress.has_begun and (repeatable or not is_final):
            progress.failure = error if repeatable else None
            failure = OutcomeUnknownError(
                f"a part of a batch was taken, then: {error.message}",
                hint=error.hint or ("run the job again: it sends the rest" if repeatable else None),
            )
    raise failure


def _patiently(way: Way, batch: Batch, progress: Progress) -> Delivery:
    """What `delivered` answers, waited for where a part was taken and a pause will do.

    Before that the host waits: it can be told to stop.
    """
    fruitless = 0
    while True:
        before = len(progress.answers)
        try:
            return delivered(way, batch, progress)
        except (ThrottledError, UnavailableError) as error:
            fruitless = 0 if len(progress.answers) > before else fruitless + 1
            asked = getattr(error, "retry_after", None)
            pause = 2.0**fruitless if asked is None else float(asked)
            if not progress.has_begun or fruitless >= TRIES or pause > LONGEST_PAUSE:
                raise
        sleep(pause)
