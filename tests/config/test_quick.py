"""The quick yes against jsonschema: never yes where that finds something."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from exportkit.config.quick import surely_a_schema, surely_valid
from exportkit.config.schemas import compose

from .samples import ANYTHING, VALID, places, replaced


def is_valid(schema: dict[str, Any], value: Any) -> bool:
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(schema, format_checker=checker).is_valid(value)


@pytest.mark.parametrize("kind", VALID)
def test_exact_about_our_own_schemas(kind: str) -> None:
    schema = compose(kind)
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert surely_valid(schema, VALID[kind])
    for path in places(VALID[kind]):
        for value in ANYTHING:
            data = replaced(VALID[kind], path, value)
            assert surely_valid(schema, data) == validator.is_valid(data), (path, value)
    for key in VALID[kind]:
        data = {name: value for name, value in VALID[kind].items() if name != key}
        assert surely_valid(schema, data) == validator.is_valid(data), key


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, 1.5])
    | (st.sampled_from(["", "a", "ab", "2026-11-20", "2026-13-01", "1"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
NAMES = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
SIZES = st.integers(0, 3)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "enum": st.lists(SCALARS, min_size=1, max_size=3),
            "const": SCALARS,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": inner,
            "patternProperties": st.just({"^a": True}),
            "propertyNames": inner,
            "required": NAMES,
            "dependentRequired": st.dictionaries(st.sampled_from("abc"), NAMES, max_size=1),
            "items": inner,
            "prefixItems": several,
            "minItems": SIZES,
            "maxItems": SIZES,
            "uniqueItems": st.booleans(),
            "minProperties": SIZES,
            "maxProperties": SIZES,
            "minLength": SIZES,
            "maxLength": SIZES,
            "minimum": SIZES,
            "maximum": SIZES,
            "exclusiveMinimum": SIZES,
            "pattern": st.sampled_from(["^a", "b$", "[0-9]"]),
            "format": st.sampled_from(["date", "output-path", "email", "uuid"]),
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.just("#/$defs/x"),
            "unevaluatedProperties": inner,
            "contains": inner,
            "title": st.just("t"),
            "x-expected": st.just("e"),
        },
    )


SCHEMAS = st.recursive(st.booleans(), keywords, max_leaves=8)


@given(SCHEMAS, keywords(st.booleans()), VALUES)
@settings(max_examples=400, deadline=None)
def test_never_yes_where_jsonschema_says_no(schema: Any, referred: Any, value: Any) -> None:
    referred.pop("$ref", None)
    whole = {"allOf": [schema], "$defs": {"x": referred}}
    if surely_valid(whole, value):
        assert is_valid(whole, value)


KEYWORDS = [
    *("type", "properties", "items", "required", "enum", "pattern", "minLength", "maximum"),
    *("default", "examples", "title", "additionalProperties", "contains", "minItems"),
]
SHAPES = st.recursive(
    st.one_of(st.booleans(), st.integers(-2, 2), st.sampled_from(["string", "a", "("]), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(KEYWORDS),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "items", "required", "oneOf", "not"]), SHAPES
    )
)
@settings(max_examples=400, deadline=None)
def test_no_schema_is_plain_that_jsonschema_refuses(schema: dict[str, Any]) -> None:
    if surely_a_schema(schema):
        Draft202012Validator.check_schema(schema)


def test_what_plugins_say_of_their_options_is_plain() -> None:
    text = {"type": "string", "pattern": "^[a-z]+$", "description": "d", "maxLength": 3}
    schema = {"type": "object", "properties": {"a": text}, "required": ["a"]}
    assert surely_a_schema(schema)
    assert surely_a_schema({**schema, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]})
    assert not surely_a_schema({**schema, "oneOf": []})
    assert not surely_a_schema({**schema, "required": "a"})
    assert not surely_a_schema({**schema, "properties": {"a": {"pattern": "("}}})


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#"}, "x"),
        ({"$ref": "#/$defs/nowhere"}, "x"),
        ({"$ref": "https://example.com/x.json"}, "x"),
        ({"type": "strin"}, "x"),
        ({"pattern": "("}, "x"),
        ({"contains": True}, ["x"]),
        ({"format": "email"}, "x"),
        ({"const": [1]}, [True]),
        ({"properties": 5}, {"a": "x"}),
        ({"properties": {"a": 5}}, {"a": "x"}),
        ({"items": [True]}, ["x"]),
    ],
)
def test_unsure_is_no_also_where_no_would_be_yes(schema: dict[str, Any], value: Any) -> None:
    assert not surely_valid(schema, value)
    assert not surely_valid({"not": schema}, value)


def test_files_that_are_right_load_no_jsonschema(folder) -> None:
    code = (
        "import sys\n"
        "from exportkit.config.workspace import open_workspace\n"
        "workspace = open_workspace()\n"
        "job = workspace.job('vip-newsletter')\n"
        "workspace.source(job.source), workspace.connection(job.connection)\n"
        "heavy = {'jsonschema', 'rapidfuzz', 'duckdb', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)
