"""The guide's examples are right: files that validate, scenarios that load, options that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from exportkit_constant_contact import options
from exportkit_constant_contact.sandbox import Scenario
from exportkit_constant_contact.sandbox.command import sandbox

from exportkit.config.documents import read_document
from exportkit.config.schemas import check, check_options

PAGES = (
    Path(__file__).parents[3] / "docs" / "constant-contact.md",
    Path(__file__).parents[1] / "README.md",
)
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCKS = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PARTS = {
    "connections": ("connection", "options", options.CONNECTION),
    "jobs": ("job", "destination", options.JOB),
}


@pytest.mark.parametrize(("name", "text"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_every_file_is_right(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    kind, at, schema = PARTS.get(name.partition("/")[0], ("", "", {}))
    if not kind:
        assert Scenario.read(path).effects_on("POST", "/activities/contacts_file_import").reset
        return
    document = read_document(path, name)
    assert check(document, kind) == []
    assert check_options(document, (at,), schema) == []


def test_every_option_of_a_job_is_told() -> None:
    rows = " ".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE))
    assert set(options.JOB["properties"]) <= set(re.findall(r"\w+", rows))


def test_every_flag_of_the_sandbox_that_is_named_is_there() -> None:
    known = {flag for option in sandbox.params for flag in (*option.opts, *option.secondary_opts)}
    named = re.findall(r"constant-contact sandbox( --.*)$", TEXT, re.MULTILINE)
    assert named
    assert set(re.findall(r"--[a-z-]+", " ".join(named))) <= known


def test_every_effect_is_told() -> None:
    from dataclasses import fields

    from exportkit_constant_contact.sandbox import Effects

    effects = {each.name for each in fields(Effects)} - {"fate"}
    assert effects <= set(re.findall(r"`(\w+)`", TEXT))
