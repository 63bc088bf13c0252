"""`exportkit connection`: from its file and the agreement to its end."""

from __future__ import annotations

import importlib
import io
import json
import sys
import textwrap
from datetime import date
from typing import TYPE_CHECKING

import keyring
import pytest

from exportkit.access.audit import current_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Command, Said

MILL = """
    from contextlib import contextmanager
    from types import SimpleNamespace

    import click

    from exportkit import *

    OPTIONS = {
        "type": "object",
        "required": ["account"],
        "properties": {
            "account": {"type": "string", "description": "Whose mill it is."},
            "api_secret": {"type": "string", "writeOnly": True},
            "broken": {"type": "boolean", "default": False},
        },
    }
    JOB = {"type": "object", "properties": {"tray": {"type": "string"}}}

    @hookimpl
    def describe_destination():
        limits = Limits(calls_per_day=100, calls_per_second=50)
        return Description("Paper mill", connection_options=OPTIONS, job_options=JOB,
                           modes=("upsert",), limits=limits)

    @hookimpl
    @contextmanager
    def connect(connection):
        connection.calls("mill").take()
        if "token" not in connection.credentials.read():
            raise AccessDeniedError("the mill does not know you",
                                    hint=f"exportkit connection authorize {connection.name}")
        yield SimpleNamespace(account="Mill of " + connection.options["account"],
                              left=connection.calls("mill").left())

    @hookimpl
    def describe_target(session, options):
        if options.get("tray") == "none":
            raise JobError("there is no tray 'none'", field="tray", known=["left"])
        return Catalogue(options.get("tray", "left"), members=1234,
                         details={"calls_left": session.left, "secret": {"deep": 1}})

    @hookimpl
    def push(session, batch):
        return Delivery()

    @hookimpl
    def authorize(connection, prompt):
        prompt.tell("open https://mill.example.com" if prompt.browser else "enter ABCD")
        return {"token": prompt("Code")}

    @hookimpl
    def revoke(connection):
        if connection.options.get("broken"):
            raise UnavailableError("the mill is closed")
        print("revoked", connection.credentials.read()["token"][:1])

    @hookimpl
    def register_commands(cli):
        @cli.command()
        def weigh():
            click.echo("12 kg")
"""
FILE = """\
version: 1
name: paper
display_name: "The mill"
type: paper_mill   # the plugin
use: [admin, contributor]

# whose
options:
  account: jane
"""


