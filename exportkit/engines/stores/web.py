"""Files on web servers: `https://`, and `http://` from this machine alone.

A server that gives parts of a file and says which version they are of is read in parts; any other
in one piece. Redirects are followed, but never out of encryption.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from exportkit.engines.stores import store as stores
from exportkit.engines.stores.store import CONNECT_TIMEOUT, TIMEOUT, StoredObject
from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    import requests

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_PIECE = 1024 * 1024
_TRIES = 4
_PATIENCE = 0.2
"""Seconds before the second try; each further one comes twice as late."""
_AGAIN = (429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class WebServer:
    """The server that one URL names; the only object on it that is known is that URL."""

    can_list = False

    def __init__(self, url: str, at: Location | None) -> None:
        self._url = url
        self._at = at
        parts = urlsplit(url)
        if not parts.hostname:
            raise SourceError("the address names no server", location=at)
        self._shown = stores.shown(url)
        if parts.scheme.lower() == "http" and not _LOOPBACK.fullmatch(parts.hostname):
            raise SourceError(
                f"{self._shown} is http://, and profiles would cross a network in the clear",
                hint="use https://; http:// is for a server on this machine",
                location=at,
            )

    def find(self, path: str) -> StoredObject | None:
        """The object of the URL, if there is one."""
        with self._answer({"Range": f"bytes=0-{_PIECE - 1}"}) as answer:
            if answer.status_code in (404, 410):
                return None
            if answer.status_code == 416:  # there is no first byte
                return StoredObject(path, self._shown, 0, *_validators(answer))
            self._check(answer)
            modified, etag = _validators(answer)
            part = _RANGE.match(answer.headers.get("Content-Range", ""))
            if answer.status_code == 206 and part:
                in_parts = bool(modified or etag)  # else nothing says that parts belong together
                return StoredObject(path, self._shown, int(part[3]), modified, etag, in_parts)
            length = answer.headers.get("Content-Length", "")
            size = int(length) if length.isdigit() else None
            return StoredObject(path, self._shown, size, modified, etag, in_parts=False)

    def below(self, folder: str) -> NoReturn:
        """A web server does not say what it has."""
        raise NotImplementedError(folder)

    def read(self, found: StoredObject, start: int, stop: int) -> bytes:
        """Its bytes from `start` up to, not including, `stop`."""
        import requests
        import tenacity

        attempt = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(requests.RequestException),
            stop=tenacity.stop_after_attempt(_TRIES),
            wait=tenacity.wait_exponential(_PATIENCE, max=5),
            reraise=True,
        )
        try:
            return bytes(attempt(self._part, found, start, stop))
        except requests.RequestException:
            raise self._broke_off() from None

    def stream(self, found: StoredObject) -> Generator[bytes]:
        """All its bytes in pieces. Raises SourceError if another version comes, or not all."""
        import requests

        with self._answer({}) as answer:
            self._check_same(found, answer)
            length = answer.headers.get("Content-Length", "")
            got = 0
            try:
                for piece in answer.iter_content(_PIECE):
                    got += len(piece)
                    yield piece
            except requests.RequestException:
                raise self._broke_off() from None
            if length.isdigit() and got != int(length):
                raise stores.cut_short(found, got, int(length))

    def _part(self, found: StoredObject, start: int, stop: int) -> bytes:
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if found.etag and not found.etag.startswith("W/"):
            headers["If-Match"] = found.etag
        with self._answer(headers, quietly=False) as answer:
            self._check_same(found, answer)
            where = _RANGE.match(answer.headers.get("Content-Range", ""))
            if answer.status_code != 206 or where is None or int(where[3]) != found.size:
                raise stores.changed(found)
            data = answer.content
        if len(data) != stop - start:
            raise stores.cut_short(found, len(data), stop - start)
        return data

    @cached_property
    def _session(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3 import Retry

        class Loopback(HTTPAdapter):
            """Follows no redirect out of encryption."""

            def send(self, request: requests.PreparedRequest, *args: Any, **keys: Any) -> Any:
                if not _LOOPBACK.fullmatch(urlsplit(request.url or "").hostname or ""):
                    raise requests.exceptions.InvalidSchema("http")
                return super().send(request, *args, **keys)

        retries = Retry(
            _TRIES, backoff_factor=_PATIENCE, status_forcelist=_AGAIN, raise_on_status=False
        )
        session = requests.Session()
        session.headers["Accept-Encoding"] = "identity"  # the file's own bytes, and their number
        session.mount("https://", HTTPAdapter(max_retries=retries))
        session.mount("http://", Loopback(max_retries=retries))
        return session

    def _answer(self, headers: dict[str, str], *, quietly: bool = True) -> requests.Response:
        """The beginning of an answer, its body still to come.

        Not quietly, a connection that fails is left to the caller.
        """
        import requests

        try:
            return self._session.get(
                self._url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, TIMEOUT)
            )
        except requests.exceptions.SSLError:
            message, hint = "its certificate is not trusted", "REQUESTS_CA_BUNDLE names your own CA"
        except requests.exceptions.InvalidSchema:
            message = "it redirects to http://, and profiles would cross a network in the clear"
            hint = "name the address where the file is in the end, with https://"
        except requests.exceptions.TooManyRedirects:
            message, hint = "it redirects in a circle", "open the address in a browser"
        except requests.RequestException:
            if not quietly:
                raise
            message, hint = "the server cannot be reached", "look at the address and the network"
        raise SourceError(f"{self._shown}: {message}", hint=hint, location=self._at)

    def _check(self, answer: requests.Response) -> None:
        """Return if the answer is the file. Raises SourceError if it is something else."""
        status = answer.status_code
        if status in (401, 403):
            message = f"the server refuses ({status})"
            hint = (
                "is the address signed, and has it expired? https://user:${env:PASSWORD}@… signs in"
            )
        elif status not in (200, 206):
            message = f"the server answered {status}"
            hint = "a server that is busy or broken gets better: run again later"
        elif "text/html" in answer.headers.get("Content-Type", "").lower():
            message = "the server answered with a web page, not with a file"
            hint = "it may ask for a sign-in: name the address that downloads the file itself"
        else:
            return
        raise SourceError(f"{self._shown}: {message}", hint=hint, location=self._at)

    def _check_same(self, found: StoredObject, answer: requests.Response) -> None:
        if answer.status_code in (404, 410):
            raise stores.gone(found)
        if answer.status_code == 412 or (
            answer.ok and _validators(answer) != (found.modified_at, found.etag)
        ):
            raise stores.changed(found)
        self._check(answer)

    def _broke_off(self) -> SourceError:
        return SourceError(
            f"{self._shown}: the connection broke off",
            hint="nothing was used of it: run again",
            location=self._at,
        )


def _validators(answer: requests.Response) -> tuple[datetime | None, str | None]:
    """When the file was written and which version it is, as far as the server says."""
    try:
        modified = parsedate_to_datetime(answer.headers["Last-Modified"])
    except (KeyError, ValueError):
        modified = None
    return modified, answer.headers.get("ETag")
