"""Nothing personal leaves for a third party before somebody has agreed to it, for that account."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.access.consent import is_needed, record, require_consent
from exportkit.config.connection import Consent, read_connection
from exportkit.config.documents import read_document
from exportkit.errors import PermissionDeniedError
from exportkit.records import Connection, Description
from exportkit.state.journal import Journal, open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exportkit.config.connection import ConnectionFile

OPTIONS = {
    "type": "object",
    "properties": {
        "account": {"type": "string"},
        "api_token": {"type": "string"},
        "phrase": {"type": "string", "writeOnly": True},
        "url": {"type": "string", "default": "https://mill.example.com"},
    },
}
ABROAD = Description("Paper mill", connection_options=OPTIONS)
AT_HOME = replace(ABROAD, third_party=False)
READY = Connection("mill", "mill", "Mill", {"account": "a", "url": "https://mill.example.com"})


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def connection(tmp_path: Path) -> ConnectionFile:
    path = tmp_path / "mill.yaml"
    path.write_text(
        "version: 1\nname: mill\ntype: mill\n"
        "consent: {agreed_by: jane@example.com, agreed_on: 2026-01-20}\n"
        "options:\n  account: a\n"
    )
    return read_connection(read_document(path, "connections/mill.yaml"))


def agreed(connection: ConnectionFile, on: date) -> ConnectionFile:
    return replace(connection, consent=Consent("jane@example.com", on))


def with_options(**options: Any) -> Connection:
    return replace(READY, options={**READY.options, **options})


@pytest.mark.parametrize("days", [0, 1, 4000])
def test_a_consent_that_was_given_is_enough(
    connection: ConnectionFile, journal: Journal, days: int
) -> None:
    require_consent(agreed(connection, date.today() - timedelta(days)), READY, ABROAD, journal)


def test_what_stays_on_the_machine_needs_none(connection: ConnectionFile, journal: Journal) -> None:
    require_consent(replace(connection, consent=None), READY, AT_HOME, journal)
    assert not is_needed(replace(connection, consent=None), READY, AT_HOME, journal)
    assert journal.audited() == []


def test_without_consent_nothing_is_sent(connection: ConnectionFile, journal: Journal) -> None:
    nobody = replace(connection, consent=None)
    with pytest.raises(PermissionDeniedError) as raised:
        require_consent(nobody, READY, ABROAD, journal)
    told = raised.value
    assert told.message == "nobody has agreed that personal data may leave for Paper mill"
    assert str(told.location) == "connections/mill.yaml:1:1"
    assert "consent: {agreed_by:" in (told.hint or "")
    assert told.exit_code == 4
    assert is_needed(nobody, READY, ABROAD, journal)


def test_a_consent_from_tomorrow_is_none_yet(connection: ConnectionFile, journal: Journal) -> None:
    early = agreed(connection, date.today() + timedelta(1))
    with pytest.raises(PermissionDeniedError, match="dated in the future") as raised:
        require_consent(early, READY, ABROAD, journal)
    assert str(raised.value.location) == "connections/mill.yaml:4:51"
    assert "jane" not in str(raised.value)


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        (with_options(account="b"), "options.account"),
        (with_options(url="https://elsewhere.example.com"), "options.url"),
        (replace(READY, type="press"), "type"),
        (replace(READY, options={}), "options.account"),
    ],
)
def test_another_account_is_asked_for_again(
    connection: ConnectionFile, journal: Journal, now: Connection, changed: str
) -> None:
    require_consent(connection, READY, ABROAD, journal)  # the first use ties it to the account
    assert not is_needed(connection, READY, ABROAD, journal)
    with pytest.raises(PermissionDeniedError, match=f"^connections/mill.yaml.*{changed} changed"):
        require_consent(connection, now, ABROAD, journal)
    assert is_needed(connection, now, ABROAD, journal)
    require_consent(connection, READY, ABROAD, journal)


@pytest.mark.parametrize(
    "now",
    [
        with_options(api_token="new"),
        with_options(phrase="new"),
        replace(READY, display_name="Other"),
        replace(READY, options={"account": "a"}),  # the default left out
    ],
)
def test_a_renewed_secret_is_the_same_account(
    connection: ConnectionFile, journal: Journal, now: Connection
) -> None:
    require_consent(connection, READY, ABROAD, journal)
    require_consent(connection, now, ABROAD, journal)


def test_a_renewed_secret_inside_of_an_option_is_the_same_account(
    connection: ConnectionFile, journal: Journal
) -> None:
    def inside(**config: Any) -> Connection:
        return with_options(config=[{"host": "a", "tls": config}])

    require_consent(connection, inside(private_key="old", name="b"), ABROAD, journal)
    require_consent(connection, inside(private_key="new", name="b"), ABROAD, journal)
    with pytest.raises(PermissionDeniedError, match=r"options\.config changed"):
        require_consent(connection, inside(private_key="new", name="c"), ABROAD, journal)


def test_agreeing_again_ties_it_anew(connection: ConnectionFile, journal: Journal) -> None:
    require_consent(connection, READY, ABROAD, journal)
    now = with_options(account="b")
    consent = connection.consent
    assert consent is not None
    record(journal, now, ABROAD, consent.agreed_by, consent.agreed_on)
    require_consent(connection, now, ABROAD, journal)
    with pytest.raises(PermissionDeniedError):
        require_consent(connection, READY, ABROAD, journal)


def test_a_new_line_by_hand_is_a_new_consent(connection: ConnectionFile, journal: Journal) -> None:
    require_consent(connection, READY, ABROAD, journal)
    require_consent(
        agreed(connection, date(2026, 2, 1)), with_options(account="b"), ABROAD, journal
    )


def test_a_connection_of_a_removed_ones_name_starts_anew(
    connection: ConnectionFile, journal: Journal
) -> None:
    require_consent(connection, READY, ABROAD, journal)
    journal.audit("connection remove", "mill", "jane", "host")
    require_consent(connection, with_options(account="b"), ABROAD, journal)


def test_the_audit_has_digests_alone(connection: ConnectionFile, journal: Journal) -> None:
    require_consent(connection, with_options(account="jane@example.com"), ABROAD, journal)
    (entry,) = journal.audited("mill")
    assert entry.action == "consent first used"
    assert set(entry.details["agreement"]["account"]) == {"type", "options.account"}
    assert "jane" not in json.dumps(entry.as_dict()["details"])
