"""What is wrong in the YAML is said with its place, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from workspace import Space

BATCH = {"path": "/batch", "batch": 5}
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a field that is not mapped": (
        {"body": {"to": {"address": ["{emial}"]}}},
        "destination.body.to.address[0]: the map has no field 'emial'",
        "did you mean 'email'?",
    ),
    "the same in a path": (
        {"path": "/contacts/{mail}"},
        "destination.path: the map has no field 'mail'",
        "did you mean 'email'?",
    ),
    "the same in a removal": (
        {"remove": {"path": "/contacts/{nam}"}},
        "destination.remove.path: the map has no field 'nam'",
        "did you mean 'name'?",
    ),
    "no quotes": (
        {"body": {"to": {"email": None}, "name": "{name}"}},
        "destination.body.to: this is a mapping in YAML, not a placeholder",
        'write it in quotes: "{field}"',
    ),
    "a field that goes nowhere": (
        {"body": {"to": "{email}"}},
        "map.name: 'name' is mapped and sent nowhere",
        'put "{name}" where it goes',
    ),
    "a single brace": (
        {"body": {"to": "{email"}},
        "destination.body.to: there is a single {",
        "write {{ for a brace",
    ),
    "a type that is none": (
        {"body": {"to": "{email|date}"}},
        "destination.body.to: a value can be no 'date'",
        "text, number, boolean, json",
    ),
    "a placeholder in a name": (
        {"body": {"{email}": "{name}"}},
        "the name '{email}' has a placeholder in it",
        "as the service has it",
    ),
    "a row without a batch": (
        {"row": {"to": "{email}"}},
        "destination.row: `row` is for calls of several rows",
        "call it `body`",
    ),
    "results without a batch": (
        {"results": {"list": "x", "failed": "y"}},
        "destination.results: `results` are those of several rows",
        "say how many",
    ),
    "a batch without a place for its rows": (
        {**BATCH, "body": {"list": "news"}},
        "destination.body: the list of rows has to have one place",
        'contacts: "{rows}"',
    ),
    "a batch with a list in a text": (
        {**BATCH, "body": {"list": "all of {rows}"}},
        "destination.body: the list of rows has to have one place",
        "alone and once",
    ),
    "a batch at the address of one": (
        {**BATCH, "path": "/contacts/{email}"},
        "destination.path: a call of several rows has no single 'email'",
        "under `row:`",
    ),
    "a step upwards": (
        {"path": "/contacts/../admin"},
        "destination.path: '.' and '..' are no places",
        "take them out",
    ),
    "a space in a path": ({"path": "/the contacts"}, "destination.path: ", "plugins show http"),
    "no JMESPath": (
        {"success": {"when": "a[?b=="}},
        "destination.success.when: this is no JMESPath expression",
        "errors[0].message",
    ),
    "a secret": (
        {"headers": {"Authorization": "x {email}"}, "body": {"n": "{name}"}},
        "destination.headers.Authorization: found a secret in plain text",
        "in the connection",
    ),
    "a cookie": (
        {"headers": {"Cookie": "{email}"}},
        "destination.headers.Cookie: Cookie belongs in the connection",
        "as a reference",
    ),
    "a header that is ours": (
        {"headers": {"Content-Length": "1"}},
        "destination.headers.Content-Length: Content-Length is made for each call",
        "take it out",
    ),
    "a line break in a header": (
        {"headers": {"X-Note": "a\nX-Admin: 1"}},
        "destination.headers.X-Note: the header X-Note has a line break",
        "",
    ),
    "a wrong option": ({"bodie": {}}, "destination.bodie: ", "body"),
}


@pytest.mark.parametrize("case", WRONG)
def test_it_is_found_offline(space: Space, case: str) -> None:
    space.destination, message, hint = {"path": "/contacts", **WRONG[case][0]}, *WRONG[case][1:]
    said = space.type("validate")
    assert space.code == 2, said
    assert "jobs/mail.yaml:" in said
    assert message in said
    assert hint in said
    assert "Traceback" not in said
    assert space.crm.requests == []


CONNECTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "http elsewhere": (
        {"url": "http://crm.example.com"},
        "url begins with http://: anybody on the way could read people's data",
    ),
    "a loopback in disguise": ({"url": "http://127.0.0.1.example.com"}, "url begins with http://"),
    "somebody before the host": ({"url": "https://me@crm.example.com"}, "a plain address: no user"),
    "no address": ({"url": "crm.example.com"}, "url has to be an address that begins with https"),
    "a port that is none": ({"url": "https://crm.example.com:x"}, "url is no address"),
    "a token from anywhere": (
        {
            "auth": {
                "client_id": "a",
                "client_secret": "${env:CRM_KEY}",
                "token_url": "http://login.example.com",
            }
        },
        "auth.token_url begins with http://",
    ),
    "two ways in": (
        {"auth": {"api_key": "${env:CRM_KEY}", "bearer": "${env:CRM_KEY}"}},
        "options.auth",
    ),
    "a key in the file": ({"auth": {"api_key": "k-1234"}}, "found a secret in plain text"),
    "a header with two lines": (
        {"headers": {"X-Site": "a\nb"}},
        "the header X-Site of the connection has a line break",
    ),
    "a pace of none": ({"calls_per_second": 0}, "options.calls_per_second"),
}


@pytest.mark.parametrize("case", CONNECTIONS)
def test_a_connection_that_cannot_be_is_refused(space: Space, case: str) -> None:
    options, message = CONNECTIONS[case]
    space.options = options
    said = space.type("run", "mail")
    assert space.code == 2, said
    assert message in said
    assert "k-1234" not in said
    assert space.crm.requests == []


def test_a_key_with_a_line_break_in_it_is_none(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_KEY", "k-4f9a\nX-Admin: yes")
    said = space.type("run", "mail")
    assert space.code == 2
    assert "auth.api_key is no text that a header can carry" in said
    assert "4f9a" not in said


def test_a_key_that_is_not_set_is_only_odd_where_files_are_checked(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_KEY")
    said = space.type("validate")
    assert space.code == 0, said
    assert "CRM_KEY is not set" in said
