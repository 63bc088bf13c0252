"""The pages that follow from the code are as the code says; links lead somewhere."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import exportkit
from exportkit import hookspecs

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GENERATE = runpy.run_path(str(DOCS / "generate.py"))
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("name", [*GENERATE["PAGES"], *GENERATE["WHOLE"]])
def test_a_generated_page_is_fresh(name: str) -> None:
    fresh = GENERATE["page"](name)
    assert (DOCS / name).read_text(encoding="utf-8") == fresh, "run: python docs/generate.py"


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff here")
def test_the_manual_page_is_one() -> None:
    command = ["groff", "-man", "-ww", "-K", "utf-8", "-T", "utf8", str(DOCS / "exportkit.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert "exportkit - Send segments" in plain
    assert "exportkit run --all --parallel 4 --json" in plain


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link.strip() for link in LINK.findall(page.read_text(encoding="utf-8"))]
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert [
        p.name for p in DOCS.glob("*.md") if p.name != "README.md" and p.name not in index
    ] == []


def test_every_key_of_the_schemas_is_on_the_page() -> None:
    page = (DOCS / "files.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", " ".join(re.findall(r"^- `([^`]+)`", page, re.MULTILINE))))
    for schema in sorted((ROOT / "schemas").glob("*.json")):
        missing = keys(json.loads(schema.read_text(encoding="utf-8"))) - words
        assert not missing, f"{schema.name}: {missing}"


def test_whatever_a_plugin_may_import_is_on_the_page_of_the_contract() -> None:
    page = (DOCS / "hooks.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^### (\w+)$|^- `(\w+)`:", page, re.MULTILINE))
    names = {name for pair in told for name in pair if name}
    assert set(exportkit.__all__) - {"hookimpl"} <= names
    hooks = {name for name, spec in vars(hookspecs).items() if hasattr(spec, "exportkit_spec")}
    assert hooks <= names


def keys(schema: object) -> set[str]:
    """The names of all properties, however deep."""
    if isinstance(schema, list):
        return set().union(*map(keys, schema))
    if not isinstance(schema, dict):
        return set()
    named = schema.get("properties", {})
    below = [value for name, value in schema.items() if name not in ("examples", "properties")]
    return set(named) | keys([*named.values(), *below])


def test_the_map_that_is_shown_delivers(tmp_path: Path) -> None:
    shown = re.search(r"```yaml\n(map:.*?)```", (DOCS / "files.md").read_text("utf-8"), re.DOTALL)
    assert shown
    for name, text in {
        "exportkit.yaml": "version: 1\n",
        "sources/people.yaml": "version: 1\nname: people\nfile: people.csv\nkey: id\n"
        "segments: {all: {}}\n",
        "connections/files.yaml": "version: 1\nname: files\ntype: csv\n",
        "jobs/letter.yaml": "version: 1\nname: letter\nsource: people\nsegments: [all]\n"
        f"connection: files\ndestination: {{path: letter.csv}}\n{shown[1]}",
        "people.csv": "id,email,first_name,last_name,birth_date,tier\n"
        "1, JANE@example.com,jane,Doe,2/1/1990,\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("exportkit")), "run", "letter"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "letter.csv").read_text(encoding="utf-8").splitlines()[1] == (
        '"jane@example.com","Jane","jane Doe","1990-01-02","none","exportkit"'
    )