@pytest.fixture
def mill(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The starter workspace with a destination that wants a sign-in, and a job over it."""
    site = tmp_path / "site"
    info = site / "exportkit_mill-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "exportkit_mill.py").write_text(textwrap.dedent(MILL))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: exportkit-mill\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[exportkit]\npaper_mill = exportkit_mill\n")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "machine"))
    monkeypatch.delenv("EXPORTKIT_CREDENTIALS_KEY", raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    (workspace / "connections" / "paper.yaml").write_text(FILE)
    job = (workspace / "jobs" / "vip-newsletter.yaml").read_text()
    letter = job.replace("name: vip-newsletter", "name: letter").replace(
        "connection: files", "connection: paper  # over the mill"
    )
    head, _, rest = letter.partition("destination:")
    rest = rest[rest.index("\nmap:") + 1 :]
    (workspace / "jobs" / "letter.yaml").write_text(f"{head}destination: {{tray: left}}\n{rest}")
    yield workspace
    keyring.set_keyring(before)
    sys.modules.pop("exportkit_mill", None)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    typed = io.StringIO()
    monkeypatch.setattr(sys, "stdin", typed)
    return typed


def type_in(stdin: io.StringIO, *lines: str) -> None:
    stdin.seek(0)
    stdin.truncate()
    stdin.write("".join(f"{line}\n" for line in lines))
    stdin.seek(0)


@pytest.fixture
def signed_in(mill: Path, exportkit: Command, answer: io.StringIO) -> Said:
    type_in(answer, "y", "t0ken-4711")
    return exportkit("connection", "authorize", "paper")


def actions(exportkit: Command, subject: str = "paper") -> list[str]:
    entries = exportkit("audit", subject, "--json").json["entries"]
    assert {entry["user"] for entry in entries} <= {current_user()}
    return [entry["action"] for entry in reversed(entries)]


def test_authorize_asks_then_signs_in_and_keeps(
    signed_in: Said, mill: Path, exportkit: Command
) -> None:
    assert signed_in.code == 0
    assert "a third party" in signed_in.err
    assert "open https://mill.example.com" in signed_in.err
    assert "a private file, not encrypted" in signed_in.out
    assert "4711" not in signed_in.out
    agreed = f"consent: {{agreed_by: {current_user()}, agreed_on: {date.today()}}}"
    text = (mill / "connections" / "paper.yaml").read_text()
    assert text == FILE.replace("contributor]\n", f"contributor]\n{agreed}\n")
    kept = mill / ".exportkit" / "credentials" / "paper.json"
    assert json.loads(kept.read_text())["values"] == {"token": "t0ken-4711"}
    assert kept.stat().st_mode & 0o077 == 0
    assert actions(exportkit) == ["consent", "connection authorize"]
    assert "4711" not in exportkit("audit", "--json").out
    assert exportkit("run", "letter").code == 0


@pytest.mark.parametrize("said", [["n"], []])
def test_without_a_yes_nothing_happens(
    said: list[str], mill: Path, exportkit: Command, answer: io.StringIO
) -> None:
    type_in(answer, *said)
    told = exportkit("connection", "authorize", "paper")
    assert told.code == 4
    assert "--agree" in told.err
    assert (mill / "connections" / "paper.yaml").read_text() == FILE
    assert not (mill / ".exportkit" / "credentials").exists()
    assert actions(exportkit) == []


def test_agree_and_device_are_flags(mill: Path, exportkit: Command, answer: io.StringIO) -> None:
    type_in(answer, "t0ken")
    told = exportkit("connection", "authorize", "paper", "--agree", "--device")
    assert told.code == 0
    assert "enter ABCD" in told.err


def test_an_abandoned_sign_in_keeps_nothing(
    mill: Path, exportkit: Command, answer: io.StringIO
) -> None:
    type_in(answer)
    told = exportkit("connection", "authorize", "paper", "--agree")
    assert told.code == 1
    assert "the sign-in was abandoned" in told.err
    assert not (mill / ".exportkit" / "credentials" / "paper.json").exists()


def test_nobody_is_asked_twice(signed_in: Said, exportkit: Command, answer: io.StringIO) -> None:
    type_in(answer, "other")
    told = exportkit("connection", "authorize", "paper")
    assert told.code == 0
    assert "third party" not in told.err


def test_test_names_the_account_and_each_target(signed_in: Said, exportkit: Command) -> None:
    told = exportkit("connection", "test", "paper")
    assert told.code == 0
    assert "paper: connected to Mill of jane" in told.out
    assert "letter  left  1,234 members  calls_left: 99" in told.out
    document = exportkit("connection", "test", "paper", "--json").json
    assert document["account"] == "Mill of jane"
    (target,) = document["targets"]
    assert (target["job"], target["members"], target["error"]) == ("letter", 1234, None)
    assert target["details"]["calls_left"] == 98
    assert actions(exportkit)[-1] == "connection test"


def test_test_without_credentials_says_what_to_do(mill: Path, exportkit: Command) -> None:
    told = exportkit("connection", "test", "paper")
    assert told.code == 4
    assert "exportkit connection authorize paper" in told.err


def test_test_says_which_job_is_wrong(signed_in: Said, mill: Path, exportkit: Command) -> None:
    job = mill / "jobs" / "letter.yaml"
    job.write_text(job.read_text().replace("tray: left", "tray: none"))
    told = exportkit("connection", "test", "paper")
    assert told.code == 2
    assert "jobs/letter.yaml:" in told.err
    assert "there is no tray 'none'" in told.err


def test_a_key_that_is_missing_under_cron(
    mill: Path, exportkit: Command, answer: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.fernet import Fernet

    monkeypatch.setenv("EXPORTKIT_CREDENTIALS_KEY", Fernet.generate_key().decode())
    type_in(answer, "t0ken")
    assert "an encrypted file" in exportkit("connection", "authorize", "paper", "--agree").out
    assert exportkit("connection", "test", "paper").code == 0
    monkeypatch.delenv("EXPORTKIT_CREDENTIALS_KEY")
    for command in (("connection", "test", "paper"), ("run", "letter"), ("plan", "letter")):
        told = exportkit(*command)
        assert told.code == 4, told
        assert "EXPORTKIT_CREDENTIALS_KEY is not set" in told.out + told.err


def test_a_place_that_is_not_there_is_said_before_the_sign_in(
    mill: Path, exportkit: Command, answer: io.StringIO
) -> None:
    told = exportkit("connection", "authorize", "paper", "--agree", "--store", "keyring")
    assert told.code == 4
    assert "there is no system keyring here" in told.err
    assert "Code" not in told.err


def test_list_and_show(signed_in: Said, exportkit: Command, answer: io.StringIO) -> None:
    files, paper = exportkit("connection", "list", "--json").json["connections"]
    assert (files["name"], files["consent"], files["credentials"]) == ("files", None, None)
    assert paper["jobs"] == ["letter"]
    assert paper["use"] == ["admin", "contributor"]
    assert paper["consent"]["agreed_by"] == current_user()
    assert paper["credentials"] == "file"
    assert "paper_mill" in exportkit("connection", "list").out
    told = exportkit("connection", "show", "paper")
    assert "a private file, not encrypted" in told.out
    assert exportkit("connection", "show", "paper", "--json").json["options"] == {"account": "jane"}
    assert exportkit("connection", "show", "papre").code == 2


def test_remove_refuses_while_jobs_use_it(signed_in: Said, mill: Path, exportkit: Command) -> None:
    told = exportkit("connection", "remove", "paper")
    line = 1 + (mill / "jobs" / "letter.yaml").read_text().splitlines().index(
        "connection: paper  # over the mill"
    )
    assert told.code == 2
    assert f"jobs/letter.yaml:{line}:" in told.err
    assert "exportkit connection detach paper --job letter" in told.err
    assert exportkit("connection", "test", "paper").code == 0


def test_the_end_of_a_connection(signed_in: Said, mill: Path, exportkit: Command) -> None:
    exportkit("run", "letter")
    assert list((mill / ".exportkit" / "catalogues").glob("paper-*"))
    before = (mill / "jobs" / "letter.yaml").read_text()
    told = exportkit("connection", "detach", "paper", "--job", "letter")
    assert told.code == 0
    assert "job 'letter' is inactive now" in told.out
    assert (mill / "jobs" / "letter.yaml").read_text() == before.replace(
        "connection: paper  # over the mill\n", ""
    )
    states = {job["job"]: job for job in exportkit("status", "--json").json["jobs"]}
    assert states["letter"]["active"] is False
    assert "inactive" in exportkit("status").out
    by_name = exportkit("run", "letter")
    assert by_name.code == 2
    assert "has no connection" in by_name.err
    told = exportkit("connection", "remove", "paper")
    assert told.code == 0, told.err
    assert "signed out, and removed 'paper'" in told.out
    assert "revoked t" in told.err
    assert not (mill / "connections" / "paper.yaml").exists()
    assert list((mill / ".exportkit" / "credentials").iterdir()) == []
    assert not list((mill / ".exportkit" / "catalogues").glob("paper-*"))
    assert actions(exportkit)[-2:] == ["connection detach", "connection remove"]
    assert exportkit("connection", "remove", "paper").code == 2


def test_a_sign_out_that_fails_removes_nothing(
    signed_in: Said, mill: Path, exportkit: Command
) -> None:
    file = mill / "connections" / "paper.yaml"
    file.write_text(file.read_text() + "  broken: true\n")
    (mill / "jobs" / "letter.yaml").unlink()
    told = exportkit("connection", "remove", "paper")
    assert told.code == 1
    assert "the mill is closed" in told.err
    assert "--unrevoked" in told.err
    assert file.exists()
    assert (mill / ".exportkit" / "credentials" / "paper.json").exists()
    told = exportkit("connection", "remove", "paper", "--unrevoked")
    assert (told.code, told.out) == (0, "removed 'paper' with its credentials\n")


def test_credentials_without_a_file_are_removed_too(
    signed_in: Said, mill: Path, exportkit: Command
) -> None:
    (mill / "connections" / "paper.yaml").unlink()
    assert exportkit("connection", "remove", "paper").code == 0
    assert list((mill / ".exportkit" / "credentials").iterdir()) == []


def test_detaching_what_is_not_attached(mill: Path, exportkit: Command) -> None:
    told = exportkit("connection", "detach", "files", "--job", "letter")
    assert told.code == 2
    assert "has the connection 'paper'" in told.err


def test_add_writes_a_file_to_fill_in(mill: Path, exportkit: Command) -> None:
    told = exportkit("connection", "add", "second", "--type", "paper_mill", "--use", "contributor")
    assert told.code == 0
    text = (mill / "connections" / "second.yaml").read_text()
    assert "#   # Whose mill it is. Required.\n#   account: ...\n" in text
    assert "#   api_secret: ${env:API_SECRET}\n" in text
    listed = {c["name"]: c for c in exportkit("connection", "list", "--json").json["connections"]}
    assert listed["second"]["use"] == ["contributor"]
    assert listed["second"]["display_name"] == "Paper mill"
    assert listed["second"]["created_at"]
    filled = "\n".join(
        line[2:] if line.startswith("# ") and ":" in line and "Take" not in line else line
        for line in text.splitlines()
    )
    (mill / "connections" / "second.yaml").write_text(filled + "\n")
    valid = exportkit("validate", "--json").json
    assert "second" not in json.dumps(valid["complaints"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["paper", "--type", "paper_mill"], "there is a connection 'paper' already"),
        (["Paper Mill", "--type", "paper_mill"], "cannot be a connection's name"),
        (["other", "--type", "paper_mil"], "did you mean 'paper_mill'?"),
        (["../x", "--type", "paper_mill"], "cannot be a connection's name"),
    ],
)
def test_add_refuses(arguments: list[str], said: str, mill: Path, exportkit: Command) -> None:
    told = exportkit("connection", "add", *arguments)
    assert told.code == 2
    assert said in told.err


def test_add_can_agree(mill: Path, exportkit: Command) -> None:
    exportkit("connection", "add", "second", "--type", "paper_mill", "--agree")
    consent = exportkit("connection", "show", "second", "--json").json["consent"]
    assert consent == {"agreed_by": current_user(), "agreed_on": str(date.today())}
    assert actions(exportkit, "second") == ["connection add", "consent"]


def test_what_stays_on_the_machine_asks_nothing(exportkit: Command, workspace: Path) -> None:
    told = exportkit("connection", "authorize", "files")
    assert (told.code, told.err) == (0, "")
    assert "needs no sign-in" in told.out
    assert exportkit("connection", "test", "files").code == 0


@pytest.mark.parametrize("name", ["paper-mill", "paper_mill"])
def test_a_plugins_commands_have_hyphens(name: str, mill: Path, exportkit: Command) -> None:
    assert exportkit(name, "weigh").out == "12 kg\n"


def test_a_wrong_command_is_told_the_nearest_with_hyphens(mill: Path, exportkit: Command) -> None:
    assert "did you mean 'paper-mill'?" in exportkit("papermill").err


def test_the_audit_is_a_table(signed_in: Said, exportkit: Command) -> None:
    told = exportkit("audit")
    assert told.code == 0
    assert "connection authorize  paper" in told.out
    assert len(exportkit("audit", "--limit", "1").out.splitlines()) == 1


def test_another_account_takes_another_agreement(
    signed_in: Said, mill: Path, exportkit: Command, answer: io.StringIO
) -> None:
    assert exportkit("run", "letter").code == 0
    path = mill / "connections" / "paper.yaml"
    path.write_text(path.read_text().replace("account: jane", "account: joe"))
    told = exportkit("run", "letter", "--full")
    assert told.code == 4
    assert "connections/paper.yaml:" in told.err
    assert "options.account changed since somebody agreed" in told.err
    assert exportkit("connection", "test", "paper").code == 0, "no personal data goes with it"
    type_in(answer, "y", "t0ken")
    told = exportkit("connection", "authorize", "paper")
    assert told.code == 0
    assert "a third party" in told.err
    assert exportkit("run", "letter", "--full").code == 0
    assert actions(exportkit).count("consent") == 2


def test_an_agreement_by_hand_is_tied_by_the_first_run(
    signed_in: Said, mill: Path, exportkit: Command
) -> None:
    path = mill / "connections" / "paper.yaml"
    by_hand = path.read_text().replace(f"agreed_on: {date.today()}", "agreed_on: 2026-01-02")
    path.write_text(by_hand)
    assert exportkit("run", "letter").code == 0
    assert actions(exportkit)[-1] == "consent first used"
    path.write_text(by_hand.replace("account: jane", "account: joe"))
    assert exportkit("run", "letter").code == 4
    assert "{" not in exportkit("audit", "paper").out
