from __future__ import annotations

from datetime import date

import pytest

from exportkit.config.connection import ConnectionFile, Consent, read_connection
from exportkit.config.schemas import check

START = "version: 1\nname: marketing\ntype: paper\n"


@pytest.fixture
def connection(read):
    def connection_of(text: str) -> ConnectionFile:
        document = read(START + text)
        assert check(document, "connection") == []
        return read_connection(document)

    return connection_of


def test_everything(connection) -> None:
    found = connection(
        "display_name: Newsletters\nuse: [admin, contributor]\n"
        "consent: {agreed_by: jane@example.com, agreed_on: 2026-11-20}\n"
        "options: {client_id: '${env:ID}', port: 5, list: [a]}\n"
    )
    assert (found.name, found.display_name, found.type) == ("marketing", "Newsletters", "paper")
    assert found.use == ("admin", "contributor")
    assert found.consent == Consent("jane@example.com", date(2026, 11, 20))
    assert found.options == {"client_id": "${env:ID}", "port": 5, "list": ["a"]}


def test_defaults(connection) -> None:
    found = connection("")
    assert found.display_name == "marketing"
    assert found.use == ("admin",)
    assert found.consent is None
    assert found.options == {}


@pytest.mark.parametrize(
    "text",
    [
        "use: []",
        "use: admin",
        "use: [viewer]",
        "consent: yes",
        "consent: {agreed_by: jane}",
        "consent: {agreed_by: '', agreed_on: 2026-11-20}",
        "consent: {agreed_by: jane, agreed_on: 20261120}",
        "consent: {agreed_by: jane, agreed_on: 2026-11-31}",
        "consent: {agreed_by: jane, agreed_on: 2026-W47-5}",
        "display_name: ''",
        "options: [a]",
        "type2: x",
    ],
)
def test_complaints(read, text: str) -> None:
    assert len(check(read(START + text + "\n"), "connection")) == 1
