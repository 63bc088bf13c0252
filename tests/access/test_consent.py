"""Nothing personal leaves for a third party before somebody has agreed to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from exportkit.access.consent import require_consent
from exportkit.config.connection import Consent, read_connection
from exportkit.config.documents import read_document
from exportkit.errors import PermissionDeniedError
from exportkit.records import Description

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit.config.connection import ConnectionFile

ABROAD = Description("Paper mill")
AT_HOME = replace(ABROAD, third_party=False)


@pytest.fixture
def connection(tmp_path: Path) -> ConnectionFile:
    path = tmp_path / "mill.yaml"
    path.write_text(
        "version: 1\nname: mill\ntype: mill\n"
        "consent: {agreed_by: jane@example.com, agreed_on: 2026-01-20}\n"
    )
    return read_connection(read_document(path, "connections/mill.yaml"))


def agreed(connection: ConnectionFile, on: date) -> ConnectionFile:
    return replace(connection, consent=Consent("jane@example.com", on))


@pytest.mark.parametrize("days", [0, 1, 4000])
def test_a_consent_that_was_given_is_enough(connection: ConnectionFile, days: int) -> None:
    require_consent(agreed(connection, date.today() - timedelta(days)), ABROAD)


def test_what_stays_on_the_machine_needs_none(connection: ConnectionFile) -> None:
    require_consent(replace(connection, consent=None), AT_HOME)


def test_without_consent_nothing_is_sent(connection: ConnectionFile) -> None:
    with pytest.raises(PermissionDeniedError) as raised:
        require_consent(replace(connection, consent=None), ABROAD)
    told = raised.value
    assert told.message == "nobody has agreed that personal data may leave for Paper mill"
    assert str(told.location) == "connections/mill.yaml:1:1"
    assert "consent: {agreed_by:" in (told.hint or "")
    assert told.exit_code == 4


def test_a_consent_from_tomorrow_is_none_yet(connection: ConnectionFile) -> None:
    with pytest.raises(PermissionDeniedError, match="dated in the future") as raised:
        require_consent(agreed(connection, date.today() + timedelta(1)), ABROAD)
    assert str(raised.value.location) == "connections/mill.yaml:4:51"
    assert "jane" not in str(raised.value)
