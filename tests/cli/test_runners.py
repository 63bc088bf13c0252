"""The command line on two hosts whose workspaces share a state in PostgreSQL."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.fernet import Fernet

from exportkit.access.credentials import kept_credentials
from exportkit.state.folder import open_state
from exportkit.state.house import House
from tests.cli.test_due import JOBS, schedule, statuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Command, Said
    from tests.postgresql import Database

    On = Callable[..., Said]

EXPORTKIT = str(Path(sys.executable).parent / "exportkit")
JOB = "vip-newsletter"
A, B = "a", "b"


@pytest.fixture
def on(
    workspace: Path, exportkit: Command, postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> On:
    """Runs a command on one of the two hosts."""
    monkeypatch.setenv("PGPASSWORD", postgresql.server.password)
    url = f"postgresql://exportkit@127.0.0.1:{postgresql.server.port}/{postgresql.name}"
    file = workspace / "exportkit.yaml"
    file.write_text(re.sub("(?m)^state:.*$", f"state: {url}", file.read_text()))
    for host in (A, B):
        shutil.copytree(workspace, workspace.parent / host)

    def run(host: str, *arguments: str) -> Said:
        return exportkit("--workspace", str(workspace.parent / host), *arguments)

    return run


def test_what_one_host_ran_the_other_knows(on: On, workspace: Path) -> None:
    run = on(A, "run", JOB, "--json").json["runs"][0]
    assert run["status"] == "partial"
    status = on(B, "status", "--json").json
    (job,) = (job for job in status["jobs"] if job["job"] == JOB)
    assert job["last"]["run_id"] == run["run_id"]
    assert status["state"]["folder"].startswith("postgresql://exportkit@127.0.0.1")
    assert status["state"]["bytes"] > 0
    assert [each["run_id"] for each in on(B, "history", JOB, "--json").json["runs"]] == [
        run["run_id"]
    ]
    rejected = on(B, "rejections", JOB, "--show-values", "--json").json
    assert rejected["total"] == run["counts"]["rejected"] > 0
    assert rejected["rows"] == on(A, "rejections", JOB, "--show-values", "--json").json["rows"]
    assert "rejections --show-values" in on(A, "audit").out
    assert JOB in on(B, "metrics").out
    assert on(B, "report").code == 0
    assert (workspace.parent / B / ".exportkit" / "report.html").exists()


def test_a_plan_of_one_host_is_applied_on_the_other_once(on: On) -> None:
    plan = on(A, "plan", JOB, "--json").json["plan_id"]
    applied = on(B, "run", JOB, "--plan-id", plan, "--json")
    assert applied.json["runs"][0]["run_id"] == plan
    assert applied.code == 0
    again = on(A, "run", JOB, "--plan-id", plan, "--json")
    assert again.code == 3
    assert "has been applied already" in again.json["runs"][0]["error"]["message"]
    unknown = on(A, "run", JOB, "--plan-id", "20261128T060000-vip-newsletter-abcdef", "--json")
    assert "there is no plan" in unknown.json["runs"][0]["error"]["message"]


def test_what_is_due_runs_on_one_host_alone(on: On, workspace: Path, postgresql: Database) -> None:
    for host in (A, B):
        schedule(workspace.parent / host, *JOBS)
    assert on(A, "run", "--due").code == 0
    due_since_long(postgresql, workspace)
    command = [EXPORTKIT, "--workspace"]
    processes = [
        subprocess.Popen(
            [*command, str(workspace.parent / host), "run", "--due", "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for host in (A, B)
    ]
    runs = [
        run
        for process in processes
        for run in json.loads(process.communicate(timeout=120)[0])["runs"]
        if run["status"] != "deferred"  # one that met the other
    ]
    assert statuses({"runs": runs}) == dict.fromkeys(JOBS, "partial")
    assert len(runs) == len(JOBS)
    assert on(B, "run", "--due", "--json").json == {"runs": []}
    assert on(B, "status", "--json").json["due_looked_at"]


def due_since_long(postgresql: Database, workspace: Path) -> None:
    """As if the last scheduled run were years ago."""
    url = f"postgresql://exportkit@127.0.0.1:{postgresql.server.port}/{postgresql.name}"
    with House(open_state(workspace.parent, url)) as house:
        schedules = house.state.schedules
        house.shelf.bring(schedules)
        for name in JOBS:
            mark = schedules / f"{name}.json"
            known = json.loads(mark.read_text())
            mark.write_text(json.dumps({**known, "since": "2020-01-01T00:00:00+00:00"}))
        house.shelf.share(schedules)


def test_clean_forgets_a_job_that_is_gone_for_all(on: On, workspace: Path) -> None:
    assert on(A, "run", JOB).code == 0
    for host in (A, B):
        (workspace.parent / host / "jobs" / f"{JOB}.yaml").unlink()
    tried = on(B, "clean", "--gone", "--dry-run", "--json").json
    assert on(A, "status", "--json").json["state"]["bytes"] == tried["bytes"] > 0
    (done,) = on(B, "clean", "--gone", "--json").json["jobs"]
    assert (done["job"], done["snapshots"], done["gone"]) == (JOB, 1, True)
    assert done["files"] >= 1
    assert on(A, "status", "--json").json["state"]["bytes"] == 0
    assert on(A, "history", "--json").json["runs"] == []


def test_credentials_of_a_connection_that_is_gone_are_removed_from_any_host(
    on: On, postgresql: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTKIT_CREDENTIALS_KEY", Fernet.generate_key().decode())
    url = f"postgresql://exportkit@127.0.0.1:{postgresql.server.port}/{postgresql.name}"
    with House(open_state(tmp_path / "c", url)) as house:
        kept_credentials(house.state, "gone").replace({"refresh_token": "rt-0123456789abcdef"})
    assert on(B, "connection", "remove", "gone").code == 0
    assert postgresql.run("SELECT path FROM exportkit.files") == ""
    assert "there is no connection 'gone'" in on(A, "connection", "remove", "gone").err


def block(language: str) -> str:
    """The page's only block in this language."""
    page = (Path(__file__).parents[2] / "docs" / "runners.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return str(blocks[-1])


def test_the_role_of_the_page_can_do_all_and_nothing_else(
    on: On, workspace: Path, postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"role_{postgresql.name}"
    postgresql.run(
        block("sql")
        .replace("ROLE exportkit", f"ROLE {role}")
        .replace("AUTHORIZATION exportkit", f"AUTHORIZATION {role}")
    )
    postgresql.run(f"ALTER ROLE {role} PASSWORD 'known'")
    monkeypatch.setenv("PGPASSWORD", "known")
    file = workspace.parent / A / "exportkit.yaml"
    file.write_text(file.read_text().replace("postgresql://exportkit@", f"postgresql://{role}@"))
    assert on(A, "run", JOB).code == 0
    assert postgresql.run("SELECT count(*) FROM exportkit.runs") == "1"


def test_the_command_of_the_pages_cronjob_runs_what_is_due(
    on: On, workspace: Path, postgresql: Database
) -> None:
    job = yaml.safe_load(block("yaml"))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    for host in (A, B):
        schedule(workspace.parent / host, *JOBS)
    assert on(A, "run", "--due").code == 0
    due_since_long(postgresql, workspace)
    words = [*container["command"], *container["args"]]
    assert words.pop(0) == "exportkit"
    words[words.index("/srv/newsletter")] = str(workspace.parent / B)
    done = subprocess.run([EXPORTKIT, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert {run["job"] for run in on(A, "history", "--json").json["runs"]} == set(JOBS)
    (mount, _) = container["volumeMounts"]
    assert mount["mountPath"] == "/srv/newsletter/.exportkit"


def test_a_server_that_is_not_there(on: On, workspace: Path) -> None:
    file = workspace.parent / A / "exportkit.yaml"
    nowhere = "postgresql://exportkit@127.0.0.1:1/state"
    file.write_text(re.sub("(?m)^state:.*$", f"state: {nowhere}", file.read_text()))
    for command in (["status"], ["run", JOB], ["history"]):
        said = on(A, *command)
        assert said.code == 1
        assert f"the state in {nowhere}" in said.err
        assert "Traceback" not in said.err
    assert on(A, "validate").code == 0, "that is offline"
