"""Roles at the command line: what a contributor and a viewer can and cannot do."""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING

import pytest

from exportkit.access.audit import current_user

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

ME = current_user()
OTHER = next(user.pw_name for user in pwd.getpwall() if user.pw_name != ME)
JOB = "vip-newsletter"
READS = [("status",), ("history",)]
RUNS = [("plan", JOB), ("run", JOB), ("validate", JOB), ("rejections", JOB)]
COUNTS = [("segments", "customers"), ("connection", "list"), ("connection", "show", "files")]
MANAGES = [
    ("connection", "add", "more", "--type", "csv"),
    ("connection", "authorize", "files"),
    ("connection", "test", "files"),
    ("connection", "detach", "files", "--job", JOB),
    ("connection", "remove", "files"),
    ("audit",),
]


def become(workspace: Path, role: str, use: str = "admin") -> None:
    roles = f"roles:\n  admin: [{OTHER}]\n  {role}: [{ME}]\n"
    if role == "admin":
        roles = f"roles:\n  admin: [{ME}]\n"
    (workspace / "exportkit.yaml").write_text(f"version: 1\n{roles}")
    path = workspace / "connections" / "files.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("use:")]
    path.write_text("\n".join([*lines, f"use: [{use}]"]) + "\n")


@pytest.mark.parametrize("command", READS + COUNTS + RUNS)
def test_without_roles_whoever_runs_it_is_an_admin(exportkit: Command, command: list[str]) -> None:
    assert exportkit(*command).code in (0, 2), "2: there are no rejections yet"


@pytest.mark.parametrize("command", COUNTS + RUNS + MANAGES)
def test_a_viewer_reads_status_and_no_more(
    workspace: Path, exportkit: Command, command: tuple[str, ...]
) -> None:
    become(workspace, "viewer", "contributor")
    told = exportkit(*command)
    assert told.code == 4
    assert f"{ME} is a viewer here" in told.err
    assert OTHER in told.err
    assert told.out == ""


@pytest.mark.parametrize("command", READS)
@pytest.mark.parametrize("role", ["viewer", "contributor", "admin"])
def test_everybody_reads_status(
    workspace: Path, exportkit: Command, command: tuple[str, ...], role: str
) -> None:
    become(workspace, role)
    assert exportkit(*command).code == 0


def test_who_is_no_viewer_reads_nothing(workspace: Path, exportkit: Command) -> None:
    (workspace / "exportkit.yaml").write_text(f"version: 1\nroles: {{viewer: [{OTHER}]}}\n")
    told = exportkit("status", "--json")
    assert told.code == 4
    assert told.json["error"]["kind"] == "permission"
    assert "names no admin" in told.json["error"]["hint"]


@pytest.mark.parametrize("command", MANAGES)
def test_a_contributor_manages_nothing(
    workspace: Path, exportkit: Command, command: tuple[str, ...]
) -> None:
    become(workspace, "contributor", "admin, contributor")
    told = exportkit(*command)
    assert told.code == 4
    assert f"takes an admin, and {ME} is a contributor here" in told.err


def test_a_contributor_runs_what_use_allows(workspace: Path, exportkit: Command) -> None:
    become(workspace, "contributor", "admin, contributor")
    assert [exportkit(*command).code for command in RUNS[:3]] == [0, 0, 0]
    become(workspace, "contributor", "admin")
    for command in RUNS:
        told = exportkit(*command)
        assert told.code == 4, command
        assert "may not use the connection 'files'" in told.out + told.err, command
        assert OTHER in told.out + told.err, command
    assert exportkit("run", JOB, "--json").json["runs"][0]["status"] == "blocked"


def test_use_is_asked_when_a_plan_is_applied(workspace: Path, exportkit: Command) -> None:
    plan_id = exportkit("plan", JOB, "--json").json["plan_id"]
    become(workspace, "contributor", "admin")
    assert exportkit("run", JOB, "--plan-id", plan_id).code == 4
    assert not (workspace / "out").exists()


def test_a_contributor_sees_a_name_and_a_type(workspace: Path, exportkit: Command) -> None:
    become(workspace, "contributor", "admin, contributor")
    expected = {"name", "display_name", "type"}
    (listed,) = exportkit("connection", "list", "--json").json["connections"]
    assert set(listed) == expected
    assert set(exportkit("connection", "show", "files", "--json").json) == expected
    for command in (("connection", "list"), ("connection", "show", "files")):
        out = exportkit(*command).out
        assert "csv" in out
        assert JOB not in out
        assert "contributor" not in out


def test_an_admin_sees_who_may_use_it_and_the_jobs(workspace: Path, exportkit: Command) -> None:
    become(workspace, "admin", "admin, contributor")
    out = exportkit("connection", "list").out
    assert "use: admin, contributor" in out
    assert JOB in out


def test_a_contributor_checks_the_workspace_without_what_is_not_theirs(
    workspace: Path, exportkit: Command
) -> None:
    become(workspace, "contributor", "admin")
    told = exportkit("validate", "--json")
    assert told.code == 0
    assert [w["message"] for w in told.json["warnings"]] == [
        "the connection 'files' is not yours to use: it and its jobs are not checked"
    ]


@pytest.mark.parametrize("role", ["viewer", "contributor", "admin"])
def test_status_shows_your_permissions(workspace: Path, exportkit: Command, role: str) -> None:
    become(workspace, role)
    assert f"your permissions: {ME}, as {role}, may " in exportkit("status").out
    document = exportkit("status", "--json").json
    assert document["permissions"]["user"] == ME
    assert document["permissions"]["role"] == role
    assert document["permissions"]["roles_declared"] is True
    assert len(document["jobs"]) == 3


def test_status_says_that_there_are_no_roles(exportkit: Command) -> None:
    out = exportkit("status").out
    assert f"{ME}, as admin, may do everything; exportkit.yaml has no `roles:`" in out


def test_a_refusal_is_audited(workspace: Path, exportkit: Command) -> None:
    assert exportkit("run", JOB).code == 0
    become(workspace, "viewer")
    assert exportkit("connection", "list").code == 4
    become(workspace, "admin")
    (last, *_) = exportkit("audit", "--json").json["entries"]
    found = (last["user"], last["action"], last["subject"])
    assert found == (ME, "refused", "connection list")


def test_a_refusal_makes_no_state_folder(workspace: Path, exportkit: Command) -> None:
    become(workspace, "viewer")
    assert exportkit("run", JOB).code == 4
    assert not (workspace / ".exportkit").exists(), "it would be the wrong user's"


def test_unknown_people_fail_validate_and_warn_elsewhere(
    workspace: Path, exportkit: Command
) -> None:
    (workspace / "exportkit.yaml").write_text(
        f"version: 1\nroles:\n  admin: [{ME}, nobody-at-all]\n"
    )
    told = exportkit("validate")
    assert told.code == 2
    place = f"exportkit.yaml:3:{len(ME) + 13}: roles.admin"
    assert place in told.err
    assert "there is no user 'nobody-at-all' on this machine" in told.err
    told = exportkit("status", "--json")
    assert told.code == 0
    assert told.err.count("warning: exportkit.yaml:3:") == 1
