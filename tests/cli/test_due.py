"""`run --due` and `run --all`, as cron calls them: which jobs, how it ends, what is said."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.cli import log
from tests.cli.test_status import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Command

EXPORTKIT = str(Path(sys.executable).parent / "exportkit")
JOBS = ("birthday-cards", "call-list", "vip-newsletter")
JOB = "vip-newsletter"
PORTABLE = {"PATH": "/usr/bin:/bin"}
"""What cron gives, even without HOME, LOGNAME and SHELL."""


@pytest.fixture(autouse=True)
def as_ever() -> Iterator[None]:
    """What one test chooses for its log is not for the next."""
    yield
    log.choose(None)


def schedule(workspace: Path, *names: str, at: str = "0 0 1 1 *") -> None:
    for name in names:
        file = workspace / "jobs" / f"{name}.yaml"
        file.write_text(file.read_text() + f'schedule: "{at}"\ntimezone: Europe/Athens\n')


def fall_due(workspace: Path, *names: str) -> None:
    """As if the last scheduled run were years ago."""
    for name in names:
        mark = workspace / ".exportkit" / "schedules" / f"{name}.json"
        known = json.loads(mark.read_text())
        mark.write_text(json.dumps({**known, "since": "2020-01-01T00:00:00+00:00"}))


@pytest.fixture
def scheduled(exportkit: Command, workspace: Path) -> Path:
    """A workspace whose three jobs have been seen, and are due."""
    schedule(workspace, *JOBS)
    exportkit("run", "--due")
    fall_due(workspace, *JOBS)
    return workspace


def statuses(document: Any) -> dict[str, str]:
    return {run["job"]: run["status"] for run in document["runs"]}


def test_nothing_is_due_and_nothing_is_said(exportkit: Command, workspace: Path) -> None:
    schedule(workspace, JOB)
    said = exportkit("run", "--due")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert exportkit("run", "--due", "--json").json == {"runs": []}


def test_what_is_due_runs_once(scheduled: Path, exportkit: Command) -> None:
    said = exportkit("run", "--due", "--json")
    assert said.code == 0
    assert statuses(said.json) == dict.fromkeys(JOBS, "partial")
    assert exportkit("run", "--due", "--json").json == {"runs": []}


def test_who_runs_a_job_by_hand_changes_no_schedule(scheduled: Path, exportkit: Command) -> None:
    exportkit("run", JOB)
    assert JOB in statuses(exportkit("run", "--due", "--json").json)


def test_the_report_says_what_comes_next(scheduled: Path, exportkit: Command) -> None:
    said = exportkit("run", "--due")
    assert len(re.findall(r"^  next: \w{3} 20\d\d-01-01 00:00 EET$", said.out, re.MULTILINE)) == 3
    *_, title, first, second, third = said.out.splitlines()
    assert title == "3 jobs"
    assert [line.split()[:2] for line in (first, second, third)] == [[n, "partial"] for n in JOBS]


def test_a_broken_file_keeps_no_other_job_from_running(scheduled: Path, exportkit: Command) -> None:
    (scheduled / "jobs" / "call-list.yaml").write_text("version: 1\nname: [\n")
    said = exportkit("run", "--due", "--json")
    assert said.code == 2
    assert statuses(said.json) == dict.fromkeys(("birthday-cards", JOB), "partial")
    assert "call-list.yaml" in said.json["error"]["complaints"][0]["file"]
    every = exportkit("run", "--all")
    assert every.code == 2
    assert "jobs/call-list.yaml:3:1: not YAML" in every.err


def test_a_job_that_cannot_begin_has_failed(scheduled: Path, exportkit: Command) -> None:
    file = scheduled / "jobs" / "call-list.yaml"
    file.write_text(file.read_text().replace("[quiet]", "[quite]"))
    said = exportkit("run", "--due", "--json")
    assert said.code == 2
    assert statuses(said.json)["call-list"] == "failed"
    (run,) = (run for run in said.json["runs"] if run["job"] == "call-list")
    assert run["error"]["kind"] == "config"
    assert "jobs/call-list.yaml:" in run["error"]["message"]
    assert exportkit("status", "call-list", "--json").json["jobs"][0]["last"] == run
    assert exportkit("run", "--due", "--json").json == {"runs": []}, "it was said, once"


def test_of_several_the_contract_says_which_code(scheduled: Path, exportkit: Command) -> None:
    file = scheduled / "jobs" / "call-list.yaml"
    file.write_text(file.read_text() + "limits: {rejections: 0}\n")
    assert exportkit("run", "--all").code == 3
    with running(scheduled):
        assert exportkit("run", "--all").code == 3
        file.write_text(file.read_text().replace("limits: {rejections: 0}\n", ""))
        assert exportkit("run", "--all").code == 75


def test_while_the_last_runs_the_next_is_skipped_and_said_once(
    scheduled: Path, exportkit: Command
) -> None:
    before = exportkit("run", JOB, "--json").json["runs"][0]
    with running(scheduled) as pid:
        said = exportkit("run", "--due")
        assert said.code == 75
        assert re.search(
            rf"skipped: job '{JOB}' is running since [\d: -]+ as pid {pid} on", said.err
        )
        assert "next: as soon as it can; then" in said.out
        assert exportkit("run", "--due", "--json").json == {"runs": []}
        history = exportkit("history", JOB, "--json").json["runs"]
        assert [run["status"] for run in history] == ["deferred", "partial"]
    (state,) = exportkit("status", JOB, "--json").json["jobs"]
    assert state["last"] == before, "what was skipped is no result"
    assert statuses(exportkit("run", "--due", "--json").json) == {JOB: "partial"}


@pytest.mark.parametrize("arguments", [["--all", JOB], ["--due", JOB], ["--due", "--all"], []])
def test_it_has_to_go_together(exportkit: Command, arguments: list[str]) -> None:
    said = exportkit("run", *arguments)
    assert said.code == 2
    assert "name them, or say --all or --due" in said.err


def test_quiet_says_what_went_wrong_alone(scheduled: Path, exportkit: Command) -> None:
    said = exportkit("run", "--due", "--quiet")
    assert (said.code, said.out, said.err) == (0, "", "")
    fall_due(scheduled, *JOBS)
    file = scheduled / "jobs" / "call-list.yaml"
    file.write_text(file.read_text() + "limits: {rejections: 0}\n")
    said = exportkit("run", "--due", "--quiet")
    assert said.code == 3
    assert said.out.startswith("call-list: blocked in ")
    assert JOB not in said.out + said.err
    assert "the limit is 0" in said.err


def test_several_at_a_time(scheduled: Path, exportkit: Command) -> None:
    file = scheduled / "jobs" / "call-list.yaml"
    file.write_text(file.read_text() + "limits: {rejections: 0}\n")
    said = exportkit("run", "--due", "--parallel", "3", "--json")
    assert said.code == 3
    assert statuses(said.json) == {
        "birthday-cards": "partial", "call-list": "blocked", JOB: "partial"
    }  # fmt: skip
    known = {run["run_id"] for run in exportkit("history", "--json").json["runs"]}
    assert {run["run_id"] for run in said.json["runs"]} == known
    lines = said.err.splitlines()
    assert {re.sub(r"^\w+-|-\w+$", "", line.split(": ")[0]) for line in lines} == set(JOBS)
    assert exportkit("run", "--due", "--json").json == {"runs": []}


def test_several_at_a_time_are_told_like_one(scheduled: Path, exportkit: Command) -> None:
    said = exportkit("run", "--all", "--parallel", "2", "--full")
    assert said.code == 0
    assert "rejected because" in said.out
    assert "3 jobs\n" in said.out


def test_one_that_dies_takes_no_other_with_it(
    scheduled: Path, exportkit: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = scheduled / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys\nif any('call-list' in word for word in sys.orig_argv): os.kill(0 or"
        " os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    said = exportkit("run", "--due", "--parallel", "2", "--json")
    assert said.code == 1
    assert statuses(said.json) == {
        "birthday-cards": "partial", "call-list": "interrupted", JOB: "partial"
    }  # fmt: skip
    (died,) = (run for run in said.json["runs"] if run["job"] == "call-list")
    assert "ended by signal 9" in died["error"]["message"]
    monkeypatch.delenv("PYTHONPATH")
    assert statuses(exportkit("run", "--due", "--json").json) == {"call-list": "partial"}


SLOW = """
import sys, time
if "-c" in sys.orig_argv:
    import exportkit.pipeline.planning as planning
    before = planning.plan_work
    def slowly(*words, **more):
        time.sleep(2)
        return before(*words, **more)
    import exportkit.pipeline.run as run
    run.plan_work = slowly
