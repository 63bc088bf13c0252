"""Custom fields of the account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .clock import stamp
from .exchange import Answer, Request, answer, conflict, invalid, not_found
from .paging import page_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .state import State

MOST_FIELDS = 100
TYPES = (
    "string",
    "date",
    "datetime",
    "single_select",
    "multi_select",
    "currency",
    "text_area",
    "number",
    "boolean",
)
_COLUMNS = "n, label, name, type, extra, created_at, updated_at"


class CustomFields:
    """The custom fields and their routes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._db = state.store.db

    def add(
        self, label: object, type_: object = "string", extra: dict[str, Any] | None = None
    ) -> int:
        """A new field; its number. Raises `RefusedError` for a label that is taken or cannot be."""
        if not isinstance(label, str) or not label.strip() or len(label) > 50:
            raise invalid("label must have between 1 and 50 characters")
        if type_ not in TYPES:
            raise invalid("type does not have a valid value")
        self._check_label(label, None)
        if self._db.execute("SELECT count(*) FROM custom_fields").fetchone()[0] >= MOST_FIELDS:
            raise invalid(f"An account cannot have more than {MOST_FIELDS} custom fields")
        now = int(self._state.clock.now())
        row = self._db.execute(
            "INSERT INTO custom_fields (label, name, type, extra, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (label, self._name(label), type_, json.dumps(extra or {}), now, now),
        )
        assert row.lastrowid
        return row.lastrowid

    def by_name(self) -> dict[str, int]:
        """The number of each field, by the name that imports use."""
        return dict(self._db.execute("SELECT name, n FROM custom_fields").fetchall())

    def delete(self, numbers: Iterable[int]) -> None:
        """The fields go; what contacts had in them is not shown any more."""
        self._db.executemany("DELETE FROM custom_fields WHERE n = ?", [(n,) for n in numbers])

    def number(self, field_id: str) -> int:
        """The number of a field that is there. Raises `RefusedError` (404)."""
        n = self._state.store.ids.number("custom_field", field_id)
        if not self._db.execute("SELECT 1 FROM custom_fields WHERE n = ?", (n,)).fetchone():
            raise not_found("Custom field not found")
        assert n is not None
        return n

    def read(self, request: Request) -> Answer:
        """`GET /contact_custom_fields`."""
        page = page_of(request, most=100, known=())
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM custom_fields WHERE n > ? ORDER BY n LIMIT ?",  # noqa: S608
            (page.after, page.limit + 1),
        ).fetchall()
        shown = rows[: page.limit]
        after = shown[-1][0] if len(rows) > page.limit else None
        links = page.links("/contact_custom_fields", after, self._state.choices)
        return answer(200, {"custom_fields": [self._shown(row) for row in shown], **links})

    def read_one(self, _request: Request, field_id: str) -> Answer:
        """`GET /contact_custom_fields/{custom_field_id}`."""
        return answer(200, self.shown(self.number(field_id)))

    def create(self, request: Request) -> Answer:
        """`POST /contact_custom_fields`; the name is the service's doing."""
        body = request.json_object()
        extra: dict[str, Any] = {
            name: body[name] for name in ("metadata", "version") if name in body
        }
        if "choices" in body:
            extra["choices"] = [
                {**choice, "choice_id": at} for at, choice in enumerate(body["choices"], start=1)
            ]
        return answer(201, self.shown(self.add(body.get("label"), body.get("type"), extra)))

    def replace(self, request: Request, field_id: str) -> Answer:
        """`PUT /contact_custom_fields/{custom_field_id}`: the label; the name stays."""
        n, body = self.number(field_id), request.json_object()
        label = body.get("label")
        if not isinstance(label, str) or not 1 <= len(label) <= 50:
            raise invalid("label must have between 1 and 50 characters")
        self._check_label(label, n)
        now = int(self._state.clock.now())
        self._db.execute(
            "UPDATE custom_fields SET label = ?, updated_at = ? WHERE n = ?", (label, now, n)
        )
        return answer(200, self.shown(n))

    def remove(self, _request: Request, field_id: str) -> Answer:
        """`DELETE /contact_custom_fields/{custom_field_id}`."""
        self.delete([self.number(field_id)])
        return Answer(204, content_type="")

    def shown(self, n: int) -> dict[str, Any]:
        """The field as the service shows it."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM custom_fields WHERE n = ?", (n,))  # noqa: S608
        return self._shown(row.fetchone())

    def _shown(self, row: tuple[Any, ...]) -> dict[str, Any]:
        n, label, name, type_, extra, created, updated = row
        return {
            "custom_field_id": self._state.store.ids.of("custom_field", n),
            "label": label,
            "name": name,
            "type": type_,
            **json.loads(extra),
            "created_at": stamp(created),
            "updated_at": stamp(updated),
        }

    def _check_label(self, label: str, own: int | None) -> None:
        taken = self._db.execute(
            "SELECT n FROM custom_fields WHERE lower(label) = lower(?)", (label,)
        ).fetchone()
        if taken and taken[0] != own:
            raise conflict("A custom field with this label already exists")

    def _name(self, label: str) -> str:
        name = "_".join(label.split())
        if self._state.choices.field_name == "lower":
            name = name.lower()
        there = self.by_name()
        tries = [name, *(f"{name[:47]}_{at}" for at in range(2, MOST_FIELDS + 2))]
        return next(each for each in tries if each not in there)
