"""Activities on many contacts: memberships added and removed, people deleted, people exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .exchange import Answer, Request, answer, invalid

if TYPE_CHECKING:
    from .state import State

MOST_CONTACTS = 500
MOST_LISTS = 50
MOST_LISTS_DELETED = 100
EXPORTED = ("active", "unsubscribed", "removed")


class Bulk:
    """The routes that begin such an activity, and the work that they leave to do."""

    def __init__(self, state: State) -> None:
        self._state = state

    def take_added(self, request: Request) -> Answer:
        """`POST /activities/add_list_memberships`."""
        return self._take_memberships("add_list_memberships", request)

    def take_removed(self, request: Request) -> Answer:
        """`POST /activities/remove_list_memberships`."""
        return self._take_memberships("remove_list_memberships", request)

    def take_deleted(self, request: Request) -> Answer:
        """`POST /activities/contact_delete`."""
        return self._begin("contact_delete", {"source": self._source(request.json_object())})

    def take_lists_deleted(self, request: Request) -> Answer:
        """`POST /activities/list_delete`."""
        ids = request.json_object().get("list_ids")
        numbers = self._state.lists.numbers(ids, most=MOST_LISTS_DELETED)
        return self._begin("list_delete", {"lists": numbers})

    def take_export(self, request: Request) -> Answer:
        """`POST /activities/contact_exports`."""
        body = request.json_object()
        status = body.get("status")
        if status is not None and status not in EXPORTED:
            raise invalid("status does not have a valid value")
        named = any(name in body for name in ("contact_ids", "list_ids"))
        source = self._source(body) if named else {"everybody": True}
        task = {"source": source, "fields": body.get("fields", []), "status": status}
        return self._begin("contact_exports", task)

    def work(self, kind: str, task: dict[str, Any]) -> tuple[dict[str, int], bytes | None]:
        """Do what an activity has to; its counters, and the file of an export."""
        lists, members = task.get("lists", []), self._state.contacts.members
        if kind == "list_delete":
            self._state.lists.delete(lists)
            return {"list_count": len(lists)}, None
        total = members.choose_from(task["source"])
        if kind == "contact_exports":
            content, count = members.export(task["fields"], task["status"])
            return {"items_total_count": count, "items_completed_count": count}, content
        if kind == "add_list_memberships":
            members.add(lists)
        elif kind == "remove_list_memberships":
            members.remove(lists)
        else:
            members.delete()
        counters = {"items_total_count": total, "items_completed_count": total}
        return counters | {"list_count": len(lists)}, None

    def _take_memberships(self, kind: str, request: Request) -> Answer:
        body = request.json_object()
        source = body.get("source")
        if not isinstance(source, dict):
            raise invalid("source is missing")
        lists = self._state.lists.numbers(body.get("list_ids"), most=MOST_LISTS)
        exclude = (body.get("exclude") or {}).get("contact_ids", [])
        task = {"source": self._source(source) | self._excluded(exclude), "lists": lists}
        return self._begin(kind, task)

    def _source(self, body: dict[str, Any]) -> dict[str, Any]:
        """What a body names, in numbers. Raises `RefusedError` for none, or two."""
        given = [
            name for name in ("contact_ids", "list_ids", "all_active_contacts") if body.get(name)
        ]
        if len(given) != 1:
            raise invalid("exactly one of contact_ids, list_ids or all_active_contacts is needed")
        if given == ["contact_ids"]:
            ids = body["contact_ids"]
            if not isinstance(ids, list) or len(ids) > MOST_CONTACTS:
                raise invalid(f"contact_ids has more than {MOST_CONTACTS} items")
            return {"contacts": self._numbers(ids)}
        if given == ["list_ids"]:
            return {"lists": self._state.lists.numbers(body["list_ids"], most=MOST_LISTS)}
        return {"all_active": True}

    def _excluded(self, ids: list[str]) -> dict[str, Any]:
        return {"exclude": self._numbers(ids)} if ids else {}

    def _numbers(self, ids: list[str]) -> list[int]:
        """The numbers of contacts; ids that are none are passed over, as nobody says otherwise."""
        found = (self._state.store.ids.number("contact", str(each)) for each in ids)
        return [n for n in found if n is not None]

    def _begin(self, kind: str, task: dict[str, Any]) -> Answer:
        n = self._state.activities.begin(kind, task, {})
        return answer(201, self._state.activities.begun(n))
