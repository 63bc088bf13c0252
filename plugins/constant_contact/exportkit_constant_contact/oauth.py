"""Access tokens: kept between runs, renewed ahead of time by one process for all.

A refresh token of the usual kind is worth nothing once it was used. So whoever renews holds the
credentials, shows first that they can be written, and uses no token before it is on the disk.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from exportkit import AccessDeniedError, DestinationError, ThrottledError, UnavailableError

from .provider import TIMEOUT, Provider, RefusedError, TooOftenError, is_word
from .wire import LostError, NotSentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exportkit import Credentials

    from .provider import Granted

AHEAD = 3600.0
"""Seconds before its end at which a token is renewed, or a tenth of its life if that is shorter."""
TRIES = 4
LOST_TRIES = 2
"""After this many lost answers it is left to the next run: others wait for the credentials."""
PAUSE = 1.1
"""The token endpoint takes one call a second."""
GRACE = 60.0
"""Seconds to leave between attempts to renew a token that is still good."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a sign-in. Times are seconds of the epoch; `repr` shows no token.

    `renewing` stands for a renewal whose answer was not kept yet. `first_token_fingerprint` tells
    from which first token of the connection file these come, so that another one replaces them.
    """

    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float = 0.0
    renew_at: float = 0.0
    scope: str = ""
    first_token_fingerprint: str = ""
    renewing: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Kept:
        """The same from what was read; what is of the wrong type counts as not there."""
        whole = asdict(cls())
        right = {name: values[name] for name in whole if _alike(values.get(name), whole[name])}
        return cls(**right)

    def after(self, granted: Granted, now: float) -> Kept:
        """With new tokens, asked for at `now`. Without a new refresh token the old one stays."""
        return replace(
            self,
            access_token=granted.access_token,
            refresh_token=granted.refresh_token or self.refresh_token,
            expires_at=now + granted.lifetime,
            renew_at=now + granted.lifetime - min(AHEAD, granted.lifetime / 10),
            scope=granted.scope or self.scope,
            renewing=False,
        )

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


class Tokens:
    """The access tokens of one connection. All methods raise what the store of credentials raises.

    `first_token` is a refresh token out of the connection file; it replaces whatever is kept that
    comes from another one. Raises JobError for an `auth_url` that may not be called.
    """

    def __init__(
        self,
        auth_url: str,
        client_id: str,
        client_secret: str | None,
        credentials: Credentials,
        first_token: str | None,
        connection_name: str,
        *,
        timeout: tuple[float, float] = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = Provider(auth_url, client_id, client_secret, timeout=timeout)
        self._credentials = credentials
        self._first_token = (first_token or "").strip()
        self.name = connection_name
        self._sleep, self._clock = sleep, clock
        self._kept = Kept()
        self._not_before = 0.0

    @property
    def command(self) -> str:
        """What to type to sign in again."""
        return f"exportkit connection authorize {self.name}"

    def access(self) -> str:
        """A token to call with, renewed if it will soon have run out.

        Raises AccessDeniedError where somebody has to sign in, UnavailableError or ThrottledError
        where a renewal is not to be had now and the last token has run out.
        """
        if not self._is_due(self._kept):
            return self._kept.access_token
        try:
            self._kept = self._current()
        except (UnavailableError, ThrottledError):
            if not self._is_good(self._kept):
                raise
            self._not_before = self._clock() + GRACE
        return self._kept.access_token

    def refresh(self, rejected: str) -> str:
        """A token to call with, after the service did not accept `rejected`.

        It is renewed once, by whoever comes first. Raises as `access`.
        """
        self._kept = self._current(rejected)
        return self._kept.access_token

    def close(self) -> None:
        """Close the connections."""
        self._provider.close()

    def _current(self, rejected: str | None = None) -> Kept:
        kept = self._read()
        if kept.access_token == rejected or self._is_due(kept):
            with self._credentials.held():
                kept = self._read()  # somebody else may have renewed it while we waited
                if kept.access_token == rejected or self._is_due(kept):
                    self._kept = Kept() if kept.access_token == rejected else kept
                    kept = self._renewed(kept, rejected)
        return kept

    def _read(self) -> Kept:
        kept = Kept.of(self._credentials.read())
        fingerprint = fingerprint_of(self._first_token)
        if self._first_token and kept.first_token_fingerprint != fingerprint:
            return Kept(refresh_token=self._first_token, first_token_fingerprint=fingerprint)
        return kept

    def _is_good(self, kept: Kept) -> bool:
        return is_word(kept.access_token) and self._clock() < kept.expires_at

    def _is_due(self, kept: Kept) -> bool:
        now = self._clock()
        return not self._is_good(kept) or (now >= kept.renew_at and now >= self._not_before)

    def _renewed(self, kept: Kept, rejected: str | None) -> Kept:
        """Renew what is kept, while it is held."""
        if not is_word(kept.refresh_token):
            if self._is_good(kept) and kept.access_token != rejected:
                return kept
            raise self._nobody_signed_in(kept)
        # If this cannot be written neither could the answer, and the old token is still good.
        self._credentials.replace(replace(kept, renewing=True).values())
        renewed = self._renew(kept)
        self._credentials.replace(renewed.values())
        return renewed

    def _renew(self, kept: Kept) -> Kept:
        failure: DestinationError | None = None
        lost, uncertain = 0, kept.renewing
        for attempt in range(TRIES):
            if attempt:
                self._sleep(PAUSE)
            asked_at = self._clock()
            try:
                return kept.after(self._provider.renew(kept.refresh_token), asked_at)
            except RefusedError as error:
                failure = self._refused(error.code, uncertain=uncertain)
                break
            except TooOftenError as error:
                failure = ThrottledError(
                    "the sign-in service is asked too often", retry_after=error.retry_after
                )
            except NotSentError as error:
                failure = UnavailableError(f"the sign-in service: {error}")
            except LostError as error:
                # A long-lived token still works, and so does one whose call was never processed.
                failure = UnavailableError(f"the sign-in service {error}")
                lost, uncertain = lost + 1, True
                if lost == LOST_TRIES:
                    break
        if not uncertain:
            self._credentials.replace(kept.values())
        raise failure or UnavailableError("the sign-in service cannot be reached")

    def _refused(self, code: str, *, uncertain: bool) -> AccessDeniedError:
        if code == "invalid_grant":
            why = (
                "the answer to a renewal was lost, and with it the only token that is still good"
                if uncertain
                else "it was used elsewhere, was revoked, or was not used for 180 days"
            )
            hint = f"nothing else is lost; sign in again: {self.command}"
            if self._first_token:
                hint += ", or put a new refresh_token into the connection's file"
            return AccessDeniedError(
                f"the sign-in of '{self.name}' is not accepted any more: {why}", hint=hint
            )
        return application_refused(code, self.name)

    def _nobody_signed_in(self, kept: Kept) -> AccessDeniedError:
        ended = "has run out and cannot be renewed" if kept.access_token else "is missing"
        return AccessDeniedError(
            f"the sign-in of '{self.name}' {ended}", hint=f"sign in: {self.command}"
        )


def _alike(value: Any, default: Any) -> bool:
    """Whether the value has the type that it should have; whole seconds are fine."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, type(default)) or (isinstance(default, float) and whole)


def application_refused(code: str, name: str) -> AccessDeniedError:
    """The error for a server that does not accept the application, or what it asks for."""
    return AccessDeniedError(
        f"the sign-in service does not accept the application of '{name}' ({code})",
        hint="check client_id and client_secret in the connection's file, and the application's "
        f"settings at the service; then: exportkit connection authorize {name}",
    )


def fingerprint_of(first_token: str) -> str:
    """What is kept of a first token, to see when it was changed; '' of none."""
    return hashlib.sha256(first_token.encode()).hexdigest() if first_token else ""
