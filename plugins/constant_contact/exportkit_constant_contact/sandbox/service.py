"""From a request to an answer: the scenario, the gates in the service's order, then a route."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exchange import Answer, RefusedError, Request
from .faults import bad_answer, spoiled
from .routes import Found, api_routes, sign_in_routes
from .scenario import NOTHING, Effects

if TYPE_CHECKING:
    from collections.abc import Callable

    from .limits import Limits
    from .oauth import OAuth
    from .scenario import Scenario
    from .state import State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the connection has to do: send `answer` (half of it?), or be cut where there is none."""

    route: str
    answer: Answer | None
    half: bool = False
    effects: Effects = NOTHING


class Service:
    """Answers requests, one at a time. `wait` lets the seconds of a delay pass."""

    def __init__(
        self,
        state: State,
        oauth: OAuth,
        limits: Limits,
        scenario: Scenario,
        wait: Callable[[float], object],
    ) -> None:
        self.api = api_routes(state)
        self.sign_in = sign_in_routes(oauth)
        self.scenario = scenario
        self._state = state
        self._oauth = oauth
        self._limits = limits
        self._wait = wait

    def handle(self, request: Request) -> Outcome:
        """The answer to a request, good or as the scenario has it."""
        path, found, is_api = self._find(request.path)
        route = (
            f"{self.api.prefix if is_api else self.sign_in.prefix}{found.pattern}" if found else ""
        )
        effects = self.scenario.effects_on(request.method, path)
        self._turn(effects)
        self._wait(effects.delay)
        if effects.reset == "before":
            return Outcome(route, None, effects=effects)
        if effects.status is not None and not effects.processed:
            sent = bad_answer(effects)
        else:
            sent = self._process(request, found, effects, is_api=is_api)
            sent = bad_answer(effects) if effects.status is not None else spoiled(sent, effects)
        sent.headers.setdefault("x-eig-tracking-id", secrets.token_hex(16))
        self._wait(effects.delay_after)
        if effects.reset == "after":
            return Outcome(route, None, effects=effects)
        return Outcome(route, sent, half=effects.body == "half", effects=effects)

    def _find(self, path: str) -> tuple[str, Found | None, bool]:
        for table in (self.sign_in, self.api):
            if path.startswith(f"{table.prefix}/"):
                rest = path.removeprefix(table.prefix)
                return rest, table.find(rest), table is self.api
        return path, None, True

    def _turn(self, effects: Effects) -> None:
        """What the scenario does to the account before the call is looked at."""
        state = self._state
        with state.store.lock:
            if effects.expire_tokens:
                self._oauth.tokens.expire()
            if effects.revoke_tokens:
                self._oauth.tokens.revoke()
            if effects.spend_quota:
                self._limits.spend_day()
            for address in effects.unsubscribe:
                if n := state.contacts.by_address(address):
                    state.contacts.changes.permit(n, "unsubscribed", "Contact")
            named = [state.lists.named(e) or state.lists.number(e) for e in effects.delete_list]
            state.lists.delete([n for n in named if n])

    def _process(
        self, request: Request, found: Found | None, effects: Effects, *, is_api: bool
    ) -> Answer:
        """Every call is one transaction: a refusal leaves nothing behind."""
        db = self._state.store.db
        with self._state.store.lock:
            for work in (
                self._state.activities.catch_up,
                lambda: self._routed(request, found, effects, is_api=is_api),
            ):
                db.execute("BEGIN")
                try:
                    done = work()
                except RefusedError as refusal:
                    db.execute("ROLLBACK")
                    return refusal.answer()
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
        assert done is not None
        return done

    def _routed(
        self, request: Request, found: Found | None, effects: Effects, *, is_api: bool
    ) -> Answer:
        if is_api:
            scope = self._bearer(request)
            self._limits.take()
        if found is None:
            # The gateway answers so for whatever it has no route for.
            raise RefusedError(403, "access_denied", "Forbidden", gateway=True)
        route = found.routes.get(request.method)
        if route is None:
            raise RefusedError(405, "contacts.api.method_not_allowed", "Method not allowed")
        if is_api:
            self._check_rights(scope, route.scope, route.privilege)
        self._state.activities.wanted = effects.fate
        return route.handler(request, *found.ids)

    def _bearer(self, request: Request) -> str:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        scope = self._oauth.tokens.scope(token) if kind.lower() == "bearer" else None
        if scope is None:
            headers = {
                "WWW-Authenticate": "Bearer realm=api.cc.email",
                "x-amzn-ErrorType": "UnauthorizedException",
            }
            raise RefusedError(401, "unauthorized", "Unauthorized", gateway=True, headers=headers)
        return scope

    def _check_rights(self, granted: str, scope: str, privilege: str) -> None:
        lacks_scope = scope and scope not in granted.split()
        if lacks_scope or (privilege and privilege not in self._state.privileges):
            message = "Request forbidden due to insufficient user privileges."
            raise RefusedError(403, "access_denied", message, gateway=True)
