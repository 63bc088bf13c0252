"""A plugin's options are what its schema names: a key that it does not name is an error."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from exportkit import Description
from exportkit.config.schemas import check_options, compose

TRAY = {"type": "object", "properties": {"tray": {"type": "string"}, "size": {"type": "string"}}}
OPEN = [
    {**TRAY, "additionalProperties": True},
    {**TRAY, "additionalProperties": {"type": "string"}},
    {**TRAY, "unevaluatedProperties": {"type": "string"}},
    {"type": "object", "$ref": "#/$defs/tray", "$defs": {"tray": TRAY}},
    {"type": "object", "allOf": [TRAY]},
]


def told(read: Any, options: str, schema: dict[str, Any]) -> list[str]:
    document = read(f"version: 1\noptions: {options}\n")
    return [str(complaint) for complaint in check_options(document, ("options",), schema)]


def test_a_key_that_the_schema_does_not_name_is_refused(read: Any) -> None:
    assert told(read, "{tray: A4, siez: A4}", TRAY) == [
        "file.yaml:2:21: options.siez: there is no key 'siez' here (did you mean 'size'?)"
    ]
    assert told(read, "{tray: A4, size: A4}", TRAY) == []


@pytest.mark.parametrize("schema", OPEN)
def test_unless_the_schema_says_otherwise(read: Any, schema: dict[str, Any]) -> None:
    assert told(read, "{tray: A4, colour: red}", schema) == []


def test_what_the_schema_says_of_others_holds(read: Any) -> None:
    schema = {**TRAY, "additionalProperties": {"type": "string"}}
    (complaint,) = told(read, "{tray: A4, sheets: 5}", schema)
    assert complaint.startswith("file.yaml:2:29: options.sheets: found the number 5")


def test_patterns_of_keys_name_keys(read: Any) -> None:
    schema = {"type": "object", "patternProperties": {"^x-": {"type": "string"}}}
    assert told(read, "{x-tray: A4}", schema) == []
    (complaint,) = told(read, "{y-tray: A4}", schema)
    assert "there is no key 'y-tray' here" in complaint


def test_only_the_options_themselves_are_closed(read: Any) -> None:
    schema = {"type": "object", "properties": {"tray": {"type": "object"}}}
    assert told(read, "{tray: {any: thing}}", schema) == []


def test_one_of_several_may_be_required_of_a_closed_schema(read: Any) -> None:
    schema = {**TRAY, "oneOf": [{"required": ["tray"]}, {"required": ["size"]}]}
    assert told(read, "{tray: A4}", schema) == []
    (complaint,) = told(read, "{tray: A4, colour: red}", schema)
    assert "there is no key 'colour' here" in complaint


@pytest.mark.parametrize("word", ["oneOf", "anyOf"])
def test_an_alternative_may_name_keys_of_its_own(read: Any, word: str) -> None:
    alternatives = [
        {"required": [name], "properties": {name: {"type": "string"}}} for name in ("key", "user")
    ]
    schema = {**TRAY, word: alternatives}
    assert told(read, "{key: k1, tray: A4}", schema) == []
    (complaint,) = told(read, "{key: k1, tray: A4, usr: jane}", schema)
    assert "there is no key 'usr' here (did you mean 'user'?)" in complaint
    assert told(read, "{tray: A4}", schema)


@pytest.mark.parametrize("part", ["connection_options", "job_options"])
def test_a_destination_that_describes_no_options_takes_none(read: Any, part: str) -> None:
    schema = getattr(Description("Paper mill"), part)
    for nothing in ("{}", "", "null"):
        assert told(read, nothing, schema) == []
    assert told(read, "{tray: A4}", schema) == [
        "file.yaml:2:11: options.tray: there is no key 'tray' here (no keys are expected here)"
    ]


def test_a_file_without_the_part_is_fine_where_nothing_is_required(read: Any) -> None:
    assert check_options(read("version: 1\n"), ("options",), TRAY) == []


def test_editors_are_told_the_same() -> None:
    job = {"version": 1, "name": "x", "source": "s", "segments": ["a"], "map": {"a": "b"}}
    closed = Draft202012Validator(compose("job", type="paper", job_options=TRAY))
    assert closed.is_valid({**job, "destination": {"tray": "A4"}})
    assert not closed.is_valid({**job, "destination": {"colour": "red"}})
    for schema in OPEN:
        opened = Draft202012Validator(compose("job", type="paper", job_options=schema))
        assert opened.is_valid({**job, "destination": {"tray": "A4", "colour": "red"}})
    file = {"version": 1, "name": "x", "type": "paper"}
    empty = Description("Paper mill").connection_options
    none = Draft202012Validator(compose("connection", type="paper", connection_options=empty))
    assert none.is_valid(file)
    assert not none.is_valid({**file, "options": {"account": "a"}})


def test_closing_a_schema_leaves_the_plugin_s_own_as_it_is(read: Any) -> None:
    schema = {"type": "object", "properties": {}}
    told(read, "{a: b}", schema)
    compose("job", job_options=schema)
    assert schema == {"type": "object", "properties": {}}
