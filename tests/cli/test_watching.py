"""`exportkit report`, `exportkit metrics`, and what a run tells by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.operations.conftest import listening

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import Command

JOB = "vip-newsletter"


def test_the_report_is_private_and_says_where_it_is(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    said = exportkit("report")
    page = workspace / ".exportkit" / "report.html"
    assert (said.code, said.out) == (0, f"wrote {page}\n")
    assert page.stat().st_mode & 0o777 == 0o600
    text = page.read_text()
    assert "17% of the rows were left out" in text
    assert "not an e-mail address" in text
    people = (workspace / "data" / "profiles.csv").read_text().splitlines()[1:]
    assert not any(person.split(",")[1] in text for person in people if "@" in person)


def test_the_report_elsewhere(exportkit: Command, workspace: Path) -> None:
    said = exportkit("report", "-o", "pages/exports.html", "--json")
    assert said.json["file"] == "pages/exports.html"
    assert {matter["says"] for matter in said.json["attention"]} == {"Has not run yet"}
    assert (workspace / "pages" / "exports.html").read_text().startswith("<!doctype html>")


def test_the_report_on_stdout(exportkit: Command, workspace: Path) -> None:
    said = exportkit("report", "-o", "-")
    assert said.out.startswith("<!doctype html>")
    assert said.out.rstrip().endswith("</html>")
    assert not (workspace / "-").exists()


def test_a_report_that_cannot_be_written(exportkit: Command, workspace: Path) -> None:
    said = exportkit("report", "-o", "data/profiles.csv/report.html")
    assert said.code == 2
    assert "cannot be written" in said.err
    said = exportkit("report", "-o", "data")
    assert said.code == 2
    assert "data is no file" in said.err
    assert exportkit("report", "-o", "/dev/null").code == 2
    assert Path("/dev/null").is_char_device()


def test_a_link_to_the_report_stays(exportkit: Command, workspace: Path) -> None:
    (workspace / "page.html").symlink_to("pages/today.html")
    assert exportkit("report", "-o", "page.html").code == 0
    assert (workspace / "page.html").is_symlink()
    assert (workspace / "pages" / "today.html").read_text().startswith("<!doctype html>")


def test_each_run_leaves_its_metrics(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    file = workspace / ".exportkit" / "metrics.prom"
    families = {f.name: f.samples for f in text_string_to_metric_families(file.read_text())}
    (success,) = families["exportkit_job_last_success_timestamp_seconds"]
    assert success.labels == {"job": JOB}
    rows = {s.labels["outcome"]: s.value for s in families["exportkit_job_last_run_rows"]}
    assert (rows["added"], rows["rejected"]) == (74, 16)
    assert file.stat().st_mode & 0o077 == 0


def test_metrics_for_whoever_collects_them(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    printed = exportkit("metrics")
    assert f'exportkit_job_last_run_status{{job="{JOB}",status="partial"}} 1\n' in printed.out
    assert exportkit("metrics", "-o", "exportkit.prom").out == "wrote exportkit.prom\n"
    assert (workspace / "exportkit.prom").stat().st_mode & 0o777 == 0o644


def test_metrics_that_cannot_be_written_fail_no_run(exportkit: Command, workspace: Path) -> None:
    exportkit("run", "call-list")
    file = workspace / ".exportkit" / "metrics.prom"
    file.unlink()
    file.mkdir()
    said = exportkit("run", JOB, "--json")
    assert said.code == 0
    assert said.json["runs"][0]["status"] == "partial"
    assert f"warning: {file} is no file" in said.err


def test_a_run_that_failed_tells_and_the_next_one_too(
    exportkit: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as listener:
        monkeypatch.setenv("OPS", f"json://{listener.url}")
        everybody = workspace / "exportkit.yaml"
        everybody.write_text(everybody.read_text() + "notify: {to: '${env:OPS}'}\n")
        profiles = workspace / "data" / "profiles.csv"
        away = profiles.rename(workspace / "data" / "away.csv")
        assert exportkit("run", JOB).code == 2
        away.rename(profiles)
        assert exportkit("run", JOB).code == 0
        assert exportkit("run", JOB).code == 0
        titles = [message["title"] for message in listener.messages]
    assert titles == [
        f"exportkit: {JOB} failed",
        f"exportkit: {JOB} works again (partial)",
    ]


def test_a_jobs_own_notify_replaces_the_workspaces(
    exportkit: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as listener:
        monkeypatch.setenv("OPS", f"json://{listener.url}")
        everybody = workspace / "exportkit.yaml"
        everybody.write_text(everybody.read_text() + "notify: {to: '${env:OPS}', on: [always]}\n")
        job = workspace / "jobs" / f"{JOB}.yaml"
        job.write_text(job.read_text() + "notify: []\n")
        exportkit("run", JOB)
        assert listener.messages == []
        exportkit("run", "call-list")
        assert len(listener.messages) == 1


def test_nobody_there_to_be_told_fails_no_run(
    exportkit: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPS", raising=False)
    everybody = workspace / "exportkit.yaml"
    everybody.write_text(everybody.read_text() + "notify: {to: '${env:OPS}', on: [always]}\n")
    said = exportkit("run", JOB, "--json")
    assert (said.code, len(said.json["runs"])) == (0, 1)
    assert "warning: nobody was told: exportkit.yaml:" in said.err
    assert "the environment variable OPS is not set" in said.err
