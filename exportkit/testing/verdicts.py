"""How a check fails: what the plugin did, what is asked of its author, and by which hook."""

from __future__ import annotations

import functools
import inspect
import traceback
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from exportkit import hookspecs
from exportkit.errors import ExportkitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exportkit.testing.rehearsal import Rehearsal

Test = TypeVar("Test", bound="Callable[..., None]")


def broken(hook: str, did: str, asked: str) -> NoReturn:
    """Fail the test: the plugin did this in that hook, and its author is asked for something."""
    pytest.fail(f"{hook}: {did}\n\nAsked for: {asked}\n{where(hook)}", pytrace=False)


def where(hook: str) -> str:
    """Where the contract speaks of a hook."""
    spec = getattr(hookspecs, hook)
    arguments = ", ".join(inspect.signature(spec).parameters)
    return f"The contract: {hook}({arguments}) in docs/hooks.md and exportkit/hookspecs.py"


def told(test: Test) -> Test:
    """A test in which what the host would raise is a failure in words, not a traceback."""

    @functools.wraps(test)
    def wrapped(self: Any, stand: Rehearsal, *args: Any, **kwargs: Any) -> None:
        failure = None
        try:
            test(self, stand, *args, **kwargs)
        except ExportkitError as error:
            failure = error
        if failure is not None:  # outside of the handler: it would be shown as well
            refused(stand, failure)

    return wrapped  # type: ignore[return-value]


def refused(stand: Rehearsal, error: ExportkitError) -> NoReturn:
    """Fail the test: the host would stop here with this error."""
    hook = stand.ear.said[-1].hook if stand.ear.said else "connect"
    words = f"the host would stop here, with {type(error).__name__}: {error}"
    last = stand.ear.failure
    if last is not None and f": {type(last).__name__}" in error.message:
        frames = "".join(traceback.format_exception(last)[-3:])
        words = f"{words}\n\nIt came from:\n{frames}"
    broken(hook, words, _ASKED.get(error.kind, "a quiet service, so no error"))


_ASKED = {
    "plugin": "an answer of the contract's type, or one of the contract's errors: whatever else "
    "leaves a hook ends the run",
    "job": "job options and a map that the destination takes: see the attributes of the test class",
    "config": "options that fit the plugin's own schemas: see the attributes of the test class",
}
