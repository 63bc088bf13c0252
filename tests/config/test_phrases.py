from __future__ import annotations

from typing import Any

import pytest

from exportkit.config.phrases import as_boolean, as_name, expected, found, short


@pytest.mark.parametrize(
    ("value", "phrase"),
    [
        (None, "nothing"),
        ({}, "an empty mapping"),
        ({"a": 1}, "a mapping"),
        ([], "an empty list"),
        ([1], "a list"),
        ("", "empty text"),
        ("a", "the text 'a'"),
        (True, "true"),
        (1.5, "the number 1.5"),
    ],
)
def test_found(value: Any, phrase: str) -> None:
    assert found(value, secret=False) == phrase


@pytest.mark.parametrize("value", ["hunter2", 12345, {"a": "hunter2"}, ["hunter2"]])
def test_found_but_not_shown(value: Any) -> None:
    phrase = found(value, secret=True)
    assert "hunter2" not in phrase
    assert "12345" not in phrase


@pytest.mark.parametrize(
    ("schema", "keyword", "phrase"),
    [
        ({"type": ["string", "null"]}, "type", "text or nothing"),
        ({"type": "array"}, "type", "a list"),
        ({"enum": ["a", 1]}, "enum", "one of: a, 1"),
        ({"const": "a"}, "const", "'a'"),
        ({"const": True}, "const", "true"),
        ({"minLength": 1}, "minLength", "at least 1 character"),
        ({"maxItems": 3}, "maxItems", "at most 3 items"),
        ({"minProperties": 2}, "minProperties", "at least 2 keys"),
        ({"exclusiveMinimum": 0}, "exclusiveMinimum", "more than 0"),
        ({"exclusiveMaximum": 9}, "exclusiveMaximum", "less than 9"),
        ({"multipleOf": 5}, "multipleOf", "a multiple of 5"),
        ({"format": "email"}, "format", "an e-mail address"),
        ({"format": "odd"}, "format", "text of the format odd"),
        ({"pattern": "^x", "examples": ["xy"]}, "pattern", "text of the form ^x, for example xy"),
        ({"not": {}, "description": "Anything but that."}, "not", "Anything but that."),
        ({"not": {}}, "not", "something else"),
        ({"type": "string", "x-expected": "a tray"}, "type", "a tray"),
    ],
)
def test_expected(schema: dict[str, Any], keyword: str, phrase: str) -> None:
    assert expected(schema, keyword, schema[keyword]) == phrase


@pytest.mark.parametrize(
    ("text", "name"),
    [("VIP Newsletter", "vip-newsletter"), ("_x_", "x"), ("Öl", "l"), ("!!", None), ("", None)],
)
def test_as_name(text: str, name: str | None) -> None:
    assert as_name(text) == name


def test_as_boolean() -> None:
    assert as_boolean("Yes") == "write true, without quotes"
    assert as_boolean("off") == "write false, without quotes"
    assert as_boolean("maybe") is None


def test_short() -> None:
    assert short("a\tb\x1b") == "a\\tb\\x1b"
    assert short("x" * 60) == "x" * 60
    assert short("x" * 61) == "x" * 60 + "..."
