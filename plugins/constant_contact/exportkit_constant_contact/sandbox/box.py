"""The sandbox as Python sees it: started, asked, changed from outside, stopped."""

from __future__ import annotations

import math
import secrets
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from .account import PRIVILEGES
from .activities import IMPORTS
from .choices import Choices
from .clock import SystemClock
from .contact_shapes import INCLUDES
from .limits import PER_DAY, PER_SECOND, Limits
from .oauth import OAuth
from .routes import API, SIGN_IN
from .scenario import Scenario
from .scenario_file import rule_of
from .server import Recorded, Server
from .service import Service
from .state import State
from .store import Store
from .tokens import FULL_SCOPE, Grant, Rotation, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from types import TracebackType

    from .clock import Clock
    from .exchange import Request

STARTER_LIST = "Newsletter"
CLIENT_ID = "sandbox"
DAY_SECONDS = 86_400.0
_HOST = "127.0.0.1"


class Sandbox:
    """A local server that behaves like the service; it listens inside `with`, or after `start`.

    `state` is a file that remembers everything; `scenario` makes it misbehave; `rates` turns the
    limits of calls on; `speed` is how many times faster than the service activities are worked
    off, at once by default; `asks` is whether the sign-in waits for a click or says yes by itself.
    """

    def __init__(
        self,
        *,
        scenario: Scenario | None = None,
        clock: Clock | None = None,
        rates: bool = True,
        seed: int | None = None,
        speed: float = math.inf,
        choices: Choices | None = None,
        state: Path | None = None,
        rotation: Rotation = "rotating",
        token_life: float = DAY_SECONDS,
        port: int = 0,
        per_second: int = PER_SECOND,
        per_day: int = PER_DAY,
        privileges: Iterable[str] = PRIVILEGES,
        asks: bool = True,
        device_interval: int = 5,
        keep_bodies: bool = False,
        on_request: Callable[[Recorded], None] | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.choices = choices or Choices()
        self.scenario = scenario or Scenario()
        self.requests: list[Recorded] = []
        self._keep_bodies = keep_bodies
        self._on_request = on_request
        self._stopping = threading.Event()
        self._store = Store(state, seed=seed)
        self._state = State(
            self._store, self.clock, self.choices, speed=speed, privileges=privileges
        )
        self.limits = Limits(
            self.clock, self.choices, enforced=rates, per_second=per_second, per_day=per_day
        )
        self._tokens = Tokens(self._store, self.clock, life=token_life, rotation=rotation)
        self.client_id, self.client_secret = client = self._application()
        self._oauth = OAuth(
            self._tokens, self.limits, self.choices, client, asks=asks, interval=device_interval
        )
        self._server = self._listening(port)
        self.url = f"http://{_HOST}:{self._server.server_port}"
        self.api_url = f"{self.url}{API}"
        self.auth_url = self._oauth.url = f"{self.url}{SIGN_IN}"

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self) -> None:
        """Hang up on everybody, and let go of the state."""
        self._stopping.set()
        self._server.stop()
        self._store.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops. A defect of the sandbox that some call met is raised here, if nothing else is."""
        self.stop()
        if error is None and self._server.defects:
            raise self._server.defects[0]

    def token(self, scope: str = FULL_SCOPE) -> str:
        """A fresh refresh token, good with the secret and without."""
        with self._store.lock:
            return self._tokens.new_refresh_token(Grant(scope, "any"))

    def access_token(self, scope: str = FULL_SCOPE) -> str:
        """A fresh access token, for calls without a sign-in."""
        with self._store.lock:
            return str(self._tokens.answer(Grant(scope, "any"), None)["access_token"])

    def expire_tokens(self) -> None:
        """Every access token is too old from now on."""
        with self._store.lock:
            self._tokens.expire()

    def revoke_tokens(self) -> None:
        """Every token is dead from now on, as after a change of the password."""
        with self._store.lock:
            self._tokens.revoke()

    def misbehave(
        self,
        method: str | None = None,
        path: str = "*",
        call: int | str | Sequence[int | str] | None = None,
        **effects: Any,
    ) -> None:
        """One more rule, in the words of a scenario file. Raises `ScenarioError`."""
        when: dict[str, Any] = {"path": path}
        if method is not None:
            when["method"] = method
        if call is not None:
            when["call"] = call if isinstance(call, int | str) else list(call)
        self.scenario.add(rule_of(when, effects))

    def add_list(self, name: str, description: str | None = None) -> str:
        """A new list; its id. The id of the one that is there, if one has this name."""
        with self._store.lock:
            n = self._state.lists.named(name) or self._state.lists.add(name, description)
            return self._store.ids.of("list", n)

    def delete_list(self, list_id: str) -> None:
        """The list is gone, as if somebody had deleted it elsewhere."""
        with self._store.lock:
            n = self._state.lists.number(list_id)
            self._state.lists.delete([] if n is None else [n])

    def add_field(self, label: str, type_: str = "string") -> str:
        """A new custom field; the name that imports use, without `cf:`."""
        with self._store.lock:
            return str(self._state.fields.shown(self._state.fields.add(label, type_))["name"])

    def add_contact(
        self,
        email: str | None,
        *,
        lists: Iterable[str] = (),
        permission: str = "implicit",
        **core: Any,
    ) -> str:
        """A new contact; its id. `core` are `first_name` and the like."""
        with self._store.lock:
            n = self._state.contacts.changes.insert(email, permission, "Account", core, {})
            self._state.contacts.members.choose([n])
            numbers = [self._state.lists.number(each) for each in lists]
            self._state.contacts.members.add([each for each in numbers if each is not None])
            return self._store.ids.of("contact", n)

    def unsubscribe(self, email: str) -> None:
        """This person opts out. Raises `KeyError` for a stranger."""
        with self._store.lock:
            self._state.activities.catch_up()
            n = self._state.contacts.by_address(email)
            if n is None:
                raise KeyError("the sandbox has no contact with this address")
            self._state.contacts.changes.permit(n, "unsubscribed", "Contact")

    def contact(self, email: str) -> dict[str, Any] | None:
        """A contact as the service shows it with everything included; None for a stranger."""
        with self._store.lock:
            self._state.activities.catch_up()
            n = self._state.contacts.by_address(email)
            return None if n is None else self._state.contacts.show(n, INCLUDES)

    def contacts(self, list_id: str | None = None) -> list[dict[str, Any]]:
        """The members of a list, or everybody, as the service shows them, the oldest first."""
        with self._store.lock:
            self._state.activities.catch_up()
            n = None if list_id is None else self._store.ids.number("list", list_id)
            return self._state.contacts.every(n, INCLUDES)

    def count(self, list_id: str) -> int:
        """The members of a list."""
        with self._store.lock:
            self._state.activities.catch_up()
            return self._state.lists.count(self._store.ids.number("list", list_id) or 0)

    def activities(self) -> list[dict[str, Any]]:
        """All activities, the oldest first, as the service shows them, with their `kind`."""
        with self._store.lock:
            self._state.activities.catch_up()
            return self._state.activities.every()

    @property
    def import_count(self) -> int:
        """How many imports were taken."""
        paths = {f"{API}/activities/{kind}" for kind in IMPORTS}
        return sum(each.path in paths and each.status == 201 for each in [*self.requests])

    def _listening(self, port: int) -> Server:
        service = Service(self._state, self._oauth, self.limits, self.scenario, self._wait)
        try:
            return Server(_HOST, port, service, self._record)
        except OSError:
            self._store.close()
            raise

    def _application(self) -> tuple[str, str]:
        # The id is no secret, and the same each time, so that it can stand in a file.
        for name, value in (("client_id", CLIENT_ID), ("client_secret", secrets.token_urlsafe(16))):
            if not self._store.remembered(name):
                self._store.remember(name, value)
        return self._store.remembered("client_id"), self._store.remembered("client_secret")

    def _record(self, recorded: Recorded, request: Request) -> None:
        kept = replace(recorded, body=request.body) if self._keep_bodies else recorded
        self.requests.append(kept)
        if self._on_request:
            self._on_request(recorded)

    def _wait(self, seconds: float) -> None:
        if seconds:
            self._stopping.wait(seconds)
