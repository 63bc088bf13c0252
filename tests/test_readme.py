"""What the README shows is what happens: its commands run, its table and its status are true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from exportkit import hookspecs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
VARYING = (
    (re.compile(r"\d{8}T\d{6}-([a-z0-9-]+)-[0-9a-f]{6}"), r"RUN-OF-\1"),
    (re.compile(r"\bin \d+(\.\d+)? s\b"), "in SOME s"),
)


def blocks(language: str) -> list[str]:
    found = [text for named, text in BLOCK.findall(README) if named == language]
    assert found, f"the README has no {language} block any more"
    return found


def shell(folder: Path, lines: list[str]) -> list[tuple[str, str, int]]:
    """What each line writes to stdout and stderr, and its exit code; all in one shell."""
    logs = folder.parent / f"{folder.name}-logs"
    logs.mkdir()
    script = []
    for n, line in enumerate(lines):
        log = logs / str(n)
        script.append(f'{{ {line}\n}} >"{log}.out" 2>"{log}.err"; c=$?')
        script.append(f'echo $c >"{log}.code"; (exit $c)')
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-c", "\n".join([*script, "true"])],
        cwd=folder,
        env={**os.environ, "PATH": tools},
        check=True,
    )
    parts = [[(logs / f"{n}.{part}") for part in ("out", "err", "code")] for n in range(len(lines))]
    read = [[path.read_text(encoding="utf-8") for path in paths] for paths in parts]
    return [(out, err, int(code)) for out, err, code in read]


def shown_as(text: str) -> str:
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    return text


def matches(shown: str, printed: str) -> bool:
    """Whether the printed text is as shown, where a line `...` stands for any lines."""
    parts = [re.escape(part) for part in re.split(r"^\.\.\.\n", shown_as(shown), flags=re.M)]
    return re.fullmatch(r"(?:.*\n)*".join(parts), shown_as(printed)) is not None


@pytest.mark.parametrize("block", blocks("console"))
def test_the_commands_print_what_is_shown(block: str, tmp_path: Path) -> None:
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    lines, shown = parts[1::2], parts[2::2]
    folder = tmp_path / "reader"
    folder.mkdir()
    answers = shell(folder, lines)
    for (line, expected), (out, err, code), later in zip(
        zip(lines, shown, strict=True), answers, [*lines[1:], ""], strict=True
    ):
        assert code == 0 or later == "echo $?", f"{line}\n{err}"
        printed = out or (err if code else "")
        assert matches(expected, printed), f"$ {line}\n{printed}"


@pytest.mark.parametrize("block", blocks("sh"))
def test_the_setup_works(block: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in block.splitlines():
        if target := re.match(r"make (\w+)", line):
            assert re.search(rf"^{target[1]}:", makefile, re.MULTILINE), line
    lines = [line for line in block.splitlines() if not line.startswith("make ")]
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)],
        cwd=ROOT,
        env={**os.environ, "PATH": tools},
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("block", blocks("crontab"))
def test_the_crontab_line_runs(block: str, tmp_path: Path) -> None:
    command = re.fullmatch(r"(?:\S+ ){5} *(.*)\n", block)
    assert command
    there = command[1].replace("/srv/", f"{tmp_path}/")
    workspace = re.match(r"cd (\S+) ", there)
    assert workspace
    folder = tmp_path / "home"
    folder.mkdir()
    _, done = shell(folder, [f"exportkit init {workspace[1]}", there])
    assert done[2] == 0, done[1]


@pytest.mark.parametrize("block", blocks("yaml"))
def test_the_job_that_is_shown_is_valid(block: str, tmp_path: Path) -> None:
    from exportkit.config.documents import read_document
    from exportkit.config.schemas import check

    job = tmp_path / "job.yaml"
    job.write_text(block, encoding="utf-8")
    assert check(read_document(job, "job.yaml"), "job") == []


def test_the_table_has_the_hooks_in_the_order_of_the_calls() -> None:
    specified = [name for name, spec in vars(hookspecs).items() if hasattr(spec, "exportkit_spec")]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", README, re.MULTILINE)
    assert re.findall(r"\w+", " ".join(rows)) == specified


def test_the_status_names_the_plugins_that_can_be_chosen() -> None:
    status = README.partition("**Status.**")[2].partition("\n\n")[0]
    for project in sorted((ROOT / "plugins").glob("*/pyproject.toml")):
        points = tomllib.loads(project.read_text("utf-8"))["project"]["entry-points"]["exportkit"]
        for type_ in points:
            assert re.search(rf"\*\*\[?{TITLES.get(type_, type_)}\b", status, re.IGNORECASE), type_


TITLES = {"constant_contact": "Constant Contact"}


def test_what_ci_does_is_what_the_readme_says() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_what_differs_is_noticed() -> None:
    run = "20261124T171356-a-b-551ed0"
    assert matches("a\n...\nd\n", "a\nb\nc\nd\n")
    assert matches(f"{run} in 1.2 s\n", "20270101T000000-a-b-000000 in 11 s\n")
    assert not matches("74 sent\n", "75 sent\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a\n...\nd\n", "a\nb\n")
