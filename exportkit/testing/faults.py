"""Rules for misbehaving: at which call of which hook, and how.

A rule is one entry of the connection option `faults`, such as
`{hook: push, call: 3, do: raise_after, error: unavailable}`.
"""

from __future__ import annotations

import builtins
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from exportkit import errors
from exportkit.records import Delivery, Finding, Rejection, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOOKS = (
    "connect", "describe_target", "map_fields", "measure",
    "push", "settle", "find_delivery", "remove", "finish",
)  # fmt: skip
DEEDS = {
    "raise_before": "raises `error`; nothing is taken",
    "raise_after": "does its work, then raises `error`: the answer is lost",
    "half_then_raise": "takes the first half of the batch, then raises `error`",
    "kill_before": "kills the process with SIGKILL; nothing is taken",
    "kill_after": "does its work, then kills the process: the answer is lost",
    "half_then_kill": "takes the first half of the batch, then kills the process",
    "exit": "ends the process at once with exit code 70, past every handler",
    "slow": "waits `seconds`, then does its work",
    "none": "does its work, then answers None",
    "wrong_answer": "does its work, then answers a dict",
    "generator": "does its work, then answers a generator where a sequence is due",
    "extra_keys": "answers for a row or a receipt that nobody asked about",
    "missing_keys": "leaves a key, a receipt or a size out of its answer",
    "say_failed": "says of every receipt that would be done that it failed",
}
"""What a rule can make a hook do. "Its work" is all that an undisturbed call would do."""

_HALVED = ("half_then_raise", "half_then_kill")
_SPOILED = ("none", "wrong_answer", "generator", "extra_keys", "missing_keys")
_BY_KIND: dict[str, type[errors.ExportkitError]] = {
    each.kind: each
    for each in (
        errors.ThrottledError,
        errors.UnavailableError,
        errors.QuotaSpentError,
        errors.AccessDeniedError,
        errors.OutcomeUnknownError,
        errors.DestinationError,
        errors.JobError,
        errors.PluginError,
    )
}
_BUILT_IN = (
    "ValueError", "TypeError", "KeyError", "RuntimeError", "AssertionError", "StopIteration",
    "OSError", "TimeoutError", "ConnectionResetError", "MemoryError", "RecursionError",
    "SystemExit", "KeyboardInterrupt", "GeneratorExit",
)  # fmt: skip

SCHEMA: dict[str, Any] = {
    "type": "array",
    "description": "How to misbehave; of several rules that apply to a call, the first counts.",
    "items": {
        "type": "object",
        "required": ["hook", "do"],
        "additionalProperties": False,
        "properties": {
            "hook": {"enum": list(HOOKS)},
            "do": {"enum": list(DEEDS)},
            "call": {
                "description": "From which call of the hook on, counted over the folder's life.",
                "type": "integer",
                "minimum": 1,
                "default": 1,
            },
            "times": {
                "description": "For how many calls; null is for ever.",
                "type": ["integer", "null"],
                "minimum": 1,
                "default": 1,
            },
            "error": {
                "description": "The kind of an exportkit error, or a built-in exception.",
                "enum": [*_BY_KIND, *_BUILT_IN],
                "default": "destination",
            },
            "retry_after": {
                "description": "Seconds; for throttled, and until when for quota_spent.",
                "type": ["number", "null"],
                "minimum": 0,
            },
            "seconds": {
                "description": "How long slow waits.",
                "type": "number",
                "minimum": 0,
                "default": 1,
            },
        },
        "allOf": [
            {
                "if": {"properties": {"do": {"enum": list(_HALVED)}}, "required": ["do"]},
                "then": {"properties": {"hook": {"enum": ["push", "remove"]}}},
            },
            {
                "if": {"properties": {"do": {"const": "say_failed"}}, "required": ["do"]},
                "then": {"properties": {"hook": {"const": "settle"}}},
            },
        ],
    },
}
"""The JSON Schema of the option `faults`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Calls `call` to `call + times - 1` of a hook misbehave; `times` None is for ever."""

    hook: str
    do: str
    call: int = 1
    times: int | None = 1
    error: str = "destination"
    retry_after: float | None = None
    seconds: float = 1.0

    def applies(self, hook: str, call: int) -> bool:
        """Does the rule apply to this call, the first being 1, of this hook?"""
        if hook != self.hook or call < self.call:
            return False
        return self.times is None or call < self.call + self.times


def read_rules(options: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules of the option `faults`, which the host has checked with `SCHEMA`."""
    known = {each.name for each in fields(Rule)}
    return tuple(Rule(**{k: v for k, v in rule.items() if k in known}) for rule in options)


def misbehave(
    rule: Rule, work: Callable[[], Any], badly: Callable[[], Any], quoting: str = ""
) -> Any:
    """Do what the rule says around `work`, the undisturbed call.

    `badly` is the hook's own way to do less: half of the batch, or no receipt a success. Answers
    what the hook shall answer, if the process lives and the rule lets it answer at all. Exceptions
    that are not of the contract quote `quoting`, as real ones quote a request.
    """
    if rule.do == "slow":
        time.sleep(rule.seconds)
        return work()
    if rule.do == "exit":
        os._exit(70)
    if rule.do == "say_failed":
        return badly()
    if rule.do in _HALVED:
        badly()
    if rule.do in ("kill_before", "half_then_kill"):
        _kill()
    if rule.do in ("raise_before", "half_then_raise"):
        raise _error(rule, quoting)
    answer = work()
    if rule.do == "kill_after":
        _kill()
    if rule.do == "raise_after":
        raise _error(rule, quoting)
    return spoiled(answer, rule.do)


def spoiled(answer: Any, do: str) -> Any:
    """The answer of a hook, made wrong in one of the ways that authors do by accident."""
    import pyarrow as pa

    match do, answer:
        case "none", _:
            return None
        case "wrong_answer", _:
            return {"answer": "wrong"}
        case _, Finding(delivery=delivery) if do in _SPOILED:
            return replace(answer, delivery=spoiled(delivery, do))
        case _, Delivery(rejections=rejections) if do in _SPOILED:
            return replace(answer, rejections=_rejections(rejections, do))
        case "generator", Sequence() | pa.Array():
            return (each for each in answer)
        case "generator", _:
            return (each for each in [answer])
        case "extra_keys", pa.Array():
            return pa.array([*answer.to_pylist(), 1])
        case "extra_keys", Sequence():
            return [*answer, Settlement("a receipt of nobody", "done")]
        case "missing_keys", Sequence() | pa.Array():
            return answer[:-1]
    return answer


def _rejections(rejections: Sequence[Rejection], do: str) -> Any:
    if do == "generator":
        return (rejection for rejection in rejections)
    lost: Any = None
    stranger = lost if do == "missing_keys" else "nobody@stranger.example"
    return [*rejections, Rejection(stranger, "refused by a rule")]


def _error(rule: Rule, quoting: str) -> BaseException:
    message = f"{rule.hook} failed because a rule says so"
    kind = _BY_KIND.get(rule.error)
    if kind is None:
        failure: type[BaseException] = getattr(builtins, rule.error)
        return failure(quoting)
    if kind is errors.ThrottledError:
        return errors.ThrottledError(message, retry_after=rule.retry_after)
    if kind is errors.QuotaSpentError:
        wait = rule.retry_after
        until = None if wait is None else datetime.now(UTC) + timedelta(seconds=wait)
        return errors.QuotaSpentError(message, until=until)
    return kind(message)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way
