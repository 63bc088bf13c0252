"""docs/testing.md says what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from exportkit.testing import FAULTS, DestinationContract
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


def test_every_test_of_the_contract_is_told_in_their_order() -> None:
    tests = [name for name in vars(DestinationContract) if name.startswith("test_")]
    assert re.findall(r"^\| `(test_\w+)` \| ", TEXT, re.MULTILINE) == tests


def test_every_attribute_of_the_contract_is_told() -> None:
    told = "\n".join(re.findall(r"^\| (`.+?`) \| ", TEXT, re.MULTILINE))
    names = {name for name in vars(DestinationContract) if not name.startswith(("test_", "_"))}
    assert names - {"stand", "fields_of", "pytestmark"} <= set(re.findall(r"\w+", told))


def test_every_fault_of_the_server_is_told() -> None:
    rows = dict(re.findall(r"^\| `([\w ]+)` \| (yes|no) \| ", TEXT, re.MULTILINE))
    assert rows == {name: "yes" if fault.reaches else "no" for name, fault in FAULTS.items()}


def test_the_module_that_is_shown_is_a_whole_one(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n([^`]*class TestFiles.*?)```", TEXT, re.DOTALL)
    (tmp_path / "test_shown.py").write_text(code, encoding="utf-8")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^1\d passed", done.stdout, re.MULTILINE), done.stdout
