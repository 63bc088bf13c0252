"""Many contacts at once: into lists, out of them, deleted, exported. All in SQL, none in Python.

`CROSS JOIN` is how SQLite is told to begin with the few, not with all contacts.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from .clock import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .state import State

HEADINGS = {
    "email_address": "Email address",
    "first_name": "First name",
    "last_name": "Last name",
    "job_title": "Job title",
    "company_name": "Company",
    "permission": "Email permission status",
    "created_at": "Created At",
    "updated_at": "Updated At",
}
"""Headings of an export. The documents do not show them: these are ours."""

MOST_LISTS_A_CONTACT = 50


class Members:
    """Works on the chosen contacts: first `choose` or `choose_from`, then what to do with them."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._db = state.store.db

    def choose(self, numbers: Iterable[int]) -> int:
        """These contacts, as far as they exist; how many they are."""
        self._db.execute("DELETE FROM chosen")
        self._db.executemany(
            "INSERT OR IGNORE INTO chosen SELECT n FROM contacts WHERE n = ?",
            [(n,) for n in numbers],
        )
        return self._count()

    def choose_from(self, source: Mapping[str, Any]) -> int:
        """What a source names: `contacts`, `lists`, `all_active`, `everybody`, less `exclude`."""
        if "contacts" in source:
            self.choose(source["contacts"])
        else:
            self._db.execute("DELETE FROM chosen")
            numbers = ", ".join(str(int(n)) for n in source.get("lists", ()))
            asked = f"SELECT contact FROM memberships WHERE list IN ({numbers})"  # noqa: S608
            if source.get("everybody"):
                asked = "SELECT n FROM contacts"
            elif source.get("all_active"):
                asked = (
                    "SELECT n FROM contacts"
                    " WHERE deleted_at IS NULL AND permission <> 'unsubscribed'"
                )
            self._db.execute(f"INSERT OR IGNORE INTO chosen {asked}")
        excluded = [(n,) for n in source.get("exclude", ())]
        self._db.executemany("DELETE FROM chosen WHERE contact = ?", excluded)
        return self._count()

    def add(self, lists: Iterable[int]) -> None:
        """Into lists; deleted people come back, unsubscribed people stay out."""
        now = int(self._state.clock.now())
        numbers = list(lists)
        if numbers:
            self._db.execute(
                "UPDATE contacts SET deleted_at = NULL, updated_at = ? WHERE deleted_at IS NOT NULL"
                " AND n IN (SELECT contact FROM chosen)",
                (now,),
            )
        for n in numbers:
            self._db.execute(
                "INSERT OR IGNORE INTO memberships SELECT contact, ?"
                " FROM chosen CROSS JOIN contacts ON n = contact WHERE permission <> 'unsubscribed'"
                " AND (SELECT count(*) FROM memberships m WHERE m.contact = n) < ?",
                (n, MOST_LISTS_A_CONTACT),
            )

    def remove(self, lists: Iterable[int]) -> None:
        """Out of lists."""
        self._db.executemany(
            "DELETE FROM memberships WHERE list = ? AND contact IN (SELECT contact FROM chosen)",
            [(n,) for n in lists],
        )

    def delete(self) -> None:
        """Soft: out of every list, and marked."""
        now = int(self._state.clock.now())
        self._db.execute("DELETE FROM memberships WHERE contact IN (SELECT contact FROM chosen)")
        self._db.execute(
            "UPDATE contacts SET deleted_at = ?, updated_at = ? WHERE deleted_at IS NULL"
            " AND n IN (SELECT contact FROM chosen)",
            (now, now),
        )

    def export(self, fields: Sequence[str], status: str | None) -> tuple[bytes, int]:
        """The chosen as CSV, and how many they are; `status` is active, unsubscribed or removed."""
        names = [name for name in HEADINGS if name in fields or not fields]
        if "email_address" not in names:
            names.insert(0, "email_address")
        where = {
            "active": "deleted_at IS NULL AND permission <> 'unsubscribed'",
            "unsubscribed": "permission = 'unsubscribed'",
            "removed": "deleted_at IS NOT NULL",
            None: "1",
        }[status]
        columns = ", ".join("address" if name == "email_address" else name for name in names)
        rows = self._db.execute(
            f"SELECT {columns} FROM chosen CROSS JOIN contacts ON n = contact"  # noqa: S608
            f" WHERE {where} ORDER BY n"
        )
        text = io.StringIO()
        out = csv.writer(text, lineterminator="\r\n")
        out.writerow([HEADINGS[name] for name in names])
        at = [names.index(name) for name in ("created_at", "updated_at") if name in names]
        count = 0
        for row in rows:
            shown = list(row)
            for place in at:
                shown[place] = stamp(shown[place])
            out.writerow(shown)
            count += 1
        return text.getvalue().encode(), count

    def _count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM chosen").fetchone()[0])
