"""Whatever is wrong, people read what, where, why and what to do: see README.md beside this."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from exportkit.cli import main

HERE = Path(__file__).parent
CASES = sorted(
    path for path in (HERE / "cases").rglob("*") if path.is_file() and path.suffix != ".txt"
)
COMMANDS = (["validate"], ["run", "newsletter", "letters"])

ODD = {
    "database-that-is-not-there.yaml": [0, 2],  # nobody asks it before there is a run
    "database-of-no-known-kind.yaml": [0, 2],
    "header-only.csv": [0, 3],
    "spark-that-is-no-address.yaml": [0, 2],
    "spark-that-is-not-there.yaml": [0, 2],
    "no-connection.yaml": [0, 2],
    "number-for-a-name.yaml": [0, 2],
    "yaml-1.1-surprises.yaml": [0, 0],
}
"""Cases that are no mistake in a file: the exit codes of `validate` and `run`. Of others: 2, 2."""

REAL = (
    "jobs/newsletter.yaml/tabs.yaml",
    "connections/post.yaml/unset-variable.yaml",
    "sources/people.yaml/segment-file-access.yaml",
    "data/people.csv/ragged.csv",
)
"""Cases that are run as whole processes too, as cron runs them."""


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


def transcript(workspace: Path) -> tuple[str, list[int]]:
    """What a person sees who types both commands, in its order, and the exit codes."""
    lines, codes = [], []
    for command in COMMANDS:
        seen = io.StringIO()
        with redirect_stdout(seen), redirect_stderr(seen), pytest.raises(SystemExit) as left:
            main(command)
        code = left.value.code
        assert isinstance(code, int)
        lines.append(f"$ exportkit {' '.join(command)}\n{seen.getvalue()}[exit code {code}]\n")
        codes.append(code)
    return steady("\n".join(lines), workspace), codes


def check(expected: Path, text: str) -> None:
    if os.environ.get("EXPORTKIT_REWRITE"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def check_json(seen: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The same as JSON: one document on stdout, and nothing but progress on stderr."""
    code, out, err = said([*COMMANDS[1], "--json"], capfd)
    document = json.loads(out)
    begun = "reading source" in seen
    if begun:
        assert list(document) == ["runs"]
        errors = [run["error"] for run in document["runs"] if run["error"]]
    else:
        assert list(document) == ["runs", "error"]
        assert document["runs"] == []
        errors = [document["error"]]
        assert err == ""
    assert errors
    for error in errors:
        assert {"kind", "message", "hint"} <= set(error)
        first = error["message"].splitlines()[0].removesuffix(f" ({error['hint']})")
        assert first in seen
    for complaint in errors[0].get("complaints", ()):
        if complaint["file"]:
            assert "{file}:{line}:{column}: ".format(**complaint) in seen
    assert f"[exit code {code}]" in seen.splitlines()


def test_the_workspace_is_sound(workspace: Path) -> None:
    text, codes = transcript(workspace)
    assert codes == [0, 0], text


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.relative_to(HERE / "cases")))
def test_case(case: Path, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put(case, workspace)
    text, codes = transcript(workspace)
    check(case.with_suffix(".txt"), text)
    assert codes == ODD.get(case.name, [2, 2])
    assert "Traceback" not in text
    assert "defect" not in text
    if codes[1]:
        check_json(text, capfd)


def test_every_transcript_has_its_case() -> None:
    transcripts = set((HERE / "cases").rglob("*.txt"))
    assert transcripts == {case.with_suffix(".txt") for case in CASES}


@pytest.mark.parametrize("name", REAL)
def test_case_as_a_process(name: str, workspace: Path, site: Path) -> None:
    put(HERE / "cases" / name, workspace)
    command = [str(Path(sys.executable).with_name("exportkit")), "run", "newsletter", "letters"]
    env = {**os.environ, "PYTHONPATH": str(site)}
    seen = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    expected = (HERE / "cases" / name).with_suffix(".txt").read_text(encoding="utf-8")
    shown = f"$ exportkit run newsletter letters\n{seen.stdout}[exit code {seen.returncode}]\n"
    assert steady(shown, workspace) == expected.partition("\n\n")[2]
    done = subprocess.run([*command, "--json"], env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert json.loads(done.stdout)


def test_words_that_yaml_1_1_would_change_are_delivered_as_written(
    workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put(HERE / "cases" / "jobs" / "newsletter.yaml" / "yaml-1.1-surprises.yaml", workspace)
    assert said(["run", "newsletter"], capfd)[0] == 0
    header, row, _ = (workspace / "out" / "newsletter.csv").read_text().splitlines()
    assert header == '"email","a","b","c","d","e","f","g","h","y"'
    constants = '"no","on","08","1.50","2026-11-20","12:30:45","1_000","0x1F","yes"'
    assert row.partition(",")[2] == constants


def huge(place: Path) -> None:
    place.write_bytes(b"# " + b"x" * 50_000_000)


def a_folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def unreadable(place: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    place.chmod(0)


def not_ours(place: Path) -> None:
    other = Path("/proc/1/mem")  # kept even from root, where it is root of a container alone
    try:
        other.open("rb").close()
    except PermissionError:
        place.write_text(place.read_text().replace("data/people.csv", str(other)))
        return
    except OSError:
        pass
    pytest.skip("there is no file here that may not be read")


MADE = [
    (huge, "jobs/newsletter.yaml", "bytes"),
    (a_folder, "jobs/newsletter.yaml", "folder"),
    (a_folder, "data/people.csv", "folder"),
    (unreadable, "jobs/newsletter.yaml", "may not be read"),
    (unreadable, "data/people.csv", "may not be read"),
    (not_ours, "sources/people.yaml", "may not be read by this account"),
]
"""What cannot lie in git: how it is made, where, and a word of what people read."""


@pytest.mark.parametrize(("make", "where", "word"), MADE)
def test_made(make, where: str, word: str, workspace: Path, capfd) -> None:  # type: ignore[no-untyped-def]
    make(workspace / where)
    text, codes = transcript(workspace)
    assert codes == [2, 2], text
    assert Path(where).name in text
    assert word in text
    check_json(text, capfd)
