"""The authorization server: one call each for tokens and for a device's code.

The messages are Authlib's; sending them and sorting the answers is done here, because a lost answer
to a renewal is another matter than a refused one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from exportkit import DestinationError

from .replies import error_keys, first_of, parsed
from .wire import LostError, Wire

if TYPE_CHECKING:
    from .wire import Reply

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPES = ("contact_data", "account_read", "offline_access")
TIMEOUT = (10.0, 30.0)
"""Shorter than for the API: other processes wait while a token is renewed."""
LIFETIME = 3600.0
"""Seconds that a token is taken to last if the server does not say how long."""

_WORD = re.compile(r"[\x21-\x7e]{1,10000}")


class RefusedError(Exception):
    """The server says no; `code` is its reason: `invalid_grant`. Nothing was changed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TooOftenError(Exception):
    """Asked more often than once a second, or by too many; nothing was changed."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__()
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Granted:
    """What the server gave. `lifetime` is in seconds. `repr` shows no token."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    lifetime: float
    scope: str


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person types on another device, and how often, and for how long, to ask about it."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    address: str
    whole_address: str | None = field(repr=False)
    lifetime: float
    interval: float


class Provider:
    """The authorization server at `auth_url`, for one application.

    Each call raises NotSentError, LostError (also for answers that cannot be understood, and for
    5xx), TooOftenError, RefusedError, or DestinationError.
    """

    def __init__(
        self,
        auth_url: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._wire = Wire(auth_url, option="auth_url", timeout=timeout)
        self.client_id = client_id
        self.client_secret = client_secret or None

    def page(self, redirect_uri: str, state: str, verifier: str) -> str:
        """The address where a person signs in.

        Without a secret, the challenge to `verifier` is part of it (PKCE).
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        challenge = {}
        if not self.client_secret:
            challenge = {
                "code_challenge": create_s256_code_challenge(verifier),
                "code_challenge_method": "S256",
            }
        return str(
            prepare_grant_uri(
                f"{self._wire.base}/authorize",
                self.client_id,
                "code",
                redirect_uri=redirect_uri,
                scope=" ".join(SCOPES),
                state=state,
                **challenge,
            )
        )

    def redeem(self, code: str, redirect_uri: str, verifier: str) -> Granted:
        """Tokens for the code that a sign-in gave."""
        fields = {"code": code, "redirect_uri": redirect_uri}
        if not self.client_secret:
            fields["code_verifier"] = verifier
        return self._granted("authorization_code", fields)

    def renew(self, refresh_token: str) -> Granted:
        """New tokens; the old refresh token may be worth nothing from the moment this is sent."""
        return self._granted("refresh_token", {"refresh_token": refresh_token})

    def device(self) -> DeviceCode:
        """A code for a sign-in on another device."""
        fields = {"client_id": self.client_id, "scope": " ".join(SCOPES)}
        answer = self._ask("/device/authorize", fields, basic=None)
        whole = _word(answer, "verification_uri_complete")
        device_code, user_code = _word(answer, "device_code"), _word(answer, "user_code")
        address = _word(answer, "verification_uri")
        if not (device_code and user_code and address):
            raise LostError("gave no code for another device")
        return DeviceCode(
            device_code,
            user_code,
            address,
            whole,
            lifetime=_seconds(answer, "expires_in", 600.0),
            interval=max(1.0, _seconds(answer, "interval", 5.0)),
        )

    def ask_device(self, device_code: str) -> Granted:
        """Tokens, once the person has signed in. Raises RefusedError with the state until then."""
        return self._granted(DEVICE_GRANT, {"device_code": device_code}, public=True)

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def _granted(self, grant_type: str, fields: dict[str, str], *, public: bool = False) -> Granted:
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        basic = None
        if self.client_secret and not public:
            basic = (self.client_id, self.client_secret)
        else:
            fields = {**fields, "client_id": self.client_id}
        body = dict(parse_qsl(prepare_token_request(grant_type, **fields)))
        answer = self._ask("/token", body, basic)
        access_token = _word(answer, "access_token")
        if access_token is None:
            raise LostError("gave an answer without a token")
        return Granted(
            access_token,
            _word(answer, "refresh_token"),
            _seconds(answer, "expires_in", LIFETIME),
            first_of(answer, "scope"),
        )

    def _ask(
        self, path: str, fields: dict[str, str], basic: tuple[str, str] | None
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        reply = self._wire.send("POST", path, basic=basic, data=fields, headers=headers)
        if reply.status == 429:
            raise TooOftenError(reply.retry_after)
        if reply.status >= 500 or reply.status == 408:
            raise LostError(f"answered {reply.status}")
        if 300 <= reply.status < 400:
            raise DestinationError(
                f"the sign-in service redirects ({reply.status}), which is not followed",
                hint="check auth_url: secrets go to no other address than that",
            )
        if reply.status >= 400:
            raise RefusedError(_code(reply))
        answer = parsed(reply)
        if not isinstance(answer, dict):
            raise LostError("gave an answer that cannot be understood")
        return answer


def is_word(text: str) -> bool:
    """Whether the text can be sent as a token."""
    return _WORD.fullmatch(text) is not None


def _code(reply: Reply) -> str:
    """The reason of a refusal, without any text of the service's own making."""
    return next(
        (key for key in error_keys(reply) if re.fullmatch("[a-z_]{1,40}", key)),
        f"status {reply.status}",
    )


def _word(answer: dict[str, Any], name: str) -> str | None:
    value = answer.get(name)
    return value if isinstance(value, str) and is_word(value) else None


def _seconds(answer: dict[str, Any], name: str, otherwise: float) -> float:
    """A number of seconds, which some answers have as text."""
    try:
        seconds = float(answer.get(name, otherwise))
    except (TypeError, ValueError):
        return otherwise
    return seconds if math.isfinite(seconds) and seconds > 0 else otherwise
