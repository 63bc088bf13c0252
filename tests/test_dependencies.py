"""Every dependency has its reason in docs/dependencies.md, and no reason is left of an old one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def requirements(project: dict[str, Any]) -> list[str]:
    declared = project["project"]
    optional = [*declared.get("optional-dependencies", {}).values()]
    groups = [*project.get("dependency-groups", {}).values()]
    return sum([*optional, *groups], list(declared.get("dependencies", [])))


def declared() -> set[str]:
    files = [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    projects = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    lines = [line for project in projects for line in requirements(project)]
    return {re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines} - {"exportkit"}


def test_each_dependency_is_explained() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| ([A-Za-z0-9._-]+) \| .{10,} \|$", page, flags=re.MULTILINE)
    assert set(explained) == declared()
