"""Object stores (S3 and its likes, Google Cloud Storage, Azure Blob Storage), through obstore.

Credentials are whatever the environment, the profile or the machine provides; the workspace holds
none. What a library or a store says in its errors is read for its code and never shown: addresses
that are signed, headers and host names stand in it.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exportkit.engines.stores import store as stores
from exportkit.engines.stores.chunks import cut
from exportkit.engines.stores.store import StoredObject
from exportkit.errors import Location, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_EXTRAS = {"s3": "s3", "gs": "gcs", "az": "azure"}
_KINDS = {"s3": "bucket", "gs": "bucket", "az": "container"}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account",
    "az": "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, or the machine's identity",
}
_ADDRESS = re.compile(r"(s3|gs|az)://([^/?#@:]+)(?:/(.*))?", re.I | re.DOTALL)
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_LOOPBACK = re.compile(r"http://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?(/|$)", re.I)
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired")
_UNKNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthenticationFailed")
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURITE_BLOB_STORAGE_URL", "AZURE_ENDPOINT", "AZURE_STORAGE_ENDPOINT"),
}
_OF_THE_MACHINE = ("iam-role", "container-role", "assume-role-with-web-identity")
_PIECE = 8 * 1024 * 1024
_RETRIES: Any = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}


def open_bucket(url: str, at: Location | None) -> tuple[Bucket, str]:
    """The bucket of a URL and the path in it.

    Raises SourceError for one that cannot be read, and where the library is not installed.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None:
        scheme = stores.scheme_of(url)
        raise SourceError(
            f"the address names no {_KINDS[scheme]}",
            hint=f"{scheme}://{_KINDS[scheme].upper()}/path/people.csv, without user or port",
            location=at,
        )
    scheme, name, path = found[1].lower(), found[2], found[3] or ""
    if any(part in ("", ".", "..") for part in path.rstrip("/").split("/")[:-1]):
        raise SourceError(
            "the path in the address has an empty part, or one that is . or ..",
            hint=f"{scheme}://{name}/one/slash/between/people.csv",
            location=at,
        )
    try:
        import obstore  # noqa: F401
    except ImportError:
        raise _not_installed(scheme, "obstore", at) from None
    return Bucket(scheme, name, at), path


class Bucket:
    """One bucket or container, asked through obstore; opened when it is first asked."""

    can_list = True

    def __init__(self, scheme: str, name: str, at: Location | None) -> None:
        self._scheme = scheme
        self._name = name
        self._at = at

    def find(self, path: str) -> StoredObject | None:
        """The object of that path, if there is one."""
        import obstore

        if not path or path.endswith("/"):
            return None

        def look() -> Any:
            # Asked for its first byte, and not for its head alone, a store says why it refuses.
            try:
                return obstore.get(self._store, path, options={"range": (0, 1)}).meta
            except obstore.exceptions.BaseError as error:
                if "status code: 416" in str(error):  # there is no first byte
                    return obstore.head(self._store, path)
                raise

        try:
            return self._object(self._ask(look, path))
        except FileNotFoundError:
            return None

    def below(self, folder: str) -> Iterator[StoredObject]:
        """All objects below a folder, as the store lists them."""
        import obstore

        chunks = obstore.list(self._store, folder.strip("/") or None)
        while chunk := self._ask(lambda: next(iter(chunks), None), folder):
            for meta in chunk:
                if meta["size"] or not meta["path"].endswith("/"):
                    yield self._object(meta)

    def read(self, found: StoredObject, start: int, stop: int) -> bytes:
        """Its bytes from `start` up to, not including, `stop`."""
        import obstore

        options: Any = {"range": (start, stop), "if_match": f'"{found.etag}"'}
        if found.etag is None:
            del options["if_match"]

        def fetch() -> tuple[bytes, StoredObject]:
            answer = obstore.get(self._store, found.path, options=options)
            return bytes(answer.bytes()), self._object(answer.meta)

        try:
            data, now = self._ask(fetch, found.path)
        except FileNotFoundError:
            raise stores.gone(found) from None
        except obstore.exceptions.PreconditionError:
            raise stores.changed(found) from None
        if (now.etag, now.size) != (found.etag, found.size):  # not every store heeds conditions
            raise stores.changed(found)
        if len(data) != stop - start:
            raise stores.cut_short(found, len(data), stop - start)
        return bytes(data)

    def stream(self, found: StoredObject) -> Generator[bytes]:
        """Its bytes in pieces, in order."""
        for start, stop in cut([(0, found.size or 0)], _PIECE):
            yield self.read(found, start, stop)

    @cached_property
    def _store(self) -> Any:
        import obstore.store

        options: Any = {
            "timeout": timedelta(seconds=stores.TIMEOUT),
            "connect_timeout": timedelta(seconds=stores.CONNECT_TIMEOUT),
            "allow_http": is_loopback(self._scheme, self._at),
        }
        shared: Any = {"client_options": options, "retry_config": _RETRIES}
        if self._scheme == "s3":
            return obstore.store.S3Store(self._name, **shared, **_amazon(self._at))
        if self._scheme == "gs":
            return self._ask(lambda: obstore.store.GCSStore(self._name, **shared), "")
        return self._ask(lambda: obstore.store.AzureStore(self._name, **shared), "")

    def _object(self, meta: Any) -> StoredObject:
        shown = self._shown(meta["path"])
        etag = (meta["e_tag"] or "").strip('"') or None  # lists leave the quotes out
        return StoredObject(meta["path"], shown, meta["size"], meta["last_modified"], etag)

    def _shown(self, path: str) -> str:
        return f"{self._scheme}://{self._name}/{path}"

    def _ask(self, call: Callable[[], Any], path: str) -> Any:
        """The answer of a call; what the library raises as an error of ours.

        A missing object and a changed one are let through: they mean different things to different
        callers.
        """
        import obstore

        try:
            return call()
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
                raise self._no_bucket() from None
            raise
        except obstore.exceptions.PreconditionError:
            raise
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise self._refused(str(error), path) from None

    def _refused(self, text: str, path: str) -> SourceError:
        """Why a store did not answer, by its code alone."""
        shown, kind = self._shown(path), _KINDS[self._scheme]
        code = found[1] if (found := _CODE.search(text)) else ""
        status = found[1] if (found := _STATUS.search(text)) else ""
        said = " ".join(filter(None, (status, code)))
        if "NoSuchBucket" in text or "ContainerNotFound" in text:
            return self._no_bucket()
        if code in _EXPIRED:
            message, hint = f"{shown}: the credentials have expired", "sign in again, then run"
        elif code in _UNKNOWN or status == "401":
            message = f"{shown}: the store does not accept the credentials ({said})"
            hint = f"they come from {_CREDENTIALS[self._scheme]}"
        elif status == "403" or code == "AccessDenied":
            message = f"{shown} may not be read with these credentials, or is not there ({said})"
            hint = f"give the account the right to read the {kind} and to list it"
        elif "without LOCATION" in text or code in ("PermanentRedirect", "IllegalLocation"):
            message = f"{shown}: the {kind} is in another region"
            hint = "say which: AWS_REGION=eu-central-1"
        elif status:
            message = f"{shown}: the store answered {said}"
            hint = "a store that is busy or broken gets better: run again later"
        elif "Connect" in text or "error sending request" in text:
            message = f"{shown}: the store cannot be reached"
            hint = f"look at the network, and at {_ENDPOINTS[self._scheme][-1]} if it is set"
        elif "redential" in text or "token" in text.lower() or "account" in text.lower():
            message = f"{shown}: there are no credentials for it"
            hint = f"they come from {_CREDENTIALS[self._scheme]}"
        else:
            message = f"{shown} cannot be read: the connection broke off"
            hint = "nothing was used of it: run again"
        return SourceError(message, hint=hint, location=self._at)

    def _no_bucket(self) -> SourceError:
        kind = _KINDS[self._scheme]
        return SourceError(
            f"there is no {kind} {self._name!r}",
            hint="look at its name, and at the account and region that the credentials are for",
            location=self._at,
        )


