"""The sign-in: authorization codes with PKCE or a secret, devices, refreshing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from .exchange import Answer, Request, answer
from .pages import page_asking, page_refusing, page_saying
from .tokens import SCOPES, Grant, Tokens

if TYPE_CHECKING:
    from .choices import Choices
    from .limits import Limits

CODE_LIFE = 300
DEVICE_CODE_LIFE = 600
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class _Code:
    grant: Grant
    redirect: str
    challenge: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Device:
    scope: str
    user_code: str
    expires_at: float
    asked_at: float = 0.0
    decision: str = ""


class OAuth:
    """The routes of the authorization server. Whoever calls holds the store's lock."""

    def __init__(
        self,
        tokens: Tokens,
        limits: Limits,
        choices: Choices,
        client: tuple[str, str],
        *,
        asks: bool = True,
        interval: int = 5,
    ) -> None:
        self.tokens = tokens
        self.client_id, self._client_secret = client
        self.url = ""
        """Where the authorization server is; known once the sandbox listens."""
        self._clock = tokens.clock
        self._limits = limits
        self._choices = choices
        self._asks = asks
        self._interval = interval
        self._codes: dict[str, _Code] = {}
        self._devices: dict[str, _Device] = {}

    def authorize(self, request: Request) -> Answer:
        """`GET /authorize`: a page with a button; pressed, back to the application with a code."""
        query, redirect = request.query, request.query.get("redirect_uri", "")
        if query.get("client_id") != self.client_id:
            return page_refusing("Unknown or invalid client_id")
        if not self._is_known(redirect):
            return page_refusing("The redirect_uri does not match the application's")
        if problem := _problem_of(query):
            return _back(redirect, query, {"error": problem[0], "error_description": problem[1]})
        decision = query.get("decision", "" if self._asks else "allow")
        if decision == "refuse":
            refused = {"error": "access_denied", "error_description": "The user said no."}
            return _back(redirect, query, refused)
        if decision != "allow":
            return page_asking(request, query["scope"])
        code, challenge = secrets.token_urlsafe(24), query.get("code_challenge", "")
        grant = Grant(query["scope"], "public" if challenge else "secret")
        self._codes[code] = _Code(grant, redirect, challenge, self._clock.now() + CODE_LIFE)
        return _back(redirect, query, {"code": code})

    def authorize_device(self, request: Request) -> Answer:
        """`POST /device/authorize`."""
        form = _form(request)
        if form.get("client_id") != self.client_id:
            return _error(401, "invalid_client", "Unknown or invalid client_id")
        if not _is_scope(form.get("scope", "")):
            return _error(400, "invalid_scope", "One or more scopes are not configured.")
        device_code = secrets.token_urlsafe(24)
        letters = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(8))
        self._devices[device_code] = _Device(
            form["scope"], letters, self._clock.now() + DEVICE_CODE_LIFE
        )
        verify = f"{self.url}/activate"
        return answer(
            200,
            {
                "device_code": device_code,
                "user_code": letters,
                "verification_uri": verify,
                "verification_uri_complete": f"{verify}?user_code={letters}",
                "expires_in": DEVICE_CODE_LIFE,
                "interval": self._interval,
            },
        )

    def activate(self, request: Request) -> Answer:
        """`GET /activate`: the page on which somebody lets the device in."""
        user_code = request.query.get("user_code", "").replace("-", "").upper()
        for device_code, device in self._devices.items():
            if device.user_code == user_code and self._clock.now() < device.expires_at:
                decision = request.query.get("decision", "" if self._asks else "allow")
                if decision not in ("allow", "refuse"):
                    return page_asking(request, device.scope)
                self._devices[device_code] = replace(device, decision=decision)
                return page_saying("The device was told. This page can be closed.")
        return page_refusing("This code is unknown, or too old")

    def token(self, request: Request) -> Answer:
        """`POST /token`: for a code, a refresh token, or a device. Raises `RefusedError` (429)."""
        self._limits.take_token_call()
        form = _form(request)
        caller = self._caller(request, form)
        if caller is None:
            # Which of the two shapes the service uses is unknown: the server that it seems to be
            # answers with these words.
            summary = "The client credentials are not valid."
            return answer(401, {"errorCode": "invalid_client", "errorSummary": summary})
        grants = {
            "authorization_code": self._for_code,
            "refresh_token": self._for_refresh_token,
            DEVICE_GRANT: self._for_device,
        }
        give = grants.get(form.get("grant_type", ""))
        if give is None:
            return _error(400, "unsupported_grant_type", "The grant type is not supported.")
        return give(form, caller)

    def _for_code(self, form: dict[str, str], caller: str) -> Answer:
        code = self._codes.pop(form.get("code", ""), None)
        if (
            code is None
            or self._clock.now() >= code.expires_at
            or form.get("redirect_uri") != code.redirect
        ):
            return _error(400, "invalid_grant", "The authorization code is invalid or has expired.")
        if code.challenge and _challenge(form.get("code_verifier", "")) != code.challenge:
            return _error(400, "invalid_grant", "PKCE verification failed.")
        if not code.challenge and caller != "secret":
            return _error(401, "invalid_client", "Client authentication failed.")
        return self._given(replace(code.grant, caller=caller))

    def _for_refresh_token(self, form: dict[str, str], caller: str) -> Answer:
        token = form.get("refresh_token", "")
        grant = self.tokens.refresh(token)
        if grant is None or grant.caller not in ("any", caller):
            return _error(400, "invalid_grant", "The refresh token is invalid or expired.")
        return answer(200, self.tokens.answer(grant, self.tokens.successor(token, grant)))

    def _for_device(self, form: dict[str, str], caller: str) -> Answer:
        code, now = form.get("device_code", ""), self._clock.now()
        device = self._devices.get(code)
        if device is None:
            return _error(400, "invalid_grant", "The device code is invalid.")
        if now >= device.expires_at:
            return _error(400, "expired_token", "The device code has expired.")
        self._devices[code] = replace(device, asked_at=now)
        if device.decision == "refuse":
            return _error(400, "access_denied", "The user said no.")
        if device.decision == "allow":
            del self._devices[code]
            return self._given(Grant(device.scope, caller))
        if now - device.asked_at < self._interval:
            return _error(400, "slow_down", "The device asks too often.")
        return _error(400, "authorization_pending", "Nobody has answered yet.")

    def _given(self, grant: Grant) -> Answer:
        wants = "offline_access" in grant.scope.split()
        refresh_token = self.tokens.new_refresh_token(grant) if wants else None
        return answer(200, self.tokens.answer(grant, refresh_token))

    def _caller(self, request: Request, form: dict[str, str]) -> str | None:
        """Who calls: somebody with the secret, somebody who only names the application, nobody."""
        kind, _, encoded = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(encoded).decode().partition(":")
            except ValueError:
                return None
        else:
            name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if name != self.client_id:
            return None
        if not secret:
            return "public"
        return "secret" if hmac.compare_digest(secret, self._client_secret) else None

    def _is_known(self, redirect: str) -> bool:
        if self._choices.redirects:
            return redirect in self._choices.redirects
        parts = urlsplit(redirect)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _problem_of(query: dict[str, str]) -> tuple[str, str] | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type", "The response type is not supported."
    if not _is_scope(query.get("scope", "")):
        return "invalid_scope", "One or more scopes are not configured."
    if not query.get("state"):
        return "invalid_request", "The state is missing."
    if "code_challenge" in query and query.get("code_challenge_method") != "S256":
        return "invalid_request", "The code_challenge_method must be S256."
    return None


def _is_scope(scope: str) -> bool:
    return bool(scope.split()) and all(each in SCOPES for each in scope.split())


def _back(redirect: str, query: dict[str, str], said: dict[str, str]) -> Answer:
    said |= {"state": query["state"]} if query.get("state") else {}
    mark = "&" if urlsplit(redirect).query else "?"
    return Answer(302, headers={"Location": f"{redirect}{mark}{urlencode(said)}"})


def _form(request: Request) -> dict[str, str]:
    """The fields of a form; some clients send them in the query instead."""
    return request.query | dict(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True))


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _error(status: int, error: str, description: str) -> Answer:
    body: dict[str, Any] = {"error": error, "error_description": description}
    return answer(status, body)
