"""One HTTP exchange: an answer, or a failure that says whether the call can have been processed.

Certificates are always checked, no redirect is followed, and nobody's `.netrc` is read. What is
raised here quotes nothing of the call: its address and body may hold addresses and tokens.
"""

from __future__ import annotations

import ipaddress
import ssl
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError

from exportkit import DestinationError, JobError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection, and for each piece of an answer."""


class NotSentError(Exception):
    """No connection came about, so nothing was processed."""


class LostError(Exception):
    """The call went out and no whole answer came back: it may or may not have been processed.

    Its words fit after "the service ".
    """


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. `repr` shows no body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.body)} bytes>"

    @property
    def retry_after(self) -> float | None:
        """The seconds that the service asks to wait; None if it says nothing that can be read."""
        asked = self.headers.get("Retry-After", "").strip()
        # Its other form is a date, by a clock that need not be ours: as good as nothing.
        return float(asked) if asked.isascii() and asked.isdigit() else None


class Wire:
    """Calls to the addresses below `base`, over connections that are kept open between calls."""

    def __init__(self, base: str, *, option: str, timeout: tuple[float, float] = TIMEOUT) -> None:
        self.base = require_https(base, option)
        self._timeout = timeout
        self._session = requests.Session()
        # What stays on this machine goes through no proxy, which would read it.
        self._session.trust_env = urlsplit(self.base).scheme == "https"

    def send(
        self,
        method: str,
        path: str,
        *,
        bearer: str | None = None,
        basic: tuple[str, str] | None = None,
        **content: Any,
    ) -> Reply:
        """Make one call; `content` is what `requests` knows as params, data, files and headers.

        Raises NotSentError or LostError where there is no answer, DestinationError where there
        cannot be one.
        """
        if method == "POST":
            # The service may be closing an idle connection right now; whether a POST on it was
            # processed nobody could say. A new one costs little beside what a POST does.
            self._session.close()
        try:
            answer = self._session.request(
                method,
                f"{self.base}{path}",
                auth=_Authorization(bearer, basic),
                timeout=self._timeout,
                allow_redirects=False,
                **content,
            )
            return Reply(answer.status_code, answer.headers, answer.content)
        except OSError as error:  # every failure of requests is one
            failure = _failure(error, urlsplit(self.base).hostname or "")
        raise failure

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class _Authorization(requests.auth.AuthBase):
    """The only authorization that a call has: with none given here, requests looks for others."""

    def __init__(self, bearer: str | None, basic: tuple[str, str] | None) -> None:
        self._bearer, self._basic = bearer, basic

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._bearer is not None:
            request.headers["Authorization"] = f"Bearer {self._bearer}"
        if self._basic is not None:
            pair = ":".join(self._basic).encode()
            request.headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
        return request


def require_https(url: str, option: str) -> str:
    """The address without a slash at its end, if it may be called.

    Raises JobError unless it is https://, or http:// on this machine itself.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise JobError(f"{option} is no address: a part of it cannot be read") from None
    if parts.scheme not in ("https", "http") or not host:
        raise JobError(f"{option} has to be an address that begins with https://")
    if parts.scheme == "http" and not is_loopback(host):
        raise JobError(
            f"{option} begins with http://, so that anybody on the way could read tokens and "
            "people's data",
            hint="write https://; http:// is for a sandbox on this machine, such as "
            "http://127.0.0.1:8080",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise JobError(f"{option} has to be a plain address: no user, no '?', no '#'")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine and can be nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _failure(error: OSError, host: str) -> Exception:
    """What became of a call that raised this: the same in our words, without its words."""
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in _chain(error)):
        return DestinationError(
            f"the certificate of {host} cannot be trusted",
            hint="nothing was sent. Where a proxy of your own re-signs traffic, name its "
            "certificates in REQUESTS_CA_BUNDLE",
        )
    if isinstance(error, requests.ConnectTimeout):
        return NotSentError(f"{host} cannot be reached: it does not answer in time")
    if isinstance(error, requests.ConnectionError):
        reason = error.args[0].reason if _gave_up(error) else None
        if isinstance(reason, NewConnectionError):  # a name that cannot be found is one too
            return NotSentError(f"{host} cannot be reached")
        if isinstance(reason, ProxyError):
            return NotSentError(f"{host} cannot be reached through the proxy")
        return LostError("broke the connection off")
    if isinstance(error, requests.Timeout):
        return LostError("did not answer in time")
    if isinstance(error, ValueError):  # its kind for addresses, headers and proxies
        return DestinationError(f"{host} cannot be called: the address or a proxy's is not valid")
    if isinstance(error, requests.RequestException):
        half = isinstance(error, requests.exceptions.ChunkedEncodingError)
        return LostError("broke its answer off" if half else "gave an answer that cannot be read")
    return DestinationError(
        "the call cannot be made: the file that REQUESTS_CA_BUNDLE names cannot be read"
    )


def _gave_up(error: requests.ConnectionError) -> bool:
    return bool(error.args) and isinstance(error.args[0], MaxRetryError)


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and what it came from, however it is linked."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        inner = [each for each in error.args if isinstance(each, BaseException)]
        reason = getattr(error, "reason", None)
        if isinstance(reason, BaseException):
            inner.append(reason)
        error = next(iter(inner), None) or error.__cause__ or error.__context__
    return found
