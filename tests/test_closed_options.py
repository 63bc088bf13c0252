"""A plugin's schema is closed unless it says otherwise: a misspelled option is never ignored."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from exportkit.config.documents import read_document
from exportkit.config.schemas import check_options, compose
from exportkit.host import load_plugins

if TYPE_CHECKING:
    from pathlib import Path

COLOUR = {"colour": {"enum": ["red", "green"]}}
MISSPELLED = {"colur": "red"}

CLOSED: dict[str, dict[str, Any]] = {
    "nothing at all": {},
    "a type": {"type": "object"},
    "properties": {"type": "object", "properties": COLOUR},
    "alternatives by key": {
        "properties": {**COLOUR, "shade": {"type": "integer"}},
        "anyOf": [{"required": ["colour"]}, {"required": ["shade"]}, {}],
    },
    "closed by itself": {"properties": COLOUR, "additionalProperties": False},
    "closed by itself, also over parts": {
        "allOf": [{"properties": COLOUR}],
        "unevaluatedProperties": False,
    },
}
OPEN: dict[str, dict[str, Any]] = {
    "open on purpose": {"properties": COLOUR, "additionalProperties": True},
    "texts by any name": {"properties": COLOUR, "additionalProperties": {"type": "string"}},
    "whatever is not looked at": {"properties": COLOUR, "unevaluatedProperties": True},
    "parts that name the keys": {"allOf": [{"properties": COLOUR}]},
    "a part elsewhere": {"$ref": "#/$defs/all", "$defs": {"all": {"properties": COLOUR}}},
    "names by pattern": {"patternProperties": {"^col": {"type": "string"}}},
}


def complaints(folder: Path, schema: dict[str, Any], options: dict[str, Any]) -> list[str]:
    file = folder / "job.yaml"
    file.write_text(yaml.safe_dump({"destination": options}), encoding="utf-8")
    document = read_document(file, "job.yaml")
    return [str(found) for found in check_options(document, ("destination",), schema)]


def accepts(schema: dict[str, Any], options: dict[str, Any]) -> bool:
    """What an editor says with the composed schema."""
    job = {"version": 1, "name": "x", "source": "s", "segments": ["a"], "map": {"a": "b"}}
    composed = compose("job", type="mill", job_options=schema)
    Draft202012Validator.check_schema(composed)
    return Draft202012Validator(composed).is_valid({**job, "destination": options})


@pytest.mark.parametrize("schema", CLOSED.values(), ids=CLOSED)
def test_an_unknown_option_is_an_error(tmp_path: Path, schema: dict[str, Any]) -> None:
    (found,) = complaints(tmp_path, schema, MISSPELLED)
    assert found.startswith("job.yaml:2:3: destination.colur: there is no key 'colur' here")
    assert not accepts(schema, MISSPELLED)


@pytest.mark.parametrize("schema", OPEN.values(), ids=OPEN)
def test_a_schema_may_be_open(tmp_path: Path, schema: dict[str, Any]) -> None:
    assert complaints(tmp_path, schema, MISSPELLED) == []
    assert accepts(schema, MISSPELLED)


@pytest.mark.parametrize("schema", [*CLOSED.values(), *OPEN.values()], ids=[*CLOSED, *OPEN])
def test_no_options_are_always_right_where_none_is_required(
    tmp_path: Path, schema: dict[str, Any]
) -> None:
    assert complaints(tmp_path, schema, {}) == []
    assert accepts(schema, {})


@pytest.mark.parametrize("schema", [*CLOSED.values(), *OPEN.values()], ids=[*CLOSED, *OPEN])
def test_the_plugin_s_own_schema_is_left_as_it_is(tmp_path: Path, schema: dict[str, Any]) -> None:
    before = deepcopy(schema)
    complaints(tmp_path, schema, MISSPELLED)
    accepts(schema, MISSPELLED)
    assert schema == before


def test_the_nearest_option_is_offered(tmp_path: Path) -> None:
    (found,) = complaints(tmp_path, CLOSED["properties"], MISSPELLED)
    assert found.endswith("(did you mean 'colour'?)")


def test_only_the_options_themselves_are_closed(tmp_path: Path) -> None:
    """What lies deeper is the plugin's own to close."""
    schema = {"properties": {"tray": {"type": "object", "properties": COLOUR}}}
    assert complaints(tmp_path, schema, {"tray": MISSPELLED}) == []
    assert accepts(schema, {"tray": MISSPELLED})


INSTALLED = {plugin.name: plugin for plugin in load_plugins().plugins}


@pytest.mark.parametrize("name", INSTALLED)
def test_no_installed_destination_takes_unknown_options(tmp_path: Path, name: str) -> None:
    facts = load_plugins().destination(name).describe()
    for schema in (facts.job_options, facts.connection_options):
        found = complaints(tmp_path, dict(schema), {"no_such_option": 1})
        assert any("there is no key 'no_such_option' here" in each for each in found)
