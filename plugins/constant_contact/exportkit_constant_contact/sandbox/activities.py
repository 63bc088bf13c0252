"""Activities: what the service does later, its states, its counters, its memory of ten days."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .bulk import Bulk
from .clock import DAY, stamp
from .exchange import Answer, RefusedError, Request, answer, not_found
from .imports import Imports
from .paging import one_of, page_of

if TYPE_CHECKING:
    from .state import State

KEPT_DAYS = 10
MOST_QUEUED = 1_000
ACTIVITIES_A_PAGE = 500
ENDS = ("completed", "cancelled", "failed", "timed_out")
IMPORTS = ("contacts_json_import", "contacts_file_import")

QUEUE_SECONDS = 5.0
WORK_SECONDS = 25.0
ROWS_A_SECOND = 2_000
"""How long the service takes, roughly: half a minute for a few rows, a minute for 40,000."""

_COLUMNS = "n, kind, file_name, created_at, started_at, completed_at, fate, worked, status, errors"
_STATE = (
    "CASE WHEN :now < started_at THEN 'initialized'"
    " WHEN completed_at IS NULL OR :now < completed_at THEN 'processing' ELSE fate END"
)


@dataclass(frozen=True, slots=True)
class Fate:
    """How an activity ends: `state` is one of `ENDS`, or `stuck`.

    `applied` is the share of its work that it does, `line_errors` are lines (2 is the first row)
    that an import refuses, with the reason, `errors` whatever else it says.
    """

    state: str = "completed"
    applied: float = 1.0
    line_errors: tuple[tuple[int, str], ...] = ()
    errors: tuple[str, ...] = ()


class Activities:
    """The activities of the account and the routes that read them."""

    def __init__(self, state: State, speed: float) -> None:
        self._state = state
        self._db = state.store.db
        self._speed = speed
        self._fates: dict[int, Fate] = {}
        self.imports = Imports(state)
        self.bulk = Bulk(state)
        self.wanted = Fate()
        """The fate of the activity that the call being answered begins."""

    def begin(
        self,
        kind: str,
        task: dict[str, Any],
        status: dict[str, int],
        *,
        payload: bytes | None = None,
        file_name: str | None = None,
        rows: int = 0,
    ) -> int:
        """A new activity; its number. Raises `RefusedError` (429) if too many wait already."""
        now, fate = self._state.clock.now(), self.wanted
        waiting = self._db.execute(
            "SELECT count(*) FROM activities WHERE completed_at IS NULL OR completed_at > ?", (now,)
        )
        if waiting.fetchone()[0] >= MOST_QUEUED:
            message = f"There are more than {MOST_QUEUED} activities in the queue"
            raise RefusedError(429, "contacts.api.too_many_activities", message)
        started = now + self._seconds(QUEUE_SECONDS)
        worked = started + self._seconds(WORK_SECONDS + rows / ROWS_A_SECOND)
        zeros = _zeros(kind) | status
        row = self._db.execute(
            "INSERT INTO activities (kind, file_name, created_at, started_at, completed_at, fate,"
            " task, payload, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                kind,
                file_name,
                now,
                started,
                None if fate.state == "stuck" else worked,
                fate.state,
                json.dumps({**task, "fate": _kept(fate)}),
                payload,
                json.dumps(zeros),
            ),
        )
        assert row.lastrowid
        return row.lastrowid

    def catch_up(self) -> None:
        """Work off whatever is due, and forget what is older than ten days."""
        now = self._state.clock.now()
        due = self._db.execute(
            "SELECT n, kind, task, payload FROM activities WHERE NOT worked AND completed_at <= ?"
            " ORDER BY completed_at, n",
            (now,),
        ).fetchall()
        for n, kind, task, payload in due:
            self._work(n, kind, json.loads(task), payload)
        self._db.execute("DELETE FROM activities WHERE created_at < ?", (now - KEPT_DAYS * DAY,))

    def read(self, request: Request) -> Answer:
        """`GET /activities`, the newest first."""
        page = page_of(request, most=ACTIVITIES_A_PAGE, known=("state",))
        wanted = one_of(page.query, "state", ("processing", *ENDS), "")
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM activities WHERE (:wanted = '' OR {_STATE} = :wanted)"  # noqa: S608
            " AND (:after = 0 OR n < :after) ORDER BY n DESC LIMIT :most",
            {
                "now": self._state.clock.now(),
                "wanted": wanted,
                "after": page.after,
                "most": page.limit + 1,
            },
        ).fetchall()
        seen = rows[: page.limit]
        after = seen[-1][0] if len(rows) > page.limit else None
        body = {"activities": [self._shown(row) for row in seen]}
        return answer(200, body | page.links("/activities", after, self._state.choices))

    def read_one(self, _request: Request, activity_id: str) -> Answer:
        """`GET /activities/{activity_id}`."""
        n = self._state.store.ids.number("activity", activity_id)
        return answer(200, self.shown(n))

    def read_export(self, _request: Request, export_id: str) -> Answer:
        """`GET /contact_exports/{file_export_id}`: CSV."""
        n = self._state.store.ids.number("activity", export_id)
        found = self._db.execute(
            "SELECT result FROM activities WHERE n = ? AND fate = 'completed'", (n,)
        ).fetchone()
        if not found or found[0] is None:
            raise not_found("Export not found")
        return Answer(200, bytes(found[0]), "text/csv")

    def shown(self, n: int | None) -> dict[str, Any]:
        """An activity as the service shows it. Raises `RefusedError` (404)."""
        found = self._db.execute(f"SELECT {_COLUMNS} FROM activities WHERE n = ?", (n,)).fetchone()  # noqa: S608
        if not found:
            raise not_found("Activity not found")
        return self._shown(found)

    def every(self) -> list[dict[str, Any]]:
        """All that are remembered, the oldest first, with their `kind`."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM activities ORDER BY n")  # noqa: S608
        return [{"kind": row[1], **self._shown(row)} for row in rows.fetchall()]

    def begun(self, n: int) -> dict[str, Any]:
        """An activity as it was when it began: no state but `initialized`, however quick it is."""
        found = self._db.execute(f"SELECT {_COLUMNS} FROM activities WHERE n = ?", (n,)).fetchone()  # noqa: S608
        return self._shown(found, found[3])

    def _shown(self, row: tuple[Any, ...], now: float | None = None) -> dict[str, Any]:
        n, kind, file_name, created, started, completed, fate, worked, status, errors = row
        now = self._state.clock.now() if now is None else now
        activity_id = self._state.store.ids.of("activity", n)
        links = {"self": {"href": f"/v3/activities/{activity_id}"}}
        shown = {"activity_id": activity_id, "state": "initialized", "percent_done": 1}
        shown |= {"created_at": stamp(created), "updated_at": stamp(created)}
        if file_name:
            shown["source_file_name"] = file_name
        if now >= started and now > created:
            share = 0.5 if completed is None else (now - started) / max(completed - started, 0.001)
            shown |= {"state": "processing", "percent_done": max(1, min(99, int(100 * share)))}
            shown |= {"started_at": stamp(started), "updated_at": stamp(started)}
        if worked:
            shown |= {"state": fate, "completed_at": stamp(completed)}
            shown |= {"updated_at": stamp(completed)}
            if fate == "completed":
                shown["percent_done"] = 100
                if kind == "contact_exports":
                    links["results"] = {"href": f"/v3/contact_exports/{activity_id}"}
        return shown | {
            "activity_errors": json.loads(errors),
            "status": json.loads(status),
            "_links": links,
        }

    def _work(self, n: int, kind: str, task: dict[str, Any], payload: bytes | None) -> None:
        fate = _fate(task["fate"])
        result: bytes | None = None
        errors: list[str] = list(fate.errors)
        status = _zeros(kind)
        if kind in IMPORTS and self._is_lost(task):
            fate = Fate("failed")
        elif kind in IMPORTS:
            status, errors = self.imports.work(kind, task, payload or b"", fate)
        elif fate.applied:
            status, result = self.bulk.work(kind, task)
        self._db.execute(
            "UPDATE activities SET worked = 1, payload = NULL, fate = ?, status = ?, errors = ?,"
            " result = ? WHERE n = ?",
            (fate.state, json.dumps(status), json.dumps(errors), result, n),
        )

    def _is_lost(self, task: dict[str, Any]) -> bool:
        if self._state.choices.list_gone != "failed":
            return False
        numbers = ", ".join(map(str, task["lists"]))
        question = f"SELECT 1 FROM lists WHERE n IN ({numbers}) AND deleted_at IS NULL"  # noqa: S608
        return bool(task["lists"]) and not self._db.execute(question).fetchone()

    def _seconds(self, seconds: float) -> float:
        return 0.0 if math.isinf(self._speed) else seconds / self._speed


def _zeros(kind: str) -> dict[str, int]:
    if kind in IMPORTS:
        names = [
            "items_total_count",
            "person_count",
            "error_count",
            "correctable_count",
            "cannot_add_to_list_count",
        ]
    elif kind == "list_delete":
        names = ["list_count"]
    elif kind == "contact_exports":
        names = ["items_total_count", "items_completed_count"]
    else:
        names = ["items_total_count", "items_completed_count", "list_count"]
    return dict.fromkeys(names, 0)


def _kept(fate: Fate) -> list[Any]:
    return [fate.state, fate.applied, fate.line_errors, fate.errors]


def _fate(kept: list[Any]) -> Fate:
    state, applied, lines, errors = kept
    return Fate(state, applied, tuple((int(at), why) for at, why in lines), tuple(errors))
