"""The house as docs and design draw it: which room knows which, and how large things may get."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "exportkit"

WORDS = ("errors", "services", "records", "hookspecs", "redaction", "durable")
ROOMS = ("config", "host", "engines", "state", "access", "pipeline", "operations", "cli")
ASIDE = "testing"

STAGES = ("prepare", "source", "mapping", "accept", "plan", "guards", "push", "settle", "outcome")
KNOW_THE_STAGES = ("run", "planning", "delivery", "validate")
"""`run` is the sentence, `planning` and `delivery` its two halves. The rest of the pipeline is what
stages share: nouns and tools, such as `handover`."""

LONGEST_FILE = 330
LONGEST_FUNCTION = 50


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
CODE = [
    path
    for folder in (PACKAGE, ROOT / "plugins")
    for path in sorted(folder.rglob("*.py"))
    if "tests" not in path.parts
]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[tuple[str, int]]:
    """Each module of the package that this one imports, wherever and however, with the line."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree_of(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package.rsplit(".", node.level - 1)[0] if node.level else ""
            origin = ".".join(filter(None, (start, node.module)))
            names = [f"{origin}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else origin for name in names]
        elif isinstance(node, ast.Constant):
            # for import_module, or the name of a logger
            names = [name for name in MODULES if name == node.value and "." in name]
        line = getattr(node, "lineno", 0)
        yield from ((n, line) for n in names if n.split(".")[0] == "exportkit" and n != module)


def room_of(module: str) -> str:
    """The room, or the word, that a module belongs to. The package itself stands for the words."""
    return f"{module}.".split(".")[1] or "durable"


def rank(room: str) -> int:
    return 0 if room in WORDS else 1 + ROOMS.index(room)


def test_every_room_is_known() -> None:
    assert {room_of(module) for module in MODULES} == {*WORDS, *ROOMS, ASIDE}


def test_imports_are_found_wherever_they_stand() -> None:
    found = {name for module in MODULES for name, _ in imports(module)}
    assert "exportkit.state.folder" in found
    assert "exportkit.hookspecs" in found, "`from exportkit import hookspecs` names a module"
    local = dict(imports("exportkit.state.house"))
    assert "exportkit.state.journal" in local, "under TYPE_CHECKING, or in a function"


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in ROOMS])
def test_a_room_imports_only_from_rooms_above_it(module: str) -> None:
    room = room_of(module)
    wrong = [
        f"{MODULES[module].relative_to(ROOT)}:{line} imports {name}"
        for name, line in imports(module)
        if room_of(name) == ASIDE or rank(room_of(name)) > rank(room)
    ]
    assert wrong == []


@pytest.mark.parametrize("word", WORDS)
def test_the_words_know_only_words_before_them(word: str) -> None:
    before = WORDS[: WORDS.index(word)]
    assert {room_of(name) for name, _ in imports(f"exportkit.{word}")} <= set(before)


def test_the_package_itself_shows_words_alone() -> None:
    assert {room_of(name) for name, _ in imports("exportkit")} <= set(WORDS)


PIPELINE = [name.rpartition(".")[2] for name in MODULES if name.startswith("exportkit.pipeline.")]


def stages_known_to(part: str) -> dict[str, str]:
    """The other stages that a part of the pipeline imports, each with the place."""
    module = f"exportkit.pipeline.{part}"
    where, known = MODULES[module].relative_to(ROOT), dict(imports(module))
    stages = {stage: known.get(f"exportkit.pipeline.{stage}") for stage in STAGES}
    return {stage: f"{where}:{line}" for stage, line in stages.items() if line}


def test_the_stages_are_there() -> None:
    assert set(PIPELINE) > {*STAGES, *KNOW_THE_STAGES}
    halves = ("run", "planning", "delivery")
    known = {stage for half in halves for stage in stages_known_to(half)}
    assert known == set(STAGES), "the sentence that joins them, in two halves"


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_of_the_pipeline_imports_another(stage: str) -> None:
    assert stages_known_to(stage) == {}


@pytest.mark.parametrize("tool", sorted({*PIPELINE} - {*STAGES, *KNOW_THE_STAGES}))
def test_what_stages_share_knows_none_but_the_noun_of_the_first(tool: str) -> None:
    """`prepare` makes the job with all that it names, which the others carry on."""
    assert set(stages_known_to(tool)) <= {"prepare"}


def plugin_names() -> set[str]:
    """The names of folder, distribution, module and type of each plugin in this repository."""
    names: set[str] = set()
    for file in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        offered = project.get("entry-points", {}).get("exportkit", {})
        modules = {module.partition(":")[0] for module in offered.values()}
        names |= {file.parent.name, project["name"], *offered, *modules}
    return names


FORMATS = {"csv"}
PROTOCOLS = {"http"}
"""Plugins that are named as a format of files is."""


def test_the_plugins_are_found() -> None:
    assert {"csv", "exportkit-csv", "exportkit_csv", "constant_contact"} <= plugin_names()


@pytest.mark.parametrize("module", MODULES)
def test_no_plugin_is_known_by_name(module: str) -> None:
    """Not even in comments. A format's name may be a word, and a text where files are read."""
    names = plugin_names()
    spelled = [re.sub("[-_]", "[-_ ]?", name) for name in sorted(names - FORMATS - PROTOCOLS)]
    found = re.findall("|".join(spelled), MODULES[module].read_text(encoding="utf-8"), flags=re.I)
    constants = [n.value for n in ast.walk(tree_of(MODULES[module])) if isinstance(n, ast.Constant)]
    texts = {value for value in constants if isinstance(value, str)}
    if room_of(module) != "engines":
        found += texts & (names - PROTOCOLS)
    assert found == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_named_after_nothing(path: Path) -> None:
    names = set(path.relative_to(ROOT).with_suffix("").parts)
    assert not names & {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}


TOO_LONG_YET: set[str] = set()
"""Files that are to be split: the list can only get shorter."""


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_at_one_sitting(path: Path, request: pytest.FixtureRequest) -> None:
    if str(path.relative_to(ROOT)) in TOO_LONG_YET:
        reason = "if it is short now, take it off the list"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_fits_on_a_page(path: Path) -> None:
    sizes = {
        f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: size for name, size in sizes.items() if size > LONGEST_FUNCTION} == {}
