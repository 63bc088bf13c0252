"""One contact at a time: made, replaced, signed up, with what that does to the permission."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .contact_shapes import ADDRESS, CORE, PERMISSIONS, core_of, details_of
from .exchange import conflict, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .state import State

SOURCES = ("Account", "Contact")
MOST_LISTS_A_CONTACT = 50


class Changes:
    """What `POST`, `PUT` and the sign-up form do to a contact."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._db = state.store.db

    def create(self, body: Mapping[str, Any]) -> int:
        """A new contact; its number. Raises `RefusedError` for a known address, deleted or not."""
        if body.get("create_source") not in SOURCES:
            raise invalid(
                "create_source is missing, create_source does not have a valid value"
                if "create_source" not in body
                else "create_source does not have a valid value"
            )
        if not any(body.get(name) for name in ("first_name", "last_name", "email_address")):
            raise invalid("one of first_name, last_name, email_address is needed")
        core, details = core_of(body), details_of(body, self._field_numbers())
        address, permission = self._address(body, "implicit")
        self._check_free(address, None)
        n = self.insert(address, permission, body["create_source"], core, details)
        self._replace_lists(n, body)
        return n

    def insert(
        self,
        address: str | None,
        permission: str,
        source: str,
        core: Mapping[str, Any],
        details: Mapping[str, Any],
    ) -> int:
        """A row, without any question."""
        now = int(self._state.clock.now())
        opted_in = now if permission in ("implicit", "explicit") else None
        opted_out = now if permission == "unsubscribed" else None
        columns = "".join(f", {name}" for name in core)
        marks = ", ".join("?" * (12 + len(core)))
        row = self._db.execute(
            "INSERT INTO contacts (key, address, permission, details, create_source,"  # noqa: S608
            " update_source, opt_in_source, opt_in_at, opt_out_source, opt_out_at, created_at,"
            f" updated_at{columns}) VALUES ({marks})",
            (
                address.lower() if address else None,
                address,
                permission,
                json.dumps(details),
                source,
                source,
                source if opted_in else None,
                opted_in,
                "Contact" if opted_out else None,
                opted_out,
                now,
                now,
                *core.values(),
            ),
        )
        assert row.lastrowid
        return row.lastrowid

    def replace(self, n: int, body: Mapping[str, Any]) -> None:
        """All core fields are the body's; lists and the like only where it has them."""
        source = body.get("update_source")
        if source not in SOURCES:
            raise invalid("update_source is missing or does not have a valid value")
        deleted, before = self._db.execute(
            "SELECT deleted_at, permission FROM contacts WHERE n = ?", (n,)
        ).fetchone()
        if deleted is not None and source != "Account":
            raise invalid("update_source must be Account to restore a deleted contact")
        core = dict.fromkeys(CORE) | core_of(body)
        address, permission = self._address(body, before)
        self._check_free(address, n)
        if before == "unsubscribed" != permission and source != "Contact":
            raise invalid("update_source must be Contact to subscribe somebody again")
        details = details_of(body, self._field_numbers())
        self._write(n, core, details, merge=False)
        if address:
            named = (address, address.lower(), n)
            self._db.execute("UPDATE contacts SET address = ?, key = ? WHERE n = ?", named)
        self._db.execute(
            "UPDATE contacts SET update_source = ?, deleted_at = NULL WHERE n = ?", (source, n)
        )
        if permission != before:
            reason = (body.get("email_address") or {}).get("opt_out_reason")
            self.permit(n, permission, source, reason)
        self._replace_lists(n, body)

    def permit(self, n: int, permission: str, source: str, reason: str | None = None) -> None:
        """Another permission; somebody who opts out stays in the account."""
        now = int(self._state.clock.now())
        if permission == "unsubscribed":
            self._db.execute(
                "UPDATE contacts SET permission = ?, opt_out_source = ?, opt_out_at = ?,"
                " opt_out_reason = ?, updated_at = ? WHERE n = ?",
                (permission, source, now, reason, now, n),
            )
            if self._state.choices.unsubscribed_leave_lists:
                self._db.execute("DELETE FROM memberships WHERE contact = ?", (n,))
        else:
            self._db.execute(
                "UPDATE contacts SET permission = ?, opt_in_at = ?, opt_in_source ="
                " coalesce(opt_in_source, ?), opt_out_source = NULL, opt_out_at = NULL,"
                " opt_out_reason = NULL, updated_at = ? WHERE n = ?",
                (permission, now, source, now, n),
            )

    def sign_up(self, body: Mapping[str, Any]) -> tuple[int, bool]:
        """Made or changed by the sign-up form, which subscribes again; the number, and if new."""
        address = body.get("email_address")
        if not isinstance(address, str) or len(address) > 50 or not ADDRESS.fullmatch(address):
            raise invalid("email_address is not a valid email address")
        lists = self._state.lists.numbers(
            body.get("list_memberships"), most=MOST_LISTS_A_CONTACT, name="list_memberships"
        )
        core = core_of(body)
        details = details_of(_as_resource(body), self._field_numbers())
        n = self._state.contacts.by_address(address)
        is_new = n is None
        if n is None:
            wanted = "pending_confirmation" if self._state.choices.confirmed_opt_in else "explicit"
            n = self.insert(address, wanted, "Contact", core, details)
        else:
            self._write(n, core, details, merge=True)
            self._db.execute("UPDATE contacts SET deleted_at = NULL WHERE n = ?", (n,))
            self.permit(n, "explicit", "Contact")
        self._add_to(n, lists)
        return n, is_new

    def _write(
        self, n: int, core: Mapping[str, Any], details: Mapping[str, Any], *, merge: bool
    ) -> None:
        row = self._db.execute("SELECT details FROM contacts WHERE n = ?", (n,)).fetchone()
        kept = json.loads(row[0])
        for name, value in details.items():
            both = isinstance(value, dict) and merge
            kept[name] = {**kept.get(name, {}), **value} if both else value
        now = int(self._state.clock.now())
        sets = "".join(f"{name} = ?, " for name in core)
        self._db.execute(
            f"UPDATE contacts SET {sets}details = ?, updated_at = ? WHERE n = ?",  # noqa: S608
            (*core.values(), json.dumps(kept), now, n),
        )

    def _address(self, body: Mapping[str, Any], permission: str) -> tuple[str | None, str]:
        email = body.get("email_address")
        if email is None:
            return None, permission
        address = email.get("address") if isinstance(email, dict) else None
        if not isinstance(address, str) or len(address) > 80 or not ADDRESS.fullmatch(address):
            raise invalid("email_address is not a valid email address")
        asked = email.get("permission_to_send", permission)
        if asked not in PERMISSIONS:
            raise invalid("permission_to_send does not have a valid value")
        return address, asked

    def _check_free(self, address: str | None, own: int | None) -> None:
        n = self._state.contacts.by_address(address) if address else None
        if n not in (None, own):
            known = self._state.store.ids.of("contact", n or 0)
            raise conflict(f"Validation failed: Email already exists for contact {known}")

    def _field_numbers(self) -> dict[str, int]:
        ids = self._state.store.ids
        known = self._state.fields.by_name().values()
        return {ids.of("custom_field", n): n for n in known}

    def _replace_lists(self, n: int, body: Mapping[str, Any]) -> None:
        asked = body.get("list_memberships")
        if asked is None:
            return
        lists = self._state.lists.numbers(asked, most=MOST_LISTS_A_CONTACT) if asked else []
        self._db.execute("DELETE FROM memberships WHERE contact = ?", (n,))
        self._add_to(n, lists)

    def _add_to(self, n: int, lists: list[int]) -> None:
        self._state.contacts.members.choose([n])
        self._state.contacts.members.add(lists)


def _as_resource(body: Mapping[str, Any]) -> dict[str, Any]:
    """The sign-up form's one telephone and one address as the arrays of a contact."""
    shaped: dict[str, Any] = {}
    if "custom_fields" in body:
        shaped["custom_fields"] = body["custom_fields"]
    if body.get("phone_number"):
        shaped["phone_numbers"] = [{"kind": "other", "phone_number": body["phone_number"]}]
    if body.get("street_address"):
        shaped["street_addresses"] = [body["street_address"]]
    return shaped
