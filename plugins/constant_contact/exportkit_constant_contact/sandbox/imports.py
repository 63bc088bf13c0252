"""Imports: taken as they come, worked off when their time has come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .contact_shapes import CORE
from .exchange import Answer, RefusedError, Request, answer, invalid
from .import_checks import Verdict, check, known_columns
from .import_rows import MOST_ROWS, Rows, read_csv, read_json, rows_within
from .multipart import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .activities import Fate
    from .state import State

MOST_LISTS = 50
_PHONES = {"phone": "other", "other_phone": "other"} | {
    f"{kind}_phone": kind for kind in ("home", "work", "mobile")
}
_PARTS = ("street", "street2", "city", "state", "zip", "country")
_ADDRESSES = (
    {part: ("home", part) for part in _PARTS}
    | {f"{kind}_{part}": (kind, part) for kind in ("home", "work", "other") for part in _PARTS}
    | {"home country": ("home", "country")}
)
_MOST_PHONES = 3


class Imports:
    """The two routes that import, and the work that they leave to do."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._db = state.store.db

    def take_json(self, request: Request) -> Answer:
        """`POST /activities/contacts_json_import`."""
        body, choices = request.json_object(), self._state.choices
        lists = self._state.lists.numbers(body.get("list_ids"), most=MOST_LISTS)
        rows = read_json(body)
        if len(request.body) > choices.import_bytes:
            kept = rows_within(request.body, choices.import_bytes)
            body = {"import_data": body["import_data"][:kept]}
        payload = json.dumps({"import_data": body["import_data"]}).encode()
        return self._begin("contacts_json_import", rows, lists, payload, choices.json_file_name)

    def take_file(self, request: Request) -> Answer:
        """`POST /activities/contacts_file_import`."""
        parts, choices = parts_of(request), self._state.choices
        if "file" not in parts:
            raise invalid("file is missing")
        name = parts["file"].file_name or ""
        if not name.lower().endswith(".csv"):
            raise RefusedError(
                415, "contacts.api.unsupported_media_type", "file must be a .csv file"
            )
        ids = parts["list_ids"].content.decode(errors="replace") if "list_ids" in parts else ""
        asked = [each.strip() for each in ids.split(",") if each.strip()]
        lists = self._state.lists.numbers(asked, most=MOST_LISTS)
        content, offset = parts["file"].content, parts["file"].offset
        kept = content[: max(0, choices.import_bytes - offset)]
        rows = read_csv(kept, cut=len(kept) < len(content))
        return self._begin(
            "contacts_file_import", rows, lists, kept, name, len(kept) < len(content)
        )

    def _begin(
        self,
        kind: str,
        rows: Rows,
        lists: list[int],
        payload: bytes,
        name: str | None,
        cut: bool = False,
    ) -> Answer:
        # A file's header is one of its 40,000 lines; the rows of a JSON body have none.
        most = MOST_ROWS - (kind == "contacts_file_import")
        if rows.count > most and self._state.choices.too_many_rows == "refuse":
            raise invalid(f"an import must not have more than {MOST_ROWS} lines")
        task = {"lists": lists, "cut": cut, "most": most}
        n = self._state.activities.begin(
            kind, task, {}, payload=payload, file_name=name, rows=rows.count
        )
        return answer(201, self._state.activities.begun(n))

    def work(
        self, kind: str, task: dict[str, Any], payload: bytes, fate: Fate
    ) -> tuple[dict[str, int], list[str]]:
        """Do what an import has to; its counters and its errors."""
        is_json = kind == "contacts_json_import"
        rows = read_json(json.loads(payload)) if is_json else read_csv(payload, cut=task["cut"])
        rows = rows.head(min(rows.count, task["most"]))
        choices, fields = self._state.choices, self._state.fields.by_name()
        known = known_columns(rows, fields, is_json=is_json)
        verdict = check(rows, known, choices)
        for line, reason in fate.line_errors:
            verdict.refuse(line - 2, "error", reason)
        self._stage(rows, known, fields, verdict, int(rows.count * fate.applied))
        unsubscribed = self._land(task["lists"])
        if choices.names_unsubscribed:
            for (line,) in unsubscribed:
                verdict.refuse(line, "error", "Contact is unsubscribed")
        landed = rows.count - len(verdict.refused)
        status = {
            "items_total_count": rows.count + 1,
            "person_count": rows.count if choices.person_count == "all" else landed,
            "error_count": verdict.count("error") - choices.names_unsubscribed * len(unsubscribed),
            "correctable_count": verdict.count("correctable"),
            "cannot_add_to_list_count": len(unsubscribed),
        }
        return status, [*verdict.lines(), *fate.errors]

    def _stage(
        self, rows: Rows, known: list[str], fields: dict[str, int], verdict: Verdict, applied: int
    ) -> None:
        self._db.execute("DELETE FROM staging")
        blank: list[str] = [""] * rows.count
        addresses = rows.columns.get("email", blank)
        numbers = rows.columns.get("sms_number", blank)
        keys = [
            address.lower() if address else f"sms {number}"
            for address, number in zip(addresses, numbers, strict=True)
        ]
        core = [rows.columns[name] if name in known else blank for name in CORE]
        values = zip(
            range(rows.count), keys, addresses, *core, _details(rows, known, fields), strict=True
        )
        refused = verdict.refused
        marks = ", ".join(["?", "?", *["nullif(?, '')"] * (len(core) + 1), "?"])
        self._db.executemany(
            f"INSERT INTO staging VALUES ({marks})",  # noqa: S608
            (row for row in values if row[0] not in refused and row[0] < applied),
        )

    def _land(self, lists: list[int]) -> list[tuple[int]]:
        """Staged rows become contacts; the lines (from 0) of whoever cannot be added to a list."""
        choices, now = self._state.choices, int(self._state.clock.now())
        core = ", ".join(CORE)
        updates = ", ".join(f"{name} = coalesce(excluded.{name}, {name})" for name in CORE)
        revived = "NULL" if choices.import_revives else "deleted_at"
        self._db.execute(
            f"INSERT INTO contacts (key, address, permission, {core}, details, create_source,"  # noqa: S608
            " update_source, opt_in_source, opt_in_at, created_at, updated_at)"
            f" SELECT key, address, 'implicit', {core}, details, 'Account', 'Account', 'Account',"
            " :now, :now, :now FROM staging WHERE true ORDER BY line"
            f" ON CONFLICT (key) DO UPDATE SET {updates}, deleted_at = {revived},"
            " details = CASE excluded.details WHEN '{}' THEN details"
            " ELSE json_patch(details, excluded.details) END,"
            " update_source = 'Account', updated_at = excluded.updated_at"
            " WHERE :all OR permission <> 'unsubscribed'",
            {"now": now, "all": choices.updates_unsubscribed},
        )
        self._db.execute("DELETE FROM chosen")
        self._db.execute(
            "INSERT OR IGNORE INTO chosen SELECT n FROM staging CROSS JOIN contacts USING (key)"
            " WHERE deleted_at IS NULL AND permission <> 'unsubscribed'"
        )
        there = [n for n in lists if self._is_there(n)]
        self._state.contacts.members.add(there)
        stays_out = "permission = 'unsubscribed' OR deleted_at IS NOT NULL" if there else "1"
        found: list[tuple[int]] = self._db.execute(
            "SELECT line FROM staging CROSS JOIN contacts USING (key)"  # noqa: S608
            f" WHERE {stays_out} ORDER BY line"
        ).fetchall()
        return found

    def _is_there(self, n: int) -> bool:
        question = "SELECT 1 FROM lists WHERE n = ? AND deleted_at IS NULL"
        return self._db.execute(question, (n,)).fetchone() is not None


def _details(rows: Rows, known: list[str], fields: dict[str, int]) -> Iterator[str]:
    """For each row its telephones, addresses and custom fields, as the store keeps them."""
    there = [
        name for name in known if name.startswith("cf:") or name in _PHONES or name in _ADDRESSES
    ]
    if not there:
        return iter(["{}"] * rows.count)
    columns = zip(*(rows.columns[name] for name in there), strict=True)
    return (_detail(there, values, fields) for values in columns)


def _detail(names: list[str], values: tuple[str, ...], fields: dict[str, int]) -> str:
    found: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        if not value:
            continue
        if name.startswith("cf:"):
            found.setdefault("fields", {})[str(fields[name[3:]])] = value
        elif name in _PHONES:
            phones = found.setdefault("phones", {})
            if len(phones) < _MOST_PHONES:
                phones[_PHONES[name]] = value
        else:
            kind, part = _ADDRESSES[name]
            address = found.setdefault("addresses", {}).setdefault(kind, {})
            if part == "street2":
                address["street"] = f"{address.get('street', '')} {value}".strip()
            else:
                address["postal_code" if part == "zip" else part] = value
    return json.dumps(found, ensure_ascii=False)
