"""What `exportkit` offers to plugins: all of it there, described, in order, and enough."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import exportkit

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path for path in (ROOT / "plugins").rglob("*.py") if "tests" not in path.parts)


def test_the_names_are_sorted_and_named_once() -> None:
    assert sorted(set(exportkit.__all__)) == list(exportkit.__all__)


@pytest.mark.parametrize("name", exportkit.__all__)
def test_every_name_is_there_and_described(name: str) -> None:
    thing = getattr(exportkit, name)
    described = inspect.getdoc(thing)
    assert described
    assert not described.startswith(f"{name}("), "a dataclass describes itself, badly"
    assert thing.__doc__, "inherited words describe something else"


def test_nothing_public_is_left_out() -> None:
    """What the package itself imports from its modules is there to be offered."""
    tree = ast.parse(Path(exportkit.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(exportkit.__all__)


def test_a_star_import_brings_these_and_no_module() -> None:
    found: dict[str, object] = {}
    exec("from exportkit import *", found)
    assert set(found) - {"__builtins__"} == set(exportkit.__all__)


def used(path: Path) -> set[str]:
    """The names of the host that a plugin's module uses, dotted where they are not public."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("exportkit.")}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if node.module == "exportkit":
                names |= {alias.name for alias in node.names}
            elif (node.module or "").startswith("exportkit."):
                names.add(node.module or "")
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "exportkit":
            names.add(node.attr)
    return names


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_needs_nothing_else(path: Path) -> None:
    assert used(path) <= set(exportkit.__all__)


def test_the_sample_uses_the_public_names() -> None:
    names = used(ROOT / "plugins" / "csv" / "exportkit_csv.py")
    assert {"hookimpl", "Batch", "Draft"} <= names


def test_importing_them_loads_nothing_heavy() -> None:
    heavy = ["duckdb", "pyarrow", "narwhals", "sqlalchemy", "sqlglot", "jsonschema", "rich", "yaml"]
    code = f"import sys, exportkit; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
