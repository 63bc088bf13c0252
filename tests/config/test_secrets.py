from __future__ import annotations

import pytest

from exportkit.config.schemas import check, check_options
from exportkit.config.secrets import is_secret_key, is_sensitive, looks_secret

JOB = "version: 1\nname: x\nsource: s\nsegments: [a]\nmap: {email: email}\n"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "db_password",
        "token",
        "access_token",
        "refreshToken",
        "clientSecret",
        "X-Api-Key",
        "api_key",
        "APIKey",
        "apikey",
        "secret",
        "private_key",
        "credentials",
        "authorization",
        "passphrase",
    ],
)
def test_secret_keys(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "key",
        "email",
        "list_id",
        "token_column",
        "tokens",
        "author",
        "keyboard",
        "path",
        "passport_no",
        "monkey",
    ],
)
def test_other_keys(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://crm:hunter2@db/warehouse",
        "https://user:p/w@host",
        "https://:hunter2@host",
        "postgresql://db/w?user=crm&password=hunter2",
        "https://host/hook?token=abc1",
        "Bearer abcdefghijklmnop0123",
        "Authorization: Basic amFuZTpodW50ZXIy",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "postgresql://crm:half${env:OTHER_HALF}@db",
    ],
)
def test_secret_forms(text: str) -> None:
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://crm@db/warehouse",
        "postgresql://crm:${env:PW}@db/warehouse",
        "postgresql://db:5432/w",
        "http://localhost:8080/a?b=c@d",
        "jane@example.com",
        "a: b@c",
        "bearer of good news",
        "Bearer opportunities-everywhere",
        "Basic membership-gold-2024",
        "Basic telecommunications1",
        "'https://shop.example/off?token=' || token",
        "04fe9a97-a579-43c5-bb1a-58ed29bf0a6a",
        "sc://spark:15002",
    ],
)
def test_other_forms(text: str) -> None:
    assert not looks_secret(text)


def test_sensitive_places() -> None:
    assert is_sensitive(("options", "key"))
    assert is_sensitive(("options", "oauth", "url"))
    assert not is_sensitive(("key",))
    assert not is_sensitive(("map", "email"))
    assert not is_sensitive(())


@pytest.mark.parametrize(
    "text",
    [
        "destination: {api_key: s3cr3t}",
        "destination: {a: {b: [{password: 12345}]}}",
        "destination: {url: 'https://u:s3cr3t@h'}",
        "destination: {header: Bearer s3cr3ts3cr3ts3cr3t}",
        "password: s3cr3t",
        "api_key: [s3cr3t]",
        "description: postgresql://u:s3cr3t@h",
    ],
)
def test_job_with_a_secret_is_refused_and_not_quoted(read, text: str) -> None:
    found = check(read(JOB + text), "job")
    assert any("in plain text" in one.message for one in found)
    assert not any(part in str(one) for one in found for part in ("s3cr3t", "12345"))


def test_fields_of_a_job_may_be_called_anything(read) -> None:
    text = JOB.replace("{email: email}", "{token: token, api_key: {column: secret, default: x}}")
    found = check(read(text), "job")
    assert [one.location.path for one in found if one.location] == ["map.api_key.default"]


@pytest.mark.parametrize("kind", ["job", "workspace"])
def test_references_belong_elsewhere(read, kind: str) -> None:
    found = check(read("version: 1\nname: ${env:X}\nstate: ${file:y}\n"), kind)
    told = [str(one) for one in found if "found a reference" in one.message]
    assert len(told) == 2
    assert all("references belong in connections/ and sources/" in one for one in told)


@pytest.mark.parametrize(
    "text", ["file: ${env:X}", "database: ${env:X}\ntable: a", "spark: ${env:X}\ntable: a"]
)
def test_references_in_a_source(read, text: str) -> None:
    assert check(read(f"version: 1\nname: a\nkey: b\n{text}\n"), "source") == []


def test_references_where_a_source_replaces_none(read) -> None:
    text = "version: 1\nname: a\nkey: b\nfile: c\nsegments: {x: {where: \"a = '${env:X}'\"}}\n"
    (found,) = check(read(text), "source")
    assert found.location is not None
    assert found.location.path == "segments.x.where"


SCHEMA = {
    "type": "object",
    "properties": {
        "client_id": {"type": "string"},
        "client_secret": {"type": "string", "writeOnly": True, "minLength": 30},
        "odd": {"type": "string", "x-secret": True},
        "nested": {"properties": {"inner": {"$ref": "#/$defs/hidden"}}},
        "list": {"items": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/hidden"}]}},
        "free": {"additionalProperties": {"$ref": "#/$defs/hidden"}},
        "any": {"type": "object"},
        "loop": {"$ref": "#/$defs/loop"},
    },
    "$defs": {
        "hidden": {"type": "string", "writeOnly": True},
        "loop": {"anyOf": [{"$ref": "#/$defs/loop"}, {"type": "string"}]},
    },
}


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ("client_secret: hunter2", "options.client_secret"),
        ("odd: hunter2", "options.odd"),
        ("nested: {inner: hunter2}", "options.nested.inner"),
        ("list: [hunter2]", "options.list[0]"),
        ("free: {x: hunter2}", "options.free.x"),
        ("any: {user: me, password: hunter2}", "options.any.password"),
        ("any: {tls: {private_key: [hunter2]}}", "options.any.tls.private_key[0]"),
    ],
)
def test_secret_options_in_plain_text(read, options: str, at: str) -> None:
    document = read(f"options:\n  {options}\n")
    found = check_options(document, ("options",), SCHEMA)
    plain = [one for one in found if "in plain text" in one.message]
    assert [one.location.path for one in plain if one.location] == [at]
    assert "hunter2" not in "".join(map(str, found))


def test_secret_options_as_references(read) -> None:
    document = read("options:\n  client_secret: ${env:X}\n  nested: {inner: '${env:Y}'}\n")
    assert check_options(document, ("options",), SCHEMA) == []


def test_hint_names_a_variable(read) -> None:
    document = read("options:\n  client_secret: 012345678901234567890123456789\n")
    (found,) = check_options(document, ("options",), SCHEMA)
    assert found.hint == "write ${env:CLIENT_SECRET} and set that variable"


def test_secret_option_of_a_job_belongs_to_the_connection(read) -> None:
    document = read("destination:\n  odd: hunter2\n")
    (found,) = check_options(document, ("destination",), SCHEMA)
    assert found.hint is not None
    assert found.hint.startswith("secrets belong in the connection")
