"""Who calls: an API key, a bearer token, a password, or tokens for an application (OAuth 2.0).

A token is had for a session and kept in memory alone: a new one costs a call and nobody's consent.
"""

from __future__ import annotations

import json
import re
import threading
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from exportkit import (
    AccessDeniedError,
    DestinationError,
    JobError,
    ThrottledError,
    UnavailableError,
    conceal,
)

from .options import API_KEY_HEADER
from .template import is_clean
from .wire import LostError, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AHEAD = 60.0
"""Seconds before its end at which a token is replaced, or a tenth of its life if that is less."""
LIFETIME = 3600.0
"""Seconds that a token is taken to last if nobody says."""
TRIES = 3

_TOKEN = re.compile(r"[\x21-\x7e]{1,20000}")
_CODE = re.compile(r"[a-z_]{1,40}")


class Fixed:
    """Credentials that are sent as they are."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    def headers(self) -> dict[str, str]:
        """What each call carries."""
        return self._headers

    def renewed(self, _refused: Mapping[str, str]) -> dict[str, str] | None:
        """None: there are no others."""
        return None

    def close(self) -> None:
        """Nothing is open."""


class Tokens:
    """Tokens of an application, by its client credentials. Threads may share them."""

    def __init__(
        self,
        auth: Mapping[str, Any],
        timeout: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wire = Wire(auth["token_url"], option="auth.token_url", timeout=timeout)
        self._auth = auth
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._token, self._good_until = "", 0.0

    def headers(self) -> dict[str, str]:
        """What each call carries, with a token that is still good.

        Raises AccessDeniedError where the application is not accepted, UnavailableError or
        ThrottledError where there is no token to be had right now.
        """
        with self._lock:
            if self._clock() >= self._good_until:
                self._replace()
            return _bearer(self._token)

    def renewed(self, refused: Mapping[str, str]) -> dict[str, str] | None:
        """The same after the service has refused these: with another token, had only once."""
        with self._lock:
            if refused == _bearer(self._token):
                self._replace()
            return _bearer(self._token)

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def _replace(self) -> None:
        self._token, self._good_until = "", 0.0
        asked_at = self._clock()
        answer = self._asked()
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise UnavailableError("the sign-in service gave an answer without a token")
        try:
            lasts = float(LIFETIME if lifetime is None else lifetime)
        except (TypeError, ValueError):
            lasts = LIFETIME
        conceal(token)
        self._token = token
        self._good_until = asked_at + lasts - min(AHEAD, lasts / 10)

    def _asked(self) -> dict[str, Any]:
        """The answer to a request for a token; one that is lost is asked for again."""
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        more = {name: self._auth[name] for name in ("scope", "audience") if name in self._auth}
        message = prepare_token_request("client_credentials", **more)
        headers = {
            **_basic(self._auth["client_id"], self._auth["client_secret"]),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        failure: DestinationError = UnavailableError("the sign-in service cannot be reached")
        for attempt in range(TRIES):
            if attempt:
                self._sleep(attempt)
            try:
                reply = self._wire.send("POST", "", headers, message.encode())
            except LostError as error:
                failure = UnavailableError(f"the sign-in service {error}")
                continue
            except UnavailableError as error:
                failure = UnavailableError(f"the sign-in service: {error.message}")
                continue
            if reply.status == 429:
                raise ThrottledError(
                    "the sign-in service is asked too often", retry_after=reply.retry_after
                )
            if reply.status >= 500:
                failure = UnavailableError(f"the sign-in service answered {reply.status}")
                continue
            answer = _object(reply.body)
            if reply.status != 200:
                raise _refused(reply.status, answer)
            return answer
        raise failure


Access = Fixed | Tokens


def access(auth: Mapping[str, Any], timeout: float) -> Access:
    """What a connection's `auth:` stands for. Raises JobError for what no header can carry."""
    if "token_url" in auth:
        return Tokens(auth, timeout)
    if "api_key" in auth:
        return Fixed({auth.get("header", API_KEY_HEADER): _word(auth, "api_key")})
    if "bearer" in auth:
        return Fixed(_bearer(_word(auth, "bearer")))
    if "username" in auth:
        return Fixed(_basic(auth["username"], auth["password"]))
    return Fixed({})


def _word(auth: Mapping[str, Any], name: str) -> str:
    """A secret without the line break that files end with."""
    word = str(auth[name]).strip()
    if not word or not is_clean(word) or not word.isascii():
        raise JobError(
            f"auth.{name} is no text that a header can carry",
            hint="look at what its reference stands for",
        )
    return word


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _basic(name: str, password: str) -> dict[str, str]:
    pair = b64encode(f"{name}:{password}".encode()).decode()
    conceal(pair)
    return {"Authorization": f"Basic {pair}"}


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refused(status: int, answer: Mapping[str, Any]) -> DestinationError:
    code = answer.get("error")
    said = f": {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
    if 300 <= status < 400:
        return DestinationError(
            f"the sign-in service redirects ({status}), which is not followed",
            hint="write the address where it leads as auth.token_url",
        )
    return AccessDeniedError(
        f"the sign-in service gives this application no token ({status}{said})",
        hint="check client_id, client_secret, token_url and scope in the connection's file",
    )
