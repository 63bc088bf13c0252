"""Every call to the API: counted, paced, tried again where that is safe, its failures sorted."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from exportkit import (
    AccessDeniedError,
    DestinationError,
    QuotaSpentError,
    ThrottledError,
    UnavailableError,
)

from .replies import ConflictError, NotFoundError, error_keys, parsed, refusal, unclear
from .wire import TIMEOUT, LostError, NotSentError, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import tenacity

    from exportkit import Calls

    from .oauth import Tokens
    from .wire import Reply

__all__ = ["Client", "ConflictError", "NotFoundError"]

TRIES = 5
LONGEST_PAUSE = 30.0
"""Seconds to wait here at most; who is asked to wait longer tells the host."""

_ARRAYS = frozenset({"/account/user/privileges"})
"""Where the answer is a list; everywhere else it is an object."""


class Client:
    """The API below `api_url`, with the calls counted by `calls`. Paths are like `/contact_lists`.

    All methods raise `AccessDeniedError` where signing in again or another privilege is needed,
    `ThrottledError` for calls that were not taken, `QuotaSpentError` when the day's calls are used
    up, `NotFoundError`, `ConflictError`, and `DestinationError` for whatever else is refused. What
    only reads is tried again for a while, then raises `UnavailableError`. A POST is not: it raises
    `UnavailableError` where it cannot have been processed, else `OutcomeUnknownError`.
    """

    def __init__(
        self,
        api_url: str,
        tokens: Tokens,
        calls: Calls,
        *,
        timeout: tuple[float, float] = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wire = Wire(api_url, option="api_url", timeout=timeout)
        self._tokens = tokens
        self._calls = calls
        self._sleep = sleep

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON: an object, or a list where the service answers one there."""
        shape = list if path in _ARRAYS else dict
        return self._patiently("GET", path, _json(shape), params=params, headers=_WANTS_JSON)

    def pages(
        self, path: str, items: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """The lists under `items`, page by page, to the last.

        A link to the next page that leads to another host, or round in a circle, is refused.
        """
        seen: set[str] = set()
        query: Mapping[str, Any] | None = params
        while True:
            page = self._patiently("GET", path, _page(items), params=query, headers=_WANTS_JSON)
            yield page.get(items) or []
            cursor = self._cursor(page)
            if cursor is None:
                return
            if cursor in seen:
                raise DestinationError("the service links pages in a circle")
            seen.add(cursor)
            # The cursor has the whole first query in it.
            query = {"cursor": cursor}

    def download(self, path: str) -> bytes:
        """The answer as it is, such as an exported file."""
        return self._patiently("GET", path, lambda reply: reply.body)  # type: ignore[no-any-return]

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer's JSON object to a body that is made JSON here."""
        return self.post_body(path, json.dumps(body).encode())

    def post_body(self, path: str, body: bytes) -> Any:
        """The answer's JSON object to a body that is JSON already."""
        headers = {"Content-Type": "application/json", **_WANTS_JSON}
        return self._patiently("POST", path, _json(dict), data=body, headers=headers)

    def upload(self, path: str, file_name: str, content: bytes, fields: Mapping[str, str]) -> Any:
        """The answer's JSON object to a form with a CSV file, in the part `file`."""
        files = {"file": (file_name, content, "text/csv")}
        return self._patiently(
            "POST", path, _json(dict), data=fields, files=files, headers=_WANTS_JSON
        )

    def delete(self, path: str) -> None:
        """Delete what is there. What an earlier try has deleted, with its answer lost, is done."""
        tries = 0

        def attempt() -> None:
            nonlocal tries
            tries += 1
            try:
                self._attempt("DELETE", path, lambda _reply: True)
            except NotFoundError:
                if tries == 1:
                    raise

        self._retrying("DELETE")(attempt)

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()
        self._tokens.close()

    def _patiently(
        self, method: str, path: str, read: Callable[[Reply], Any], **content: Any
    ) -> Any:
        return self._retrying(method)(self._attempt, method, path, read, **content)

    def _retrying(self, method: str) -> tenacity.Retrying:
        import tenacity

        def will_pass(error: BaseException) -> bool:
            if isinstance(error, ThrottledError):
                return (error.retry_after or 0.0) <= LONGEST_PAUSE
            # The host itself sends a batch again, and journals that it does.
            return isinstance(error, UnavailableError) and method != "POST"

        slower = tenacity.wait_exponential_jitter(initial=1, max=LONGEST_PAUSE, jitter=1)

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = getattr(error, "retry_after", None)
            return float(slower(state) if asked is None else max(asked, 1.0))

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(will_pass),
            wait=pause,
            stop=tenacity.stop_after_attempt(TRIES),
            sleep=self._sleep,
            reraise=True,
        )

    def _attempt(self, method: str, path: str, read: Callable[[Reply], Any], **content: Any) -> Any:
        """One call, with a second one if the token is not accepted; answers what `read` does."""
        token = self._tokens.access()
        reply = self._send(method, path, token, **content)
        if reply.status == 401:
            # A gate refused it, so that it was not processed.
            token = self._tokens.refresh(token)
            reply = self._send(method, path, token, **content)
        if reply.status == 401:
            raise AccessDeniedError(
                "the service does not accept a token that it has just given",
                hint=f"sign in again: {self._tokens.command}",
            )
        if reply.status == 429 and "quota_exceeded" in error_keys(reply):
            until = self._calls.spent()
            raise QuotaSpentError(
                "the calls that this API key has in a day are used up",
                until=until,
                hint=f"there are more from {until:%Y-%m-%d %H:%M} UTC; nothing is lost, run the "
                "job again then",
            )
        if not 200 <= reply.status < 300:
            raise refusal(reply, method, path, self._tokens.name, token)
        answer = read(reply)
        if answer is None:
            raise unclear(method, "gave an answer that cannot be understood")
        return answer

    def _send(self, method: str, path: str, token: str, **content: Any) -> Reply:
        self._calls.take()
        try:
            return self._wire.send(method, path, bearer=token, **content)
        except NotSentError as error:
            failure: DestinationError = UnavailableError(str(error))
        except LostError as error:
            failure = unclear(method, str(error))
        finally:
            self._calls.ended()
        raise failure

    def _cursor(self, page: Mapping[str, Any]) -> str | None:
        """Where the next page begins; None if this is the last. Only the cursor is taken."""
        links = page.get("_links") or {}
        link = (links.get("next") or {}) if isinstance(links, dict) else links
        href = link.get("href") if isinstance(link, dict) else link
        if not href and isinstance(link, dict):
            return None
        try:
            parts = urlsplit(href if isinstance(href, str) else "")
            cursors = parse_qs(parts.query).get("cursor", [])
        except ValueError:
            raise DestinationError("the link to the next page cannot be read") from None
        own = urlsplit(self._wire.base)
        if (parts.scheme or own.scheme, parts.netloc or own.netloc) != (own.scheme, own.netloc):
            raise DestinationError("the service links its next page to another host: not followed")
        if len(cursors) != 1:
            raise DestinationError("the link to the next page has no cursor")
        return cursors[0]


_WANTS_JSON = {"Accept": "application/json"}


def _json(shape: type) -> Callable[[Reply], Any]:
    """Reads JSON of that shape; None is anything else."""

    def read(reply: Reply) -> Any:
        answer = parsed(reply)
        return answer if isinstance(answer, shape) else None

    return read


def _page(items: str) -> Callable[[Reply], Any]:
    """Reads an object with a list of objects under that name; None is anything else."""

    def read(reply: Reply) -> Any:
        answer = parsed(reply)
        if not isinstance(answer, dict):
            return None
        found = answer.get(items, False)
        if found is None:
            return answer
        whole = isinstance(found, list) and all(isinstance(each, dict) for each in found)
        return answer if whole else None

    return read