def _amazon(at: Location | None) -> dict[str, Any]:
    """The credentials as everything else from Amazon finds them: environment, profile, role."""
    endpoint = endpoint_of("s3")
    found: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in ("1", "true", "yes"):
        return {**found, "skip_signature": True}
    try:
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise _not_installed("s3", "boto3", at) from None
    try:
        return {**found, "credential_provider": Boto3CredentialProvider()}
    except BotoCoreError as error:
        message = f"the credentials for s3:// cannot be had ({type(error).__name__})"
        hint = "look at AWS_PROFILE and ~/.aws/config; `aws sts get-caller-identity` tries them"
    except ValueError:
        message = "there are no credentials for s3://"
        hint = f"they come from {_CREDENTIALS['s3']}; AWS_SKIP_SIGNATURE=true for public buckets"
    raise SourceError(message, hint=hint, location=at)


def lent_keys(at: Location | None) -> dict[str, str]:
    """The keys of Amazon's as AWS_… options, for libraries that know no profile.

    None where they can be had again from the machine itself, which such a library asks too: keys
    that are lent out are not renewed.
    """
    if (provider := _amazon(at).get("credential_provider")) is None:
        return {}
    if provider.credentials.method in _OF_THE_MACHINE:
        return {}
    keys = provider()
    found = {
        "AWS_ACCESS_KEY_ID": keys["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
        "AWS_SESSION_TOKEN": keys["token"],
        "AWS_REGION": provider.config.get("region"),
    }
    return {name: value for name, value in found.items() if value}


def endpoint_of(scheme: str) -> str | None:
    """Another address than the provider's own, as the standard variables give it."""
    given = (os.environ.get(name) for name in _ENDPOINTS[scheme])
    return next(filter(None, given), None)


def is_loopback(scheme: str, at: Location | None) -> bool:
    """Whether the store is on this machine, where alone it may be asked without encryption.

    Raises SourceError if its address asks for that elsewhere.
    """
    endpoint = endpoint_of(scheme) or ""
    if not endpoint.lower().startswith("http://"):
        # Its own address for an emulator is on this machine.
        return scheme == "az" and bool(os.environ.get("AZURE_STORAGE_USE_EMULATOR"))
    if not _LOOPBACK.match(endpoint):
        raise SourceError(
            f"{_ENDPOINTS[scheme][-1]} is http://, and profiles would cross a network in the clear",
            hint="use https://; http:// is for a store on this machine",
            location=at,
        )
    return True


def _not_installed(scheme: str, package: str, at: Location | None) -> SourceError:
    return SourceError(
        f"{scheme}:// needs the package {package}, which is not installed",
        hint=f"pip install 'exportkit[{_EXTRAS[scheme]}]'",
        location=at,
    )
