"""Whatever is wrong, people read what, where, why and what to do: see README.md beside this."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from exportkit.cli import main

HERE = Path(__file__).parent
CASES = sorted(
    path for path in (HERE / "cases").rglob("*") if path.is_file() and path.suffix != ".txt"
)
COMMANDS = (["validate"], ["run", "newsletter", "letters"])

ODD = {
    "header-only.csv": [0, 3],
    "no-connection.yaml": [0, 2],
    "number-for-a-name.yaml": [0, 2],
    "number-for-text.yaml": [0, 0],
    "semicolons.csv": [0, 0],
}
"""Cases that are no mistake in a file: the exit codes of `validate` and `run`. Of others: 2, 2."""


def put(case: Path, workspace: Path) -> None:
    place = workspace / case.parent.relative_to(HERE / "cases")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(case, place)


def said(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code of a command, its stdout and its stderr."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as left:
        main(arguments)
    out, err = capfd.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, out, err


def steady(text: str, workspace: Path) -> str:
    """The text without what differs from run to run."""
    text = re.sub(r"\d{8}T\d{6}-([a-z-]+)-[0-9a-f]{6}", r"(\1's run)", text)
    text = re.sub(r" in \d+\.\d s,", " in no time,", text)
    return text.replace(str(workspace.parent), "(here)")


def transcript(capfd: pytest.CaptureFixture[str], workspace: Path) -> tuple[str, list[int]]:
    """What a person sees who types both commands, and the exit codes."""
    lines, codes = [], []
    for command in COMMANDS:
        code, out, err = said(command, capfd)
        lines.append(f"$ exportkit {' '.join(command)}\n{err}{out}[exit code {code}]\n")
        codes.append(code)
    return steady("\n".join(lines), workspace), codes


def check(expected: Path, text: str) -> None:
    if os.environ.get("EXPORTKIT_REWRITE"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def check_json(capfd: pytest.CaptureFixture[str]) -> None:
    """The same as JSON: one document on stdout and nothing but progress on stderr."""
    _, out, err = said([*COMMANDS[1], "--json"], capfd)
    document = json.loads(out)
    assert list(document) == ["runs", "error"] if not document["runs"] else ["runs"]
    errors = [run["error"] for run in document["runs"]] or [document["error"]]
    for error in filter(None, errors):
        assert {"kind", "message", "hint"} <= set(error)
        assert error["message"]
    assert any(errors)
    assert "Traceback" not in err


def test_the_workspace_is_sound(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text, codes = transcript(capfd, workspace)
    assert codes == [0, 0], text


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(HERE / "cases")))
def test_case(case: Path, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put(case, workspace)
    text, codes = transcript(capfd, workspace)
    check(case.with_suffix(".txt"), text)
    assert codes == ODD.get(case.name, [2, 2])
    assert "Traceback" not in text
    if codes[1]:
        check_json(capfd)


def huge(place: Path) -> None:
    place.write_bytes(b"# " + b"x" * 50_000_000)


def a_folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def unreadable(place: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    place.chmod(0)


MADE = [
    (huge, "jobs/newsletter.yaml", "bytes"),
    (a_folder, "jobs/newsletter.yaml", "folder"),
    (a_folder, "data/people.csv", "folder"),
    (unreadable, "jobs/newsletter.yaml", "may not be read"),
    (unreadable, "data/people.csv", "may not be read"),
]
"""What cannot lie in git: how it is made, where, and a word of what people read."""


@pytest.mark.parametrize(("make", "where", "word"), MADE)
def test_made(make, where: str, word: str, workspace: Path, capfd) -> None:  # type: ignore[no-untyped-def]
    make(workspace / where)
    text, codes = transcript(capfd, workspace)
    assert codes == [2, 2], text
    assert Path(where).name in text
    assert word in text
    check_json(capfd)
