"""What an answer means for the rows of a call: taken, refused and why, or an error of the host."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from exportkit import (
    AccessDeniedError,
    DestinationError,
    JobError,
    QuotaSpentError,
    ThrottledError,
    UnavailableError,
    redact,
)

from .recipe import part_of
from .wire import LostError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .recipe import Recipe
    from .template import Way
    from .wire import Reply

LONGEST_PAUSE = 600.0
"""Seconds after which a run does not wait, but ends with the advice to come back."""
LONGEST_TEXT = 200
ALL_ALIKE = frozenset((405, 406, 411, 414, 415, 426, 431, 501, 505))
"""What is wrong with the job or the service, whichever row it is."""

PARTS = ("list", "key", "failed", "reason")

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|<[^>]*>")
_USUAL = ("message", "detail", "error_description", "error", "title", "reason")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service's no to a row, or to a whole call, in words that may be shown."""

    reason: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """Where an answer says what became of each row: compiled JMESPath."""

    items: Any
    key: Any
    failed: Any
    reason: Any

    def of(self, answer: Any, keys: Sequence[str]) -> dict[int, Refusal] | None:
        """The refused rows by number; None if the answer holds no results.

        Raises LostError where it names a refused row in a way that fits none of them.
        """
        found = searched(self.items, answer)
        if not isinstance(found, list):
            return None
        if self.key is None and len(found) != len(keys):
            raise LostError(f"gave {len(found)} results for {len(keys)} rows")
        numbers = {key: number for number, key in enumerate(keys)}
        folded = {key.casefold(): number for key, number in numbers.items()}
        refused: dict[int, Refusal] = {}
        for place, each in enumerate(found):
            if not searched(self.failed, each):
                continue
            number: int | None = place
            if self.key is not None:
                name = str(searched(self.key, each))
                number = numbers.get(name, folded.get(name.casefold()))
            if number is None:
                raise LostError("refused a row, and does not say which of those that it was sent")
            refused[number] = Refusal(fit_to_show(_said(self.reason, each)) or "refused")
        return refused


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a job judges answers."""

    success: frozenset[int] | None
    when: Any
    reason: Any
    refused: frozenset[int]
    results: Results | None

    def judge(self, reply: Reply, recipe: Recipe, *, repeated: bool = False) -> Refusal | None:
        """None if the call was taken; else why it was not. `repeated`: it may have been before.

        Raises what the host has to act on, and LostError where nobody can say what became of it.
        """
        if reply.status in recipe.already:
            return None
        if self._succeeded(reply.status):
            if self.when is None or searched(self.when, readable(reply)):
                return None
        elif reply.status not in self.refused:
            if repeated and reply.status == 409:  # of two calls with one key, the first goes on
                raise UnavailableError(
                    "the service has a conflict with the first of two calls (409)",
                    hint="run the job again later; if it means that the row is there already, say "
                    "so: `already: [409]`",
                )
            self._stop_if_not_the_rows(reply, recipe)
        return Refusal(self._because(reply))

    def _succeeded(self, status: int) -> bool:
        return 200 <= status < 300 if self.success is None else status in self.success

    def _stop_if_not_the_rows(self, reply: Reply, recipe: Recipe) -> None:
        """Raise what an answer means that no row is at fault for."""
        status = reply.status
        if status in (401, 403):
            raise AccessDeniedError(
                f"the service does not let us ({self._because(reply)})",
                hint="check `auth:` in the connection's file, and what the service allows; where "
                "a single row is meant, say so: `refused: [403]`",
            )
        if status == 429 or (status == 503 and reply.retry_after is not None):
            raise later(reply.retry_after)
        if status in (425, 503):
            raise UnavailableError(f"the service is not available ({status})")
        if status < 400:
            redirect = ": redirects are not followed" if status >= 300 else ""
            raise DestinationError(
                f"the service answered {status}, which is no success{redirect}",
                hint="check `url` and `path`; `success: {status: [...]}` says what else will do",
            )
        if status in ALL_ALIKE or (status == 404 and not recipe.personal):
            raise DestinationError(
                f"the service refuses any {recipe.method} there ({self._because(reply)})",
                hint="check `path`, `method` and `headers` of the job, and `url` of the connection",
            )
        if status == 408 or status >= 500:
            raise LostError(f"answered {self._because(reply)}")

    def _because(self, reply: Reply) -> str:
        said = fit_to_show(_said(self.reason, _parsed(reply)))
        return f"{reply.status}: {said}" if said else str(reply.status)


def rules(options: Mapping[str, Any], *, removal: bool) -> Rules:
    """The rules of a job, or of its removals. Raises JobError for an expression that is none."""
    part, way = part_of(options, removal=removal)
    success, results = part.get("success", {}), options.get("results")
    if results and not options.get("batch"):
        raise JobError(
            "`results` are those of several rows in one call",
            field="results",
            hint="say how many: `batch: 500`; for calls of one row there is `success:`",
        )
    return Rules(
        success=frozenset(success["status"]) if "status" in success else None,
        when=_compiled(success, "when", (*way, "success")),
        reason=_compiled(success, "reason", (*way, "success")),
        refused=frozenset(options.get("refused", ())),
        results=Results(*(_compiled(results, name, ("results",)) for name in PARTS))
        if results and not removal
        else None,
    )


def later(seconds: float | None) -> DestinationError:
    """The error for a service that asks to wait."""
    if seconds is None or seconds <= LONGEST_PAUSE:
        return ThrottledError("the service takes no more calls right now", retry_after=seconds)
    until = datetime.now(UTC) + timedelta(seconds=min(seconds, 366 * 86_400))
    return QuotaSpentError(
        "the service takes no more calls for a while",
        until=until,
        hint=f"it does from {until:%Y-%m-%d %H:%M} UTC; nothing is lost, run the job again then",
    )


def readable(reply: Reply) -> Any:
    """The JSON of an answer that has to have some. Raises LostError."""
    found = _parsed(reply)
    if found is None:
        raise LostError("gave an answer that cannot be read")
    return found


def searched(expression: Any, answer: Any) -> Any:
    """What the expression finds; None where it cannot be applied."""
    from jmespath.exceptions import JMESPathError

    try:
        return expression.search(answer)
    except (JMESPathError, TypeError, ValueError):
        return None


def fit_to_show(text: str) -> str:
    """What the service says without people, quotes and what is not printable, and not too long."""
    text = _QUOTED.sub("'…'", redact(" ".join(text.split())))
    text = "".join(letter for letter in text if letter.isprintable())
    return f"{text[:LONGEST_TEXT]}{'…' if len(text) > LONGEST_TEXT else ''}"


def _said(expression: Any, answer: Any) -> str:
    """The service's words: where the job says, or where they usually are."""
    if expression is not None:
        found = searched(expression, answer)
        return found if isinstance(found, str) else "" if found is None else json.dumps(found)
    while isinstance(answer, list) and answer:
        answer = answer[0]
    if isinstance(answer, str):
        return answer
    if isinstance(answer, dict):
        for name in _USUAL:
            if isinstance(answer.get(name), str):
                return str(answer[name])
        for name in ("error", "errors"):
            if isinstance(answer.get(name), dict | list) and (found := _said(None, answer[name])):
                return found
    return ""


def _parsed(reply: Reply) -> Any:
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        return None


def _compiled(part: Mapping[str, str], name: str, way: Way) -> Any:
    if name not in part:
        return None
    import jmespath

    try:
        return jmespath.compile(part[name])
    except ValueError:  # every error of its parser is one
        raise JobError(
            "this is no JMESPath expression",
            field=(*way, name),
            hint="such as: status == 'ok', or errors[0].message",
        ) from None
