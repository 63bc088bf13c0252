"""docs/testing.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path

from exportkit.testing.faults import DEEDS, HOOKS, SCHEMA

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")


def test_every_deed_is_told_in_the_words_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", TEXT, re.MULTILINE))
    assert {name: rows.get(name) for name in DEEDS} == DEEDS


def test_every_key_of_a_rule_is_told() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", TEXT, re.MULTILINE)
    assert set(SCHEMA["items"]["properties"]) <= set(rows)
    (hooks,) = re.findall(r"^\| `hook` \| (.+) \| \|$", TEXT, re.MULTILINE)
    assert re.split(r", | or ", hooks) == list(HOOKS)
