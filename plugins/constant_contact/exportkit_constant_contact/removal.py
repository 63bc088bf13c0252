"""Taking people out: their contact ids are found in few calls, then removed 500 at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exportkit import Delivery

from .imports import new_receipt
from .session import LOOKS_LIKE_A_PAGE, address_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exportkit import Batch, Target

    from .session import Session

MOST_REMOVED = 500
"""Contact ids that one call takes. [documented]"""


@dataclass
class Members:
    """Who is in a list, by address, as far as anybody asked.

    One address costs one call, all of them a call a page. Who asks for few looks them up; once
    the look-ups would have cost more than the pages, the pages are read.
    """

    session: Session
    list_id: str
    members: int
    asked: int = 0
    everybody: dict[str, str] | None = field(default=None, repr=False)

    def ids(self, addresses: Sequence[str]) -> dict[str, str]:
        """The contact id of each of these that is in the list."""
        self.asked += len(addresses)
        if self.everybody is None and self.asked > -(-self.members // LOOKS_LIKE_A_PAGE):
            self.everybody = dict(self._pages())
        if self.everybody is None:
            return dict(found for address in addresses for found in self._look_up(address))
        return {each: self.everybody[each] for each in addresses if each in self.everybody}

    def _pages(self) -> Iterator[tuple[str, str]]:
        query = {"lists": self.list_id, "status": "all", "limit": LOOKS_LIKE_A_PAGE}
        for page in self.session.client.pages("/contacts", "contacts", query):
            for contact in page:
                if address := address_of(contact):
                    yield address, str(contact["contact_id"])

    def _look_up(self, address: str) -> Iterator[tuple[str, str]]:
        query = {"email": address, "lists": self.list_id, "status": "all"}
        for page in self.session.client.pages("/contacts", "contacts", query):
            for contact in page:
                if address_of(contact) == address:
                    yield address, str(contact["contact_id"])


def members_of(session: Session, target: Target) -> Members:
    """The one index of this list in this session."""
    list_id = str(target.catalogue.details["list_id"])
    if list_id not in session.members:
        session.members[list_id] = Members(session, list_id, target.catalogue.members or 0)
    members: Members = session.members[list_id]
    return members


def remove(session: Session, batch: Batch, target: Target) -> Delivery:
    """Take these people out of the list, or delete them, as the job says.

    Somebody who is not in the list any more needs nothing.
    """
    found = members_of(session, target).ids(batch.keys.to_pylist())
    if not found:
        return Delivery()
    ids = list(found.values())
    body: dict[str, Any]
    if target.options["removal"] == "contact":
        path, body = "/activities/contact_delete", {"contact_ids": ids}
    else:
        path = "/activities/remove_list_memberships"
        list_ids = [target.catalogue.details["list_id"]]
        body = {"source": {"contact_ids": ids}, "list_ids": list_ids}
    return Delivery(new_receipt("removal", session.client.post(path, body), len(ids)))
