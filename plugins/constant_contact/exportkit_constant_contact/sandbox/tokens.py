"""Tokens that were given out, and what becomes of them."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .clock import DAY

if TYPE_CHECKING:
    from .clock import Clock
    from .store import Store

Rotation = Literal["rotating", "long-lived", "silent"]
"""`silent` is long-lived with no refresh token in the answer, as one user saw it."""

UNUSED_DAYS = 180
SCOPES = ("contact_data", "campaign_data", "account_read", "account_update", "offline_access")
FULL_SCOPE = "contact_data account_read offline_access"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a refresh token or code stands for. `caller` is secret, public or any."""

    scope: str
    caller: str


class Tokens:
    """The tokens of the account. Whoever calls holds the store's lock."""

    def __init__(self, store: Store, clock: Clock, *, life: float, rotation: Rotation) -> None:
        self._db = store.db
        self.clock = clock
        self.life = life
        self.rotation = rotation

    def new_refresh_token(self, grant: Grant) -> str:
        """A refresh token."""
        token = secrets.token_urlsafe(31)
        self._keep(token, "refresh", grant, UNUSED_DAYS * DAY)
        return token

    def answer(self, grant: Grant, refresh_token: str | None) -> dict[str, object]:
        """The body of a token answer, with a new access token."""
        token = _jwt(self.clock.now(), self.life)
        self._keep(token, "access", grant, self.life)
        body: dict[str, object] = {
            "token_type": "Bearer",
            "expires_in": int(self.life),
            "access_token": token,
            "scope": grant.scope,
        }
        return body | ({"refresh_token": refresh_token} if refresh_token else {})

    def refresh(self, token: str) -> Grant | None:
        """What a refresh token stands for; a rotating one is dead then. None: it was before."""
        now = self.clock.now()
        found = self._db.execute(
            "SELECT scope, caller FROM tokens WHERE token = ? AND kind = 'refresh'"
            " AND expires_at > ?",
            (token, now),
        ).fetchone()
        if not found:
            return None
        if self.rotation == "rotating":
            self._db.execute("DELETE FROM tokens WHERE token = ?", (token,))
        else:
            later = now + UNUSED_DAYS * DAY
            self._db.execute("UPDATE tokens SET expires_at = ? WHERE token = ?", (later, token))
        return Grant(*found)

    def successor(self, token: str, grant: Grant) -> str | None:
        """The refresh token that goes back with a refreshed access token."""
        if self.rotation == "rotating":
            return self.new_refresh_token(grant)
        return token if self.rotation == "long-lived" else None

    def scope(self, access_token: str) -> str | None:
        """The scope of an access token that is alive; None for any other."""
        found = self._db.execute(
            "SELECT scope FROM tokens WHERE token = ? AND kind = 'access' AND expires_at > ?",
            (access_token, self.clock.now()),
        ).fetchone()
        return str(found[0]) if found else None

    def expire(self) -> None:
        """No access token is good any more; the refresh tokens are."""
        self._db.execute("DELETE FROM tokens WHERE kind = 'access'")

    def revoke(self) -> None:
        """No token at all is good any more: somebody has to sign in."""
        self._db.execute("DELETE FROM tokens")

    def _keep(self, token: str, kind: str, grant: Grant, life: float) -> None:
        now = self.clock.now()
        self._db.execute("DELETE FROM tokens WHERE expires_at <= ?", (now,))
        self._db.execute(
            "INSERT INTO tokens VALUES (?, ?, ?, ?, ?)",
            (token, kind, grant.scope, grant.caller, now + life),
        )


def _jwt(now: float, life: float) -> str:
    """Looks like one, about 1,000 characters long; nobody can or has to verify it."""
    head = {"alg": "none", "typ": "JWT", "kid": "sandbox"}
    claims = {"sub": "owner@sandbox.example", "iat": int(now), "exp": int(now + life)}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in (head, claims)]
    return (
        b".".join(part.rstrip(b"=") for part in parts).decode() + "." + secrets.token_urlsafe(600)
    )
