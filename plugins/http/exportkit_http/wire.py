"""One HTTP exchange: an answer, or a failure that says whether the call can have been processed.

Certificates are always checked and no redirect is followed, so that credentials go to no other
host. What is raised here quotes nothing of the call: address and body hold people's data.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions as failures

from exportkit import DestinationError, JobError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECTING = 10.0
"""Seconds to wait for a connection at most."""
LONGEST_ANSWER = 32 * 1024 * 1024
"""Bytes that are read of an answer."""


class LostError(Exception):
    """The call went out and no answer came that can be read: it may have been processed or not.

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
        """The seconds that the service asks to wait, a date being read by its own clock."""
        asked = self.headers.get("Retry-After", "").strip()
        if asked.isascii() and asked.isdigit():
            return float(asked)
        until, now = _moment(asked), _moment(self.headers.get("Date", "")) or datetime.now(UTC)
        return None if until is None else max(0.0, (until - now).total_seconds())


class Wire:
    """Calls below `base`, over connections that are kept, from as many threads as `at_once`.

    Raises JobError for an address that is not to be called; `option` is what it is called there.
    """

    def __init__(self, base: str, *, option: str, timeout: float, at_once: int = 1) -> None:
        parts = _checked(base, option)
        self.host = parts.hostname or ""
        self.root = f"{parts.scheme}://{parts.netloc}"
        self._below = parts.path.rstrip("/")
        self._pool = self._opened(parts.scheme, at_once)
        self._timeout = urllib3.Timeout(connect=min(timeout, CONNECTING), read=timeout)

    def _opened(self, scheme: str, at_once: int) -> Any:
        kept = {"maxsize": at_once, "block": True, "retries": False}
        # What stays on this machine goes through no proxy, which would read it.
        proxy = getproxies().get("https") if scheme == "https" else None
        manager: urllib3.PoolManager
        if proxy and not proxy_bypass(self.host):
            manager = urllib3.ProxyManager(proxy if "://" in proxy else f"http://{proxy}")
        else:
            manager = urllib3.PoolManager()
        manager.connection_pool_kw.update(kept)
        return manager.connection_from_url(self.root)

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str | bytes],
        body: bytes | None = None,
    ) -> Reply:
        """Make one call to the path `target`.

        Raises UnavailableError where no connection came about, LostError where no answer did,
        DestinationError where there cannot be one.
        """
        try:
            answer = self._pool.urlopen(
                method,
                self._below + target or "/",
                body=body,
                headers=headers,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
                preload_content=False,
            )
            return self._read(answer)
        except (failures.HTTPError, OSError, ValueError) as error:
            failure = self._failure(error)
        raise failure

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _read(self, answer: Any) -> Reply:
        try:
            content = answer.read(LONGEST_ANSWER)
            if len(content) == LONGEST_ANSWER:
                raise LostError("gave an answer that is longer than anybody would read")
            return Reply(answer.status, answer.headers, content)
        except BaseException:
            answer.close()  # what is left of it would be the next call's answer
            raise
        finally:
            answer.release_conn()

    def _failure(self, error: Exception) -> Exception:
        """What became of a call that raised this: the same in our words, without its words."""
        causes = (error, *error.args, getattr(error, "original_error", None))
        if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
            return DestinationError(
                f"the certificate of {self.host} cannot be trusted",
                hint="nothing was sent. Where a proxy of your own re-signs traffic, name its "
                "certificates in SSL_CERT_FILE",
            )
        if isinstance(error, failures.ConnectTimeoutError | failures.NewConnectionError):
            return UnavailableError(f"{self.host} cannot be reached")
        if isinstance(error, failures.ProxyError):
            return UnavailableError(f"{self.host} cannot be reached through the proxy")
        if isinstance(error, failures.ReadTimeoutError | TimeoutError):
            return LostError("did not answer in time")
        if isinstance(error, failures.DecodeError):
            return LostError("gave an answer that cannot be read")
        if isinstance(error, ValueError) and not isinstance(error, failures.HTTPError):
            return DestinationError(f"{self.host} cannot be called: address or header is not valid")
        return LostError("broke the connection off")


def _checked(url: str, option: str) -> Any:
    """The parts of an address that may be called. Raises JobError for all others."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise JobError(f"{option} is no address: a part of it cannot be read") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise JobError(f"{option} has to be an address that begins with https://")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise JobError(
            f"{option} begins with http://: anybody on the way could read people's data",
            hint="write https://; http:// is for a service on this machine, such as "
            "http://127.0.0.1:8080",
        )
    if parts.username is not None or parts.query or parts.fragment or not url.strip().isprintable():
        raise JobError(f"{option} has to be a plain address: no user, no '?', no '#'")
    return parts


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
