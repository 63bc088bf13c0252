"""The sample workspace: editors can check it, and its people are as awkward as it promises."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from exportkit_constant_contact.sandbox import STARTER_LIST, Sandbox

from exportkit.config.workspace import open_workspace

ROOT = Path(__file__).parents[1]
WORKSPACES = [ROOT / "configs", ROOT / "benchmarks" / "workspace"]
FILES = [file for workspace in WORKSPACES for file in sorted(workspace.glob("**/*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_says_its_schema_to_editors(file: Path) -> None:
    kinds = {"sources": "source", "connections": "connection", "jobs": "job"}
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    pointed = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert pointed, "the first line is for the editor"
    schema = f"{kinds.get(file.parent.name, 'workspace')}.schema.json"
    assert (file.parent / pointed[1]).resolve() == ROOT / "schemas" / schema


@pytest.mark.parametrize("folder", WORKSPACES, ids=lambda folder: folder.name)
def test_nothing_is_wrong_with_any_file(folder: Path) -> None:
    workspace = open_workspace(folder)
    listings = [workspace.sources(), workspace.connections(), workspace.jobs()]
    assert [complaint for listing in listings for complaint in listing.complaints] == []
    found = sum(len(listing.items) for listing in listings)
    assert found == len([file for file in FILES if folder in file.parents]) - 1


def test_the_people_are_invented() -> None:
    text = (ROOT / "configs" / "data" / "profiles.csv").read_text(encoding="utf-8")
    domains = set(re.findall(r"@@?([^\s,;@]+)", text))
    reserved = re.compile(r"([\w-]+\.)?-?example(\.(com|org|net))?", re.IGNORECASE)
    assert [domain for domain in domains if not reserved.fullmatch(domain)] == []
    phones = {row["phone"] for row in csv.DictReader(text.splitlines(keepends=True))}
    invented = re.compile(r"(\+44 20|020) 7946 0\d{3}|\+1 \(202\) 555-01\d\d|not yet known|")
    assert [phone for phone in phones if not invented.fullmatch(phone)] == []


TO_A_LIST = "newsletter-sandbox"
JOBS = [file.stem for file in sorted((ROOT / "configs" / "jobs").glob("*.yaml"))]
TO_FILES = [job for job in JOBS if job != TO_A_LIST]


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of the sample workspace, as fresh as in git."""
    leftovers = shutil.ignore_patterns("out", ".exportkit")
    return Path(shutil.copytree(ROOT / "configs", tmp_path / "configs", ignore=leftovers))


def in_sample(sample: Path, *command: str) -> str:
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=sample, env=os.environ | {"PATH": tools}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("job", TO_FILES)
def test_every_job_to_a_file_runs(job: str, sample: Path) -> None:
    run = json.loads(in_sample(sample, "exportkit", "run", job, "--json"))["runs"][0]
    counts = run["counts"]
    assert run["status"] == "partial", "some rows are wrong on purpose"
    assert counts["rejected"] > 0
    assert 0 < counts["sent"] == counts["selected"] - counts["rejected"] - counts["duplicates"]
    assert len(list((sample / "out").glob(f"{job}.csv*"))) == 1


def test_the_job_to_a_list_runs(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(sample.parent / "state-home"))
    with Sandbox() as box:
        list_id = box.add_list(STARTER_LIST)
        monkeypatch.setenv("CC_REFRESH_TOKEN", box.token())
        file = sample / "connections" / "sandbox.yaml"
        text = file.read_text(encoding="utf-8")
        assert "http://127.0.0.1:8765/" in text
        file.write_text(text.replace("http://127.0.0.1:8765", box.url), encoding="utf-8")
        for sent in (74, 0):
            run = json.loads(in_sample(sample, "exportkit", "run", TO_A_LIST, "--json"))["runs"][0]
            assert run["counts"]["sent"] == sent
        assert box.count(list_id) == 74
        assert box.import_count == 1


def test_of_several_rows_with_one_address_the_newest_is_sent(sample: Path) -> None:
    in_sample(sample, "exportkit", "run", "vip-newsletter")
    text = (sample / "out" / "vip-newsletter.csv").read_text(encoding="utf-8")
    sent = {row["email"].partition("@")[0]: row for row in csv.DictReader(text.splitlines(True))}
    assert sent["siobhan.obrien"]["city"] == "Galway"
    assert sent["olivia.lee"]["last_name"] == "Lee-Tan"
    assert sent["isil.inonu"]["first_name"] == "Işıl"
    assert sent["riona.o'neill"]["last_name"] == "O'Neill"
    assert "太郎" in {row["first_name"] for row in sent.values()}


def test_the_demo_shows_what_it_says(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(sample.parent / "state-home"))
    shown = in_sample(sample, str(sample / "demo.sh"))
    assert shown.count("$ exportkit ") == 10
    sent = re.findall(r"newsletter-sandbox: \w+ in [\d.]+ s, (\S+) sent", shown)
    assert sent == ["75", "2"], "the second time only the change"
    assert "> " in shown, "the mended address is new in the file"
    assert (sample.parent / "demo" / "out" / "vip-newsletter.csv").is_file()
