"""`connection add`, `init --connection`: each question has a flag, and scripts are asked none."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from exportkit.access.audit import current_user
from exportkit.config.workspace import open_workspace
from tests.cli.test_connection import actions, mill  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("mill")


class Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> object:
    def types(*lines: str) -> None:
        monkeypatch.setattr(sys, "stdin", Typed("".join(f"{line}\n" for line in lines)))

    return types


def test_a_newcomer_is_walked_through(exportkit: Command, workspace: Path, person: Command) -> None:
    person("second", "paper_mill", "The second", "admin, contributor", "jane", "", "y", "t0ken", "")
    told = exportkit("connection", "add")
    assert told.code == 0, told.err
    asked = [
        "What shall jobs call the connection",
        "Where does it lead",
        "What do people call it [Paper mill]",
        "Who may run jobs over it",
        "account: Whose mill it is",
        "Sign in now",
        "a third party",
        "Do you agree?",
        "open https://mill.example.com",
        "Test it now",
    ]
    places = [told.err.find(question) for question in asked]
    assert min(places) >= 0, told.err
    assert places == sorted(places)
    assert "second: connected to Mill of jane" in told.out
    found = open_workspace(workspace).connection("second")
    assert found.display_name == "The second"
    assert found.use == ("admin", "contributor")
    assert found.options == {"account": "jane"}
    assert found.consent
    assert found.consent.agreed_by == current_user()
    assert "t0ken" not in told.out + (workspace / "connections" / "second.yaml").read_text()
    assert actions(exportkit, "second") == [
        "connection add",
        "consent",
        "connection authorize",
        "connection test",
    ]


def test_every_question_has_a_flag(exportkit: Command, person: Command, workspace: Path) -> None:
    person("t0ken")  # for the plugin: exportkit itself asks nothing
    told = exportkit(
        *("connection", "add", "second", "--type", "paper_mill", "--display-name", "The second"),
        *("--use", "admin", "--use", "contributor", "--option", "account=jane", "--agree"),
        *("--option", "api_secret=${env:MILL_SECRET}", "--no-sign-in", "--no-test"),
    )
    assert told.code == 2, "the variable is not there"
    assert "MILL_SECRET" in told.err
    told = exportkit(
        *("connection", "add", "third", "--type", "paper_mill", "--display-name", "The third"),
        *("--use", "admin", "--use", "contributor", "--option", "account=jane", "--agree"),
        *("--sign-in", "--device", "--test"),
    )
    assert told.code == 0, told.err
    assert "[" not in told.err.replace("enter ABCD", "")
    assert "enter ABCD" in told.err
    assert "third: connected to Mill of jane" in told.out
    text = (workspace / "connections" / "third.yaml").read_text()
    assert "options:\n  # Whose" not in text
    assert "\n  account: jane\n  # api_secret: ${env:API_SECRET}\n" in text


def test_yes_asks_nothing_on_a_terminal(exportkit: Command, person: Command) -> None:
    person()
    told = exportkit("connection", "add", "second", "--type", "paper_mill", "--yes")
    assert (told.code, told.err) == (0, "")
    assert "fill in its options" in told.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "NAME and --type are missing, and nobody is at a terminal"),
        (["second"], "--type is missing, and nobody is at a terminal"),
        (["second", "--type", "paper_mill", "--option", "acount=x"], "did you mean 'account'?"),
        (["second", "--type", "paper_mill", "--option", "account"], "--option takes NAME=VALUE"),
        (
            ["second", "--type", "paper_mill", "--option", "api_secret=hunter2"],
            "${env:API_SECRET}",
        ),
    ],
)
def test_a_script_is_told_what_is_missing(
    exportkit: Command, workspace: Path, arguments: list[str], said: str
) -> None:
    told = exportkit("connection", "add", *arguments)
    assert told.code == 2
    assert said in told.err
    assert "hunter2" not in told.err
    assert not (workspace / "connections" / "second.yaml").exists()


def test_a_walk_that_is_broken_off_leaves_no_file(
    exportkit: Command, workspace: Path, person: Command
) -> None:
    person("second", "paper_mill", "The second")
    assert exportkit("connection", "add").code == 1
    assert not (workspace / "connections" / "second.yaml").exists()


def test_a_no_keeps_the_file_and_sends_nothing(
    exportkit: Command, workspace: Path, person: Command
) -> None:
    person("second", "paper_mill", "", "", "jane", "n", "n")
    told = exportkit("connection", "add")
    assert told.code == 4
    assert "nobody has agreed" in told.err
    assert open_workspace(workspace).connection("second").consent is None


def test_options_of_other_kinds_are_not_text(exportkit: Command, workspace: Path) -> None:
    told = exportkit(
        *("connection", "add", "second", "--type", "paper_mill"),
        *("--option", "account=0815", "--option", "broken=true", "--no-sign-in"),
    )
    assert told.code == 0, told.err
    options = open_workspace(workspace).connection("second").options
    assert options == {"account": "0815", "broken": True}


def test_init_goes_on_with_a_connection(exportkit: Command, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    told = exportkit("init", str(folder), "--connection", "second", "--type", "csv", "--test")
    assert told.code == 0, told.err
    assert "second: connected" in told.out
    assert open_workspace(folder).connection("second").type == "csv"


def test_init_without_a_connection_takes_none_of_its_flags(
    exportkit: Command, tmp_path: Path
) -> None:
    told = exportkit("init", str(tmp_path / "new"), "--type", "csv")
    assert told.code == 2
    assert "--connection NAME" in told.err
    assert not (tmp_path / "new").exists()
