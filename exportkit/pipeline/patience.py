"""Calling again what cannot be had right now: as asked for, or ever more slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from exportkit.errors import ThrottledError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import tenacity

Answer = TypeVar("Answer")

LONGEST = 600.0
"""Seconds after which it is given up."""
MOST_TRIES = 12


def patiently(call: Callable[[], Answer], rest: Callable[[float], None]) -> Answer:
    """The answer of the call, tried again while it raises ThrottledError or UnavailableError.

    `rest` sleeps; it may raise to end the waiting. The last error is raised when it is given up,
    which is at once if it asks for more than LONGEST.
    """
    try:
        return call()
    except (ThrottledError, UnavailableError) as error:
        if not _will_pass(error):
            raise
        rest(_asked(error) or 1.0)
    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_will_pass),
        wait=_pause,
        stop=tenacity.stop_after_delay(LONGEST) | tenacity.stop_after_attempt(MOST_TRIES),
        sleep=rest,
        reraise=True,
    )
    return retrying(call)


def _will_pass(error: BaseException) -> bool:
    patient = isinstance(error, ThrottledError | UnavailableError)
    return patient and (_asked(error) or 0.0) <= LONGEST


def _pause(state: tenacity.RetryCallState) -> float:
    import tenacity

    asked = _asked(state.outcome.exception() if state.outcome else None)
    return asked if asked is not None else float(tenacity.wait_exponential_jitter(max=60)(state))


def _asked(error: BaseException | None) -> float | None:
    seconds = getattr(error, "retry_after", None)
    return None if seconds is None else float(seconds)