"""


def test_who_asks_to_stop_stops_them_all(scheduled: Path) -> None:
    site = scheduled / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SLOW)
    process = subprocess.Popen(
        [EXPORTKIT, "run", "--due", "--parallel", "2", "--json"],
        cwd=scheduled,
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for _ in range(2):
        assert "reading" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert statuses(json.loads(out)) == dict.fromkeys(JOBS, "interrupted")
    assert "Traceback" not in err


def cron(workspace: Path, command: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """A command as cron runs it: no terminal, nothing in the environment, somewhere else."""
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace("exportkit", f"{EXPORTKIT} --workspace {workspace}", 1)],
        env=env or PORTABLE, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LANG": "xx_YY.UTF-8"},
                                    {"PYTHONIOENCODING": "ascii"}, {"HOME": "/nonexistent"},
                                    {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}])  # fmt: skip
def test_in_an_environment_with_nothing(scheduled: Path, locale: dict[str, str]) -> None:
    env = PORTABLE | locale
    code, said = cron(scheduled, "exportkit run --due", env)
    assert code == 0, said
    assert said.count("partial in") == 3
    code, said = cron(scheduled, "exportkit rejections vip-newsletter", env)
    assert code == 0, said
    assert "…" in said or "\\u2026" in said


@pytest.mark.parametrize(
    "closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", ">/dev/full", "2>/dev/full",
               ">/dev/full 2>&1"],
)  # fmt: skip
@pytest.mark.parametrize("parallel", ["", " --parallel 3"])
def test_with_nowhere_to_write_to(
    scheduled: Path, exportkit: Command, closed: str, parallel: str
) -> None:
    code, said = cron(scheduled, f"exportkit run --due{parallel} {closed}")
    assert code == 0, said
    assert "Traceback" not in said
    states = exportkit("status", "--json").json["jobs"]
    assert [state["last"]["status"] for state in states] == ["partial"] * 3
    assert (scheduled / "out" / "vip-newsletter.csv").exists()
    for file in (scheduled / ".exportkit").rglob("*"):
        assert not file.is_file() or b": reading source" not in file.read_bytes(), file


def test_half_a_document_is_a_failure(scheduled: Path) -> None:
    code, said = cron(scheduled, "exportkit run --due --json 2>&1 >/dev/full")
    assert code == 1
    assert "stdout cannot be written: No space left on device" in said


def test_a_log_for_machines(scheduled: Path, exportkit: Command) -> None:
    said = exportkit("--log-format", "json", "run", "--due")
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert [line["stage"] for line in lines] == ["reading", "planning", "sending"] * 3
    for line in lines:
        assert line["run_id"].endswith(line["run_id"].rpartition("-")[2])
        assert line["job"] in line["run_id"]
        assert line["level"] == "info"
        assert abs(time.time() - time.mktime(time.strptime(line["time"][:10], "%Y-%m-%d"))) < 2e5


def test_errors_are_in_the_log_for_machines(scheduled: Path, exportkit: Command) -> None:
    (scheduled / "data" / "profiles.csv").unlink()
    said = exportkit("--log-format", "json", "run", JOB)
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert lines[-1]["level"] == "error"
    assert lines[-1]["kind"] == "source"
    assert JOB in lines[-1]["run_id"]
    said = exportkit("--log-format", "json", "run", "no-such-job")
    (line,) = (json.loads(line) for line in said.err.splitlines())
    assert (line["message"], line["run_id"]) == ("there is no job 'no-such-job'", None)
    said = exportkit("--log-format", "json", "run", JOB, "--nonsense")
    assert json.loads(said.err)["level"] == "error"


def test_what_libraries_note_is_redacted(capfd: pytest.CaptureFixture[str]) -> None:
    log.choose("json")
    logging.getLogger("urllib3").warning("no answer for %s", "jane@example.com")
    logging.getLogger("exportkit.state").warning("everybody may look")
    first, second = map(json.loads, capfd.readouterr().err.splitlines())
    assert (first["message"].split()[-1], first["logger"]) == ("[address]", "urllib3")
    assert (second["message"], second["level"]) == ("everybody may look", "warning")


def test_an_exception_in_the_log_has_no_words(capfd: pytest.CaptureFixture[str]) -> None:
    log.choose(None)
    try:
        raise ValueError("jane@example.com")
    except ValueError:
        logging.getLogger("exportkit.state").exception("it broke")
    assert re.fullmatch(r"error: it broke: ValueError at \S+:\d+\n", capfd.readouterr().err)


def test_quiet_says_what_is_broken_once(scheduled: Path, exportkit: Command) -> None:
    file = scheduled / "jobs" / "call-list.yaml"
    whole = file.read_text()
    file.write_text("version: 1\nname: [\n")
    assert "call-list.yaml" in exportkit("run", "--due", "--quiet").err
    again = exportkit("run", "--due", "--quiet")
    assert (again.code, again.out, again.err) == (2, "", "")
    assert "call-list.yaml" in exportkit("run", "--due").err
    file.write_text(whole)
    assert exportkit("run", "--due", "--quiet").code == 0
    file.write_text("version: 1\nname: [\n")
    assert "call-list.yaml" in exportkit("run", "--due", "--quiet").err
