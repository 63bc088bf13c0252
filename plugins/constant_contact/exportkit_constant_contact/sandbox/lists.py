"""Contact lists: named, counted, soft-deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .clock import stamp
from .exchange import Answer, Request, answer, conflict, invalid, not_found
from .paging import flag_of, one_of, page_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .state import State

MOST_LISTS = 1_000
LISTS_A_PAGE = 1_000
"""The prose of the documents says 500, their schema 1,000; clients send 1,000 and get it."""

_COLUMNS = "n, name, description, favorite, created_at, updated_at, deleted_at"
_KNOWN = ("include_count", "include_membership_count", "name", "status", "channel_type")


class Lists:
    """The lists of the account and their routes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._db = state.store.db

    def add(self, name: str, description: str | None = None, *, favorite: bool = False) -> int:
        """A new list; its number. Raises `RefusedError` for a taken name, or one too many."""
        self._check_name(name, None)
        alive = self._db.execute("SELECT count(*) FROM lists WHERE deleted_at IS NULL")
        if alive.fetchone()[0] >= MOST_LISTS:
            raise invalid(f"An account cannot have more than {MOST_LISTS} lists")
        now = int(self._state.clock.now())
        row = self._db.execute(
            "INSERT INTO lists (name, description, favorite, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (name, description, favorite, now, now),
        )
        assert row.lastrowid
        return row.lastrowid

    def delete(self, numbers: Iterable[int]) -> None:
        """Soft: the list keeps its id, its members leave it and stay in the account."""
        now = int(self._state.clock.now())
        for n in numbers:
            self._db.execute("DELETE FROM memberships WHERE list = ?", (n,))
            self._db.execute(
                "UPDATE lists SET deleted_at = ? WHERE n = ? AND deleted_at IS NULL", (now, n)
            )

    def numbers(self, ids: Any, *, most: int, name: str = "list_ids") -> list[int]:
        """The numbers of these ids. Raises `RefusedError` for none, too many, or unknown ones."""
        if not isinstance(ids, list) or not ids or len(ids) > most:
            raise invalid(f"{name} must have between 1 and {most} items")
        found = [self.number(str(each)) for each in ids]
        known = [n for n in found if n is not None]
        if len(known) < len(found) and self._state.choices.unknown_list == "refuse":
            raise invalid(f"{name} has a list that does not exist")
        return known

    def number(self, list_id: str) -> int | None:
        """The number of a list that is there and not deleted."""
        n = self._state.store.ids.number("list", list_id)
        there = self._db.execute(
            "SELECT 1 FROM lists WHERE n = ? AND deleted_at IS NULL", (n,)
        ).fetchone()
        return n if there else None

    def named(self, name: str) -> int | None:
        """The number of the list with this name."""
        found = self._db.execute(
            "SELECT n FROM lists WHERE name = ? AND deleted_at IS NULL", (name,)
        ).fetchone()
        return int(found[0]) if found else None

    def read(self, request: Request) -> Answer:
        """`GET /contact_lists`."""
        page = page_of(request, most=LISTS_A_PAGE, known=_KNOWN)
        status = one_of(page.query, "status", ("active", "deleted", "all"), "active")
        counted = one_of(page.query, "include_membership_count", ("all", "active"), "")
        one_of(page.query, "channel_type", ("email", "sms"), "email")
        there = {"active": "deleted_at IS NULL", "deleted": "deleted_at IS NOT NULL", "all": "1"}
        where, values = there[status], []
        if page.query.get("name"):
            where, values = f"{where} AND name = ?", [page.query["name"]]
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM lists WHERE {where} AND n > ? ORDER BY n LIMIT ?",  # noqa: S608
            (*values, page.after, page.limit + 1),
        ).fetchall()
        shown = rows[: page.limit]
        body: dict[str, Any] = {"lists": [self._shown(row, counted) for row in shown]}
        if flag_of(page.query, "include_count"):
            total = self._db.execute(f"SELECT count(*) FROM lists WHERE {where}", values)  # noqa: S608
            body["lists_count"] = total.fetchone()[0]
        after = shown[-1][0] if len(rows) > page.limit else None
        return answer(200, body | page.links("/contact_lists", after, self._state.choices))

    def read_one(self, request: Request, list_id: str) -> Answer:
        """`GET /contact_lists/{list_id}`; a deleted one tells when it was."""
        counted = one_of(request.query, "include_membership_count", ("all", "active"), "")
        n = self._state.store.ids.number("list", list_id)
        return answer(200, self._shown(self._row(n), counted))

    def create(self, request: Request) -> Answer:
        """`POST /contact_lists`."""
        body = request.json_object()
        n = self.add(
            body.get("name", ""), body.get("description"), favorite=bool(body.get("favorite"))
        )
        return answer(201, self._shown(self._row(n), ""))

    def replace(self, request: Request, list_id: str) -> Answer:
        """`PUT /contact_lists/{list_id}`."""
        body = request.json_object()
        n = self._existing(list_id)
        self._check_name(body.get("name"), n)
        now = int(self._state.clock.now())
        self._db.execute(
            "UPDATE lists SET name = ?, description = ?, favorite = ?, updated_at = ? WHERE n = ?",
            (body["name"], body.get("description"), bool(body.get("favorite")), now, n),
        )
        return answer(200, self._shown(self._row(n), ""))

    def remove(self, _request: Request, list_id: str) -> Answer:
        """`DELETE /contact_lists/{list_id}`: an activity."""
        n = self._existing(list_id)
        activity = self._state.activities.begin("list_delete", {"lists": [n]}, {})
        shown = self._state.activities.begun(activity)
        del shown["status"]  # this one answer has none
        return answer(202, shown, Location=shown["_links"]["self"]["href"])

    def _existing(self, list_id: str) -> int:
        n = self.number(list_id)
        if n is None:
            raise not_found("List not found")
        return n

    def _check_name(self, name: object, own: int | None) -> None:
        if not isinstance(name, str) or not name.strip() or len(name) > 255:
            raise invalid("name must have between 1 and 255 characters")
        if self.named(name) not in (None, own):
            raise conflict("A list with this name already exists")

    def _row(self, n: int | None) -> tuple[Any, ...]:
        found = self._db.execute(f"SELECT {_COLUMNS} FROM lists WHERE n = ?", (n,)).fetchone()  # noqa: S608
        if not found:
            raise not_found("List not found")
        row: tuple[Any, ...] = found
        return row

    def _shown(self, row: tuple[Any, ...], counted: str) -> dict[str, Any]:
        n, name, description, favorite, created, updated, deleted = row
        shown = {
            "list_id": self._state.store.ids.of("list", n),
            "name": name,
            **({"description": description} if description else {}),
            "favorite": bool(favorite),
            "created_at": stamp(created),
            "updated_at": stamp(updated),
        }
        if deleted is not None:
            shown["deleted_at"] = stamp(deleted)
        if counted:
            shown["membership_count"] = self.count(n, active=counted == "active")
        return shown

    def count(self, n: int, *, active: bool = False) -> int:
        """The members of a list; only those that may be mailed if `active`."""
        question = "SELECT count(*) FROM memberships WHERE list = ?"
        if active:
            question = (
                "SELECT count(*) FROM memberships JOIN contacts ON n = contact"
                " WHERE list = ? AND permission IN ('implicit', 'explicit')"
            )
        return int(self._db.execute(question, (n,)).fetchone()[0])
