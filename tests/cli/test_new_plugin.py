"""`exportkit plugins new`: what it writes installs, passes its own tests, and delivers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exportkit.operations.newplugin import Wishes, write_plugin
from tests.cli.test_adding import person  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]
LONG = "a_mill-with-a-name-of-forty-letters-long"
FLAVOURS = {
    "paper-mill": Wishes("paper-mill"),
    LONG: Wishes(LONG, "customer_id", bulk=False, auth="oauth"),
    "nothing2say": Wishes("nothing2say", "last_name", bulk=False, auth="none"),
    "id": Wishes("id", "id", auth="oauth"),
}


@dataclass(frozen=True)
class Made:
    """A new plugin, installed into a folder of its own."""

    wishes: Wishes
    folder: Path
    site: Path

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python beside the plugin, where it is installed."""
        environment = {**os.environ, "PYTHONPATH": str(self.site), "PYTEST_ADDOPTS": ""}
        if self.wishes.variable:
            environment[self.wishes.variable] = "anything"
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self) -> dict[str, int]:
        """Run the sample job; answers its counts."""
        words = ("--workspace", "sample", "run", self.wishes.name, "--json")
        done = self.python("-c", "from exportkit.cli import main; main()", *words)
        assert done.returncode == 0, done.stderr
        counts: dict[str, int] = json.loads(done.stdout)["runs"][0]["counts"]
        return counts


def installed(wishes: Wishes, place: Path) -> Made:
    """A plugin as it is written, built and installed by pip, without a network."""
    made = Made(wishes, place / wishes.distribution, place / "site")
    write_plugin(wishes, made.folder, ())
    alone = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target")
    done = made.python("-m", "pip", "install", *alone, str(made.site), ".")
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("name", FLAVOURS)
def test_it_installs_passes_its_own_tests_and_delivers(name: str, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    made = installed(FLAVOURS[name], tmp_path)
    passes_its_own_tests(made)
    delivers_at_once_and_only_what_changed(made)
    is_code_as_ours_is(made)


def passes_its_own_tests(made: Made) -> None:
    done = made.python("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout
    passed = int(done.stdout.rpartition("\n")[0].rpartition("\n")[2].split(" ")[0])
    assert passed >= 12, done.stdout


def delivers_at_once_and_only_what_changed(made: Made) -> None:
    counts = made.run()
    assert (counts["selected"], counts["added"], counts["refused"]) == (3, 2, 1)
    file = made.folder / "sample" / "out" / f"{made.wishes.name}.jsonl"
    entries = [json.loads(line) for line in file.read_text().splitlines() if line]
    people = [each for entry in entries for each in entry["people"]]
    assert [each["first_name"] for each in people] == ["Ann", "Bob"]
    assert len(entries) == (1 if made.wishes.bulk else 3)
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_text()
    assert made.run()["unchanged"] == 2
    assert file.read_text() == before


def is_code_as_ours_is(made: Made) -> None:
    ours = ("--config", str(ROOT / "pyproject.toml"), "--no-cache")
    for words in (("check", "--ignore", "S101,RUF012,ARG002"), ("format", "--check")):
        done = made.python("-m", "ruff", *words, *ours, ".")
        assert done.returncode == 0, done.stdout


def test_the_types_are_right(tmp_path: Path) -> None:
    for wishes in FLAVOURS.values():
        write_plugin(wishes, tmp_path / wishes.distribution, ())
    modules = map(str, tmp_path.glob("*/exportkit_*.py"))
    words = ("--strict", "--no-incremental", "--config-file", os.devnull, *modules)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_words_that_it_says_are_the_next_steps(exportkit: Command, workspace: Path) -> None:
    said = exportkit("plugins", "new", "mill", "--auth", "none")
    assert said.code == 0
    assert said.out.splitlines() == [
        "10 files are in exportkit-mill; now try",
        "  cd exportkit-mill",
        "  pip install -e . 'exportkit[testing]'",
        "  python -m pytest",
        "  exportkit --workspace sample run mill",
    ]
    assert (workspace / "exportkit-mill" / "exportkit_mill.py").is_file()


def test_a_person_is_asked_for_what_was_not_said(
    exportkit: Command,
    workspace: Path,
    person: Command,  # noqa: F811 - the fixture
) -> None:
    person("customer_id", "row", "oauth")
    said = exportkit("plugins", "new", "mill", "--into", "here")
    assert said.code == 0, said.err
    assert "tells people apart [email]" in said.err
    module = (workspace / "here" / "exportkit_mill.py").read_text()
    assert 'Column("customer_id", key=True, required=True)' in module
    assert "a call each" in module
    assert "def authorize" in module


def test_nobody_is_asked_where_all_was_said(
    exportkit: Command,
    workspace: Path,
    person: Command,  # noqa: F811 - the fixture
) -> None:
    person()
    said = exportkit("plugins", "new", "mill", "--key", "email", "--bulk", "--auth", "none")
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (["Paper Mill"], "'Paper Mill' cannot be a plugin's name", "paper-mill"),
        (["mill-"], "'mill-' cannot be a plugin's name", "such as 'mill'"),
        (["../mill"], "cannot be a plugin's name", "such as 'mill'"),
        (["Ünïcode"], "cannot be a plugin's name", "lower-case letters"),
        (["m" * 41], "cannot be a plugin's name", "40 at most"),
        (["exportkit-mill"], "begins like exportkit itself", "say 'mill'"),
        (["csv"], "a plugin 'csv' is installed already", "`exportkit plugins`"),
        (["mill", "--key", "e mail"], "'e mail' cannot be a field's name", "customer_id"),
        (["mill", "--into", "jobs"], "jobs is there already", "--into DIR"),
        (["mill", "--into", "exportkit.yaml"], "exportkit.yaml is there already", "--into DIR"),
        (["mill", "--into", "exportkit.yaml/mill"], "cannot be written", "--into DIR"),
    ],
)
def test_what_cannot_be_is_refused_with_a_hint(
    words: list[str], says: str, hint: str, exportkit: Command, workspace: Path
) -> None:
    before = sorted(workspace.rglob("*"))
    said = exportkit("plugins", "new", *words)
    assert said.code == 2
    assert says in said.err
    assert hint in said.err
    assert sorted(workspace.rglob("*")) == before
