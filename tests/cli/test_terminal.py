"""What people see: help, hints, progress; and what they never see."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click
import pytest

from exportkit.cli import COMMANDS, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Command

EXPORTKIT = str(Path(sys.executable).parent / "exportkit")


def every_command() -> Iterator[list[str]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        yield [name]
        if isinstance(command, click.Group):
            yield from ([name, below] for below in command.list_commands(context))


@pytest.mark.parametrize("command", list(every_command()), ids=" ".join)
def test_every_command_has_help_with_examples(command: list[str], exportkit: Command) -> None:
    said = exportkit(*command, "--help")
    assert said.code == 0
    assert "Examples:" in said.out


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'duckdb', 'pyarrow', 'narwhals', 'sqlalchemy', 'jsonschema', 'rich', 'sqlglot'}"
    code = (
        "import sys\nfrom exportkit.cli import main\n"
        "try: main(['--help'])\n"
        f"except SystemExit: print({heavy} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["plam", "vip-newsletter"], "plan"),
        (["run", "vip-newsletters"], "vip-newsletter"),
        (["run", "vip-newsletter", "--jsn"], "--json"),
        (["segments", "customer"], "customers"),
        (["plugins", "show", "cvs"], "csv"),
        (["run"], "--all"),
        (["schema", "job", "--type", "cvs"], "csv"),
    ],
)
def test_a_slip_is_answered_with_the_nearest(
    arguments: list[str], hint: str, exportkit: Command
) -> None:
    said = exportkit(*arguments)
    assert said.code == 2
    assert hint in said.err
    assert "Traceback" not in said.err


def test_outside_of_a_workspace(
    exportkit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = exportkit("run", "vip-newsletter")
    assert said.code == 2
    assert "exportkit init" in said.err
    assert exportkit("--workspace", str(tmp_path / "workspace"), "validate").code == 0


def test_without_a_terminal_there_is_a_line_a_stage(exportkit: Command) -> None:
    said = exportkit("run", "vip-newsletter")
    assert [line.split(": ")[1].split()[0] for line in said.err.splitlines()] == [
        "reading",
        "planning",
        "sending",
    ]


def test_on_a_terminal_there_is_a_live_line(workspace: Path) -> None:
    leader, follower = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # the terminal is closed
            while part := os.read(leader, 4096):
                seen.append(part)

    reader = Thread(target=read)
    reader.start()
    done = subprocess.run(
        [EXPORTKIT, "run", "vip-newsletter"],
        stdout=subprocess.PIPE,
        stderr=follower,
        cwd=workspace,
        env={**os.environ, "TERM": "xterm"},
        check=True,
    )
    os.close(follower)
    reader.join()
    os.close(leader)
    assert b"\x1b[" in b"".join(seen)
    assert b"partial" in done.stdout


def test_a_reader_that_leaves_is_no_error(workspace: Path) -> None:
    command = f"{EXPORTKIT} plugins show csv | head -n 1"
    done = subprocess.run(
        command, shell=True, cwd=workspace, capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_defect_is_one_line_without_personal_words(
    exportkit: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("jane@example.com")

    monkeypatch.setattr("exportkit.cli.opening.open_workspace", broken)
    said = exportkit("validate")
    assert said.code == 1
    assert "has a defect: ValueError at" in said.err
    assert "jane" not in said.err + said.out
