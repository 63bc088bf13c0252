"""One job's exit code is its own; of several jobs', the first of 2, 1, 4, 3, 75, 0 speaks."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.testing import install_faults

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

ENDS: dict[str, tuple[int, str, str | None]] = {
    "misread": (2, "failed", "source"),
    "broken": (1, "failed", "destination"),
    "denied": (4, "blocked", "access_denied"),
    "guarded": (3, "blocked", "guard"),
    "spent": (75, "deferred", "quota_spent"),
    "fine": (0, "succeeded", None),
}
"""Each job below: its exit code, the status of its run, the kind of its error. In their order."""

FAULTS = {"broken": "destination", "denied": "access_denied", "spent": "quota_spent"}


def write(file: Path, document: dict[str, Any]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"version": 1, **document}), encoding="utf-8")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job for each way to end, over a connection of its own."""
    install_faults(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write(folder / "exportkit.yaml", {})
    for name in ENDS:
        (folder / f"{name}.csv").write_text("email\nann@example.com\nnobody\n", encoding="utf-8")
        source = {"name": name, "file": f"{name}.csv", "key": "email", "segments": {"all": {}}}
        write(folder / "sources" / f"{name}.yaml", source)
        options: dict[str, Any] = {"folder": f"ledger-{name}"}
        if name in FAULTS:
            options["faults"] = [{"hook": "push", "do": "raise_before", "error": FAULTS[name]}]
        connection = {"name": name, "type": "faulty", "options": options}
        write(folder / "connections" / f"{name}.yaml", connection)
        job: dict[str, Any] = {
            "name": name,
            "source": name,
            "segments": ["all"],
            "connection": name,
            "map": {"email": "email"},
        }
        if name == "guarded":
            job |= {"limits": {"profiles": 1}}
        write(folder / "jobs" / f"{name}.yaml", job)
    (folder / "misread.csv").unlink()
    return folder


@pytest.mark.parametrize("name", ENDS)
def test_of_one_job(name: str, exportkit: Command) -> None:
    code, status, kind = ENDS[name]
    said = exportkit("run", name, "--json")
    (run,) = said.json["runs"]
    assert run["status"] == status, run
    assert (run["error"] or {"kind": None})["kind"] == kind
    assert said.code == code


@pytest.mark.parametrize(("first", "second"), list(pairwise(ENDS)))
def test_of_several_the_first_that_applies(first: str, second: str, exportkit: Command) -> None:
    said = exportkit("run", second, first, "--json")
    assert said.code == ENDS[first][0]
    assert [run["job"] for run in said.json["runs"]] == [second, first]


def test_one_that_fails_stops_no_other(exportkit: Command) -> None:
    said = exportkit("run", *ENDS, "--json")
    assert [run["status"] for run in said.json["runs"]] == [end[1] for end in ENDS.values()]
    assert said.code == 2
    assert exportkit("status", "fine", "--json").json["jobs"][0]["last"]["counts"]["added"] == 2


@pytest.mark.parametrize("name", [name for name, end in ENDS.items() if end[2]])
def test_people_read_what_it_was_and_what_to_do(name: str, exportkit: Command) -> None:
    said = exportkit("run", name)
    assert ENDS[name][1] in said.out.splitlines()[0]
    assert " sent" not in said.out.splitlines()[0].replace("nothing sent", "")
    assert "Traceback" not in said.err
    assert any(line.startswith("    ") for line in said.err.splitlines()), said.err


def test_a_wrong_file_stops_all_before_the_first_begins(
    exportkit: Command, workspace: Path
) -> None:
    (workspace / "jobs" / "broken.yaml").write_text("version: 1\nname: broken\nmap: 3\n")
    said = exportkit("run", "fine", "broken", "--json")
    assert said.code == 2
    assert said.json["runs"] == []
    assert {complaint["file"] for complaint in said.json["error"]["complaints"]} == {
        "jobs/broken.yaml"
    }
    assert not (workspace / "ledger-fine").exists()
