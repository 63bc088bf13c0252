"""The sample workspace: editors can check it, and its people are as awkward as it promises."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from exportkit.config.workspace import open_workspace

ROOT = Path(__file__).parents[1]
WORKSPACES = [ROOT / "configs", ROOT / "benchmarks" / "workspace"]
FILES = [file for workspace in WORKSPACES for file in sorted(workspace.glob("**/*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_says_its_schema_to_editors(file: Path) -> None:
    kinds = {"sources": "source", "connections": "connection", "jobs": "job"}
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    pointed = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert pointed, "the first line is for the editor"
    schema = f"{kinds.get(file.parent.name, 'workspace')}.schema.json"
    assert (file.parent / pointed[1]).resolve() == ROOT / "schemas" / schema


@pytest.mark.parametrize("folder", WORKSPACES, ids=lambda folder: folder.name)
def test_nothing_is_wrong_with_any_file(folder: Path) -> None:
    workspace = open_workspace(folder)
    listings = [workspace.sources(), workspace.connections(), workspace.jobs()]
    assert [complaint for listing in listings for complaint in listing.complaints] == []
    found = sum(len(listing.items) for listing in listings)
    assert found == len([file for file in FILES if folder in file.parents]) - 1


def test_the_people_are_invented() -> None:
    text = (ROOT / "configs" / "data" / "profiles.csv").read_text(encoding="utf-8")
    domains = set(re.findall(r"@@?([^\s,;@]+)", text))
    reserved = re.compile(r"([\w-]+\.)?-?example(\.(com|org|net))?", re.IGNORECASE)
    assert [domain for domain in domains if not reserved.fullmatch(domain)] == []
    phones = {row["phone"] for row in csv.DictReader(text.splitlines(keepends=True))}
    invented = re.compile(r"(\+44 20|020) 7946 0\d{3}|\+1 \(202\) 555-01\d\d|not yet known|")
    assert [phone for phone in phones if not invented.fullmatch(phone)] == []
