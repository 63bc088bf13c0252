"""Options that are made up fit the schema that they are made up for."""

from __future__ import annotations

from typing import Any

import pytest

from exportkit.config.examples import options_that_fit, reference
from exportkit.config.schemas import fits

TEXT = {"type": "string"}
SCHEMAS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "only what is required": (
        {"required": ["a"], "properties": {"a": TEXT, "b": TEXT}},
        {"a": "example"},
    ),
    "its own words first": (
        {
            "required": ["a", "b", "c", "d"],
            "properties": {
                "a": {"examples": ["x"], "default": "y"},
                "b": {"default": 7},
                "c": {"const": True},
                "d": {"enum": ["p", "q"]},
            },
        },
        {"a": "x", "b": 7, "c": True, "d": "p"},
    ),
    "kinds": (
        {
            "required": ["a", "b", "c", "d", "e"],
            "properties": {
                "a": {"type": "integer", "minimum": 10},
                "b": {"type": "number", "exclusiveMinimum": 0},
                "c": {"type": "boolean"},
                "d": {"type": ["array", "null"], "items": TEXT, "minItems": 2},
                "e": {"type": "object", "required": ["f"], "properties": {"f": TEXT}},
            },
        },
        {"a": 10, "b": 1, "c": False, "d": ["example"] * 2, "e": {"f": "example"}},
    ),
    "patterns and formats": (
        {
            "required": ["a", "b", "c", "d"],
            "properties": {
                "a": {"type": "string", "pattern": "^https?://"},
                "b": {"type": "string", "format": "output-path"},
                "c": {"type": "string", "pattern": "^[0-9a-f]{8}-"},
                "d": {"type": "string", "pattern": r"^\d+$"},
            },
        },
        {
            "a": "https://example.com/people",
            "b": "out/people.txt",
            "c": "00000000-0000-4000-8000-000000000000",
            "d": "1",
        },
    ),
    "one of": (
        {"properties": {"a": TEXT, "b": TEXT}, "oneOf": [{"required": ["b"]}, {"required": ["a"]}]},
        {"b": "example"},
    ),
    "the second of them": (
        {
            "required": ["a"],
            "properties": {"a": {"enum": ["x"]}, "b": TEXT, "c": TEXT},
            "anyOf": [
                {"required": ["b"], "properties": {"a": {"const": "y"}}},
                {"required": ["c"]},
            ],
        },
        {"a": "x", "c": "example"},
    ),
    "secrets": (
        {"required": ["api_key"], "properties": {"api_key": TEXT}},
        {"api_key": "${env:API_KEY}"},
    ),
    "references": (
        {
            "required": ["a"],
            "properties": {"a": {"$ref": "#/$defs/word"}},
            "$defs": {"word": {"type": "string", "enum": ["yes"]}},
        },
        {"a": "yes"},
    ),
    "all of": (
        {"properties": {"a": TEXT}, "allOf": [{"required": ["a"]}]},
        {"a": "example"},
    ),
}


@pytest.mark.parametrize("case", SCHEMAS)
def test_what_is_made_up_fits(case: str) -> None:
    schema, expected = SCHEMAS[case]
    schema = {"type": "object", **schema}
    found = options_that_fit(schema)
    assert found == expected
    assert fits(schema, found)


def test_what_cannot_be_guessed_is_left_to_be_filled_in() -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "string", "pattern": "^zz[0-9]{7}$"}},
    }
    assert options_that_fit(schema) == {"a": "..."}


def test_a_broken_schema_fits_nothing() -> None:
    assert not fits({"type": "object", "properties": {"a": {"type": "nonsense"}}}, {"a": 1})


def test_a_variable_is_called_like_the_option() -> None:
    assert reference("client-secret") == "${env:CLIENT_SECRET}"
