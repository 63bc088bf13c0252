"""Contacts: looked up, paged, counted. Who changes them is in `contact_changes` and `members`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .clock import moment
from .contact_changes import Changes
from .contact_shapes import COLUMNS, INCLUDES, shown
from .exchange import Answer, Request, answer, invalid, not_found
from .members import Members
from .paging import Page, flag_of, page_of, several_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .state import State

CONTACTS_A_PAGE = 500
STATUSES = (
    "all",
    "active",
    "deleted",
    "not_set",
    "pending_confirmation",
    "temp_hold",
    "unsubscribed",
)
_MOMENTS = {
    "updated_after": "updated_at > ?",
    "updated_before": "updated_at < ?",
    "created_after": "created_at > ?",
    "created_before": "created_at < ?",
    "optout_after": "opt_out_at > ?",
    "optout_before": "opt_out_at < ?",
}
_KNOWN = ("status", "email", "lists", "include", "include_count", *_MOMENTS)
_SELECT = ", ".join(COLUMNS)


class Contacts:
    """The contacts of the account and their routes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._db = state.store.db
        self.changes = Changes(state)
        self.members = Members(state)

    def read(self, request: Request) -> Answer:
        """`GET /contacts`, with every filter but segments, tags and text messages."""
        page = page_of(request, most=CONTACTS_A_PAGE, known=_KNOWN)
        include = several_of(page.query, "include", INCLUDES)
        where, values = self._filters(page)
        table, order = "contacts", "n"
        if lists := [each for each in page.query.get("lists", "").split(",") if each]:
            if len(lists) > 25:
                raise invalid("lists has more than 25 items")
            table, order, condition = self._of_lists(lists, in_order="email" not in page.query)
            where.append(condition)
        filters = " AND ".join(where) or "1"
        rows = self._db.execute(
            f"SELECT {_SELECT} FROM {table} WHERE {filters} AND {order} > ?"  # noqa: S608
            f" ORDER BY {order} LIMIT ?",
            (*values, page.after, page.limit + 1),
        ).fetchall()
        seen = rows[: page.limit]
        body: dict[str, Any] = {"contacts": self._shown(seen, include)}
        if flag_of(page.query, "include_count"):
            total = self._db.execute(f"SELECT count(*) FROM {table} WHERE {filters}", values)  # noqa: S608
            body["contacts_count"] = total.fetchone()[0]
        after = seen[-1][0] if len(rows) > page.limit else None
        return answer(200, body | page.links("/contacts", after, self._state.choices))

    def read_one(self, request: Request, contact_id: str) -> Answer:
        """`GET /contacts/{contact_id}`, a deleted one too."""
        include = several_of(request.query, "include", INCLUDES)
        return answer(200, self.show(self.number(contact_id), include))

    def create(self, request: Request) -> Answer:
        """`POST /contacts`."""
        return answer(201, self.show(self.changes.create(request.json_object()), INCLUDES))

    def replace(self, request: Request, contact_id: str) -> Answer:
        """`PUT /contacts/{contact_id}`."""
        n = self.number(contact_id)
        self.changes.replace(n, request.json_object())
        return answer(200, self.show(n, INCLUDES))

    def remove(self, _request: Request, contact_id: str) -> Answer:
        """`DELETE /contacts/{contact_id}`."""
        self.members.choose([self.number(contact_id)])
        self.members.delete()
        return Answer(204, content_type="")

    def sign_up(self, request: Request) -> Answer:
        """`POST /contacts/sign_up_form`."""
        n, is_new = self.changes.sign_up(request.json_object())
        contact_id = self._state.store.ids.of("contact", n)
        action = "created" if is_new else "updated"
        return answer(201 if is_new else 200, {"contact_id": contact_id, "action": action})

    def counts(self, _request: Request) -> Answer:
        """`GET /contacts/counts`."""
        question = (
            "SELECT permission, count(*) FROM contacts WHERE deleted_at IS NULL GROUP BY permission"
        )
        found = dict(self._db.execute(question).fetchall())
        body = {name: found.get(name, 0) for name in ("explicit", "implicit", "unsubscribed")}
        body["pending"] = found.get("pending_confirmation", 0)
        return answer(200, {"total": sum(found.values()), **body})

    def number(self, contact_id: str) -> int:
        """The number of a contact. Raises `RefusedError` (404)."""
        n = self._state.store.ids.number("contact", contact_id)
        if n is None or not self._db.execute("SELECT 1 FROM contacts WHERE n = ?", (n,)).fetchone():
            raise not_found("contact_id is in an invalid format, or does not exist")
        return n

    def by_address(self, address: str) -> int | None:
        """The number of the contact with this address."""
        found = self._db.execute("SELECT n FROM contacts WHERE key = ?", (address.lower(),))
        row = found.fetchone()
        return int(row[0]) if row else None

    def show(self, n: int, include: Collection[str]) -> dict[str, Any]:
        """One contact as the service shows it."""
        question = f"SELECT {_SELECT} FROM contacts WHERE n = ?"  # noqa: S608
        return self._shown(self._db.execute(question, (n,)).fetchall(), include)[0]

    def every(self, list_number: int | None, include: Collection[str]) -> list[dict[str, Any]]:
        """Everybody of a list, or of the account, deleted people too."""
        if list_number is None:
            rows = self._db.execute(f"SELECT {_SELECT} FROM contacts ORDER BY n")  # noqa: S608
        else:
            rows = self._db.execute(
                f"SELECT {_SELECT} FROM memberships JOIN contacts ON n = contact"  # noqa: S608
                " WHERE list = ? ORDER BY contact",
                (list_number,),
            )
        return self._shown(rows.fetchall(), include)

    def _shown(
        self, rows: Iterable[tuple[Any, ...]], include: Collection[str]
    ) -> list[dict[str, Any]]:
        fields = set(self._state.fields.by_name().values()) if include else set()
        ids = self._state.store.ids
        wants_lists = "list_memberships" in include
        return [
            shown(row, include, self._lists_of(row[0]) if wants_lists else (), fields, ids)
            for row in rows
        ]

    def _lists_of(self, n: int) -> list[int]:
        found = self._db.execute("SELECT list FROM memberships WHERE contact = ?", (n,))
        return [each[0] for each in found]

    def _filters(self, page: Page) -> tuple[list[str], list[Any]]:
        where: list[str] = []
        values: list[Any] = []
        statuses = several_of(page.query, "status", STATUSES)
        if not statuses:
            where.append("deleted_at IS NULL")
        elif "all" not in statuses:
            where.append("(" + " OR ".join(_status(each) for each in statuses) + ")")
        if "email" in page.query:
            where.append("key = ?")
            values.append(page.query["email"].lower())
        for name, condition in _MOMENTS.items():
            if name in page.query:
                where.append(condition)
                try:
                    values.append(moment(page.query[name]))
                except ValueError:
                    raise invalid(f"{name} does not have a valid value") from None
        return where, values

    def _of_lists(self, ids: Collection[str], *, in_order: bool) -> tuple[str, str, str]:
        found = [self._state.store.ids.number("list", each) for each in ids]
        known = [n for n in found if n is not None]
        if len(known) == 1 and in_order:  # in the order of the index, however far the pages are
            joined = "memberships CROSS JOIN contacts ON n = contact"
            return joined, "contact", f"list = {known[0]}"
        numbers = ", ".join(map(str, known))
        inside = f"EXISTS (SELECT 1 FROM memberships WHERE contact = n AND list IN ({numbers}))"  # noqa: S608
        return "contacts", "n", inside


def _status(name: str) -> str:
    if name == "deleted":
        return "deleted_at IS NOT NULL"
    if name == "active":
        return "(deleted_at IS NULL AND permission IN ('implicit', 'explicit'))"
    return f"(deleted_at IS NULL AND permission = '{name}')"
