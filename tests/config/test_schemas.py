from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from exportkit.config.schemas import KINDS, check, check_options, compose
from exportkit.errors import PluginError

SHIPPED = Path(__file__).parents[2] / "schemas"

OPTIONS = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Paper mill",
    "type": "object",
    "required": ["account"],
    "additionalProperties": False,
    "properties": {
        "account": {"type": "string", "minLength": 3, "description": "The account's number."},
        "port": {"type": "integer", "maximum": 65535},
        "colour": {"enum": ["red", "green"]},
        "day": {"type": "string", "format": "date"},
        "tray": {"$ref": "#/$defs/tray"},
        "auth": {"oneOf": [{"required": ["key"]}, {"required": ["user"]}]},
        "size": {"oneOf": [{"type": "integer"}, {"enum": ["small", "large"]}]},
        "token": {"type": "string", "pattern": "^[A-Z]+$"},
    },
    "$defs": {"tray": {"type": "object", "properties": {"inner": {"$ref": "#/$defs/tray"}}}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_schemas_are_schemas(kind: str) -> None:
    schema = json.loads((SHIPPED / f"{kind}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert compose(kind) == schema


def described(schema: object, path: str = "") -> list[str]:
    """Paths of properties that an editor's hover would say nothing about."""
    if isinstance(schema, list):
        return [gap for item in schema for gap in described(item, path)]
    if not isinstance(schema, dict):
        return []
    gaps = [
        f"{path}.{name}"
        for name, entry in schema.get("properties", {}).items()
        if "description" not in entry and "$ref" not in entry
    ]
    return gaps + [gap for key, item in schema.items() for gap in described(item, f"{path}.{key}")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described(kind: str) -> None:
    assert described(compose(kind)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_valid(kind: str) -> None:
    schema = compose(kind)
    for name, entry in schema["properties"].items():
        validator = Draft202012Validator(schema | {"$ref": f"#/properties/{name}"})
        inner = validator.evolve(schema={"$defs": schema["$defs"], **entry})
        for example in entry.get("examples", ()):
            assert list(inner.iter_errors(example)) == [], name


def test_compose_job() -> None:
    schema = compose("job", type="paper", job_options=OPTIONS)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    job = {"version": 1, "name": "x", "source": "s", "segments": ["a"], "map": {"a": "b"}}
    assert validator.is_valid(job | {"destination": {"account": "abc", "tray": {"inner": {}}}})
    assert not validator.is_valid(job | {"destination": {"account": "abc", "tray": {"inner": 5}}})
    assert not validator.is_valid(job | {"destination": {}})
    assert not validator.is_valid(job), "a required option makes its mapping required"
    assert schema["properties"]["destination"]["title"] == "Paper mill"


def test_compose_connection() -> None:
    schema = compose("connection", type="paper", connection_options=OPTIONS)
    validator = Draft202012Validator(schema)
    file = {"version": 1, "name": "x", "options": {"account": "abc"}}
    assert validator.is_valid(file | {"type": "paper"})
    assert not validator.is_valid(file | {"type": "pencil"})


def test_compose_does_not_touch_what_it_is_given() -> None:
    before = json.dumps(OPTIONS)
    compose("job", job_options=OPTIONS)["properties"]["destination"]["properties"].clear()
    assert json.dumps(OPTIONS) == before
    assert compose("job")["properties"]["destination"] != OPTIONS


def test_compose_unknown_kind() -> None:
    with pytest.raises(ValueError, match="there is no kind of file 'jobb'"):
        compose("jobb")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{}", "file.yaml:2:10: options: the key 'account' is missing (The account's number.)"),
        (
            "{acount: abc}",
            "file.yaml:2:11: options.acount: there is no key 'acount' here"
            " (did you mean 'account'?)",
        ),
        (
            "{account: 123}",
            "file.yaml:2:20: options.account: found the number 123, expected text"
            " (put it in quotes)",
        ),
        (
            "{account: ab}",
            "file.yaml:2:20: options.account: found the text 'ab', expected at least 3 characters",
        ),
        (
            "{account: abc, colour: grean}",
            "file.yaml:2:33: options.colour: found the text 'grean', expected one of: red, green"
            " (did you mean 'green'?)",
        ),
        (
            "{account: abc, day: tomorrow}",
            "file.yaml:2:30: options.day: found the text 'tomorrow', expected a date such as"
            " 2026-11-20",
        ),
        (
            "{account: abc, port: 70000}",
            "file.yaml:2:31: options.port: found the number 70000, expected at most 65535",
        ),
        (
            "{account: abc, auth: {}}",
            "file.yaml:2:31: options.auth: expected exactly one of key, user; there is none",
        ),
        (
            "{account: abc, size: larg}",
            "file.yaml:2:31: options.size: found the text 'larg', expected a whole number, or one"
            " of: small, large (did you mean 'large'?)",
        ),
        (
            "{account: abc, token: hunter2}",
            "file.yaml:2:32: options.token: found text (not shown), expected text of the form"
            " ^[A-Z]+$",
        ),
        (
            "{account: abc, tray: {inner: x}}",
            "file.yaml:2:39: options.tray.inner: found the text 'x', expected a mapping"
            " (keys with values)",
        ),
    ],
)
def test_options(read, options: str, message: str) -> None:
    document = read(f"version: 1\noptions: {options}\n")
    assert "\n".join(map(str, check_options(document, ("options",), OPTIONS))) == message


def test_options_that_are_not_there_count_as_empty(read) -> None:
    (found,) = check_options(read("version: 1\n"), ("options",), OPTIONS)
    assert str(found) == "file.yaml:1:1: the key 'account' is missing (The account's number.)"


def test_options_with_references_are_judged_once_resolved(read) -> None:
    document = read("options:\n  account: ${env:A}\n  colour: ${env:C}\n  size: ${env:S}\n")
    assert check_options(document, ("options",), OPTIONS) == []
    resolved = {"account": "ab", "colour": "hunter2", "size": 3}
    found = check_options(document, ("options",), OPTIONS, values=resolved)
    assert [str(one) for one in found] == [
        "file.yaml:2:12: options.account: found text (not shown), expected at least 3 characters",
        "file.yaml:3:11: options.colour: found text (not shown), expected one of: red, green",
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"properties": {"a": {"$ref": "#/$defs/nowhere"}}},
        {"properties": {"a": {"$ref": "https://example.com/x.json"}}},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": 5},
        {"required": 5},
    ],
)
def test_broken_schema_is_the_plugins_fault(read, schema: dict) -> None:
    with pytest.raises(PluginError, match="the plugin's schema of `options` cannot be used"):
        check_options(read("options: {a: x}\n"), ("options",), schema)


def test_complaints_come_in_the_order_of_lines(read) -> None:
    document = read("zzz: 1\nversion: 2\nname: X\nyyy: 1\n")
    lines = [one.location.line for one in check(document, "workspace") if one.location]
    assert lines == [1, 2, 3, 4]
