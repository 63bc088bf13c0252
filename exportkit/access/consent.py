"""Consent: personal data leaves for a third party only after somebody has agreed to it.

The agreement is a line of the connection's file, which says who and when. For which account it was
given is in the audit, as digests: `authorize` writes them down, and for a line that somebody wrote
by hand, the first run does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from exportkit.access.audit import note
from exportkit.config.secrets import is_secret
from exportkit.errors import PermissionDeniedError
from exportkit.state.folder import fingerprint

if TYPE_CHECKING:
    from exportkit.config.connection import ConnectionFile, Consent
    from exportkit.records import Connection, Description
    from exportkit.state.journal import Journal

AGREED = "consent"
FIRST_USED = "consent first used"
REMOVED = "connection remove"
_DIGITS = 16


def require_consent(
    file: ConnectionFile, ready: Connection, description: Description, journal: Journal
) -> None:
    """Return if the connection may send. Raises PermissionDeniedError if nobody has agreed to it,
    or if what they agreed to was another type or another account.

    `ready` is the connection with its references resolved. A destination that keeps the data on
    this machine needs no consent.
    """
    if not description.third_party:
        return
    given = _given(file, description)
    account = account_of(ready, description)
    before = _agreed_for(journal, file.name, given)
    if before is None:
        _write_down(journal, FIRST_USED, file.name, given, account)
    elif changed := _changed(before, account):
        raise PermissionDeniedError(
            f"{' and '.join(changed)} changed since somebody agreed that personal data may leave "
            f"for {description.title}: that was for another account",
            location=_place(file, changed[0]),
            hint="if you have the right to send these people's data there as well: exportkit "
            f"connection authorize {file.name}",
        )


def is_needed(
    file: ConnectionFile, ready: Connection, description: Description, journal: Journal
) -> bool:
    """Whether somebody has to be asked: nobody has agreed, or it was for another account.

    Raises PermissionDeniedError for a consent that is dated in the future.
    """
    if not description.third_party:
        return False
    if file.consent is None:
        return True
    before = _agreed_for(journal, file.name, _given(file, description))
    return before is not None and bool(_changed(before, account_of(ready, description)))


def record(
    journal: Journal, ready: Connection, description: Description, agreed_by: str, on: date
) -> None:
    """Write down in the audit for which account somebody has agreed."""
    account = account_of(ready, description)
    _write_down(journal, AGREED, ready.name, _mark(agreed_by, on), account)


def account_of(ready: Connection, description: Description) -> dict[str, str]:
    """What tells one account from another: the type, and a digest of each option.

    Secrets may be renewed, and a default may be written out: neither makes another account.
    """
    schema = description.connection_options.get("properties", {})
    digests = {
        f"options.{name}": fingerprint([ready.name, name, _bare(value)])[:_DIGITS]
        for name, value in ready.options.items()
        if not is_secret(name, schema.get(name)) and not _is_default(value, schema.get(name))
    }
    return {"type": ready.type, **digests}


def _bare(value: Any) -> Any:
    """The value without what is secret by its name inside of it."""
    if isinstance(value, Mapping):
        return {name: _bare(part) for name, part in value.items() if not is_secret(name, None)}
    return [_bare(part) for part in value] if isinstance(value, list | tuple) else value


def _is_default(value: object, schema: Any) -> bool:
    return isinstance(schema, dict) and "default" in schema and schema["default"] == value


def _given(file: ConnectionFile, description: Description) -> str:
    """The mark of the file's consent. Raises PermissionDeniedError if there is none that holds."""
    consent: Consent | None = file.consent
    if consent is None:
        raise PermissionDeniedError(
            f"nobody has agreed that personal data may leave for {description.title}",
            location=file.document.locate(()),
            hint="if you have the right to send these people's data there: exportkit connection "
            f"authorize {file.name}; it writes `consent: {{agreed_by: ..., agreed_on: ...}}` "
            "into this file",
        )
    if consent.agreed_on > date.today():
        raise PermissionDeniedError(
            f"the consent to send to {description.title} is dated in the future",
            location=file.document.locate(("consent", "agreed_on")),
            hint="write the day on which it was given",
        )
    return _mark(consent.agreed_by, consent.agreed_on)


def _mark(agreed_by: str, on: date) -> str:
    """What tells one consent from another, without the name in it."""
    return fingerprint([agreed_by, on.isoformat()])[:_DIGITS]


def _agreed_for(journal: Journal, connection: str, mark: str) -> dict[str, str] | None:
    """The account that this consent was last given for, as far as the audit says."""
    for entry in journal.audited(connection):
        if entry.action == REMOVED:  # what comes before was another connection of this name
            return None
        agreement = entry.details.get("agreement", {})
        if entry.action in (AGREED, FIRST_USED) and agreement.get("mark") == mark:
            return dict(agreement["account"])
    return None


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = {**now, **before}
    return [name for name in names if before.get(name) != now.get(name)]


def _place(file: ConnectionFile, changed: str) -> Any:
    return file.document.locate(tuple(changed.split(".", 1)))


def _write_down(
    journal: Journal, action: str, connection: str, mark: str, account: Mapping[str, str]
) -> None:
    agreement = {"mark": mark, "account": dict(account)}
    note(journal, action, connection, type=account["type"], agreement=agreement)
