"""Everything behind the routes, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .account import PRIVILEGES, Account
from .activities import Activities
from .contacts import Contacts
from .fields import CustomFields
from .lists import Lists

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .choices import Choices
    from .clock import Clock
    from .store import Store


class State:
    """One account of the service. Whoever uses a part of it holds `store.lock`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        choices: Choices,
        *,
        speed: float,
        privileges: Iterable[str] = PRIVILEGES,
    ) -> None:
        self.store = store
        self.clock = clock
        self.choices = choices
        self.privileges = frozenset(privileges)
        self.account = Account(self)
        self.lists = Lists(self)
        self.fields = CustomFields(self)
        self.contacts = Contacts(self)
        self.activities = Activities(self, speed)
