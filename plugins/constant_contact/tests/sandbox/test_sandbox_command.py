"""The command, and what a state remembers between two starts."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests
import yaml
from click.testing import CliRunner
from exportkit_constant_contact.sandbox import ManualClock, Sandbox
from exportkit_constant_contact.sandbox.command import sandbox
from exportkit_constant_contact.sandbox.store import StateError
from sandbox_caller import HEADER, Caller

if TYPE_CHECKING:
    from pathlib import Path

START = """
import signal
from exportkit_constant_contact.sandbox.command import sandbox
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sandbox()
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_what_a_connection_needs_and_serves(ending: signal.Signals) -> None:
    command = [sys.executable, "-u", "-c", START, "--port", "0", "--speed", "inf"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        text = ""
        while "Ctrl-C ends the sandbox" not in text:
            line = process.stdout.readline()
            assert line, "it ended early"
            text += line
        block = text.split("connections/sandbox.yaml:")[1].split("and in the shell")[0]
        connection = yaml.safe_load(block.replace("\n  ", "\n"))
        token = re.findall(r"CC_REFRESH_TOKEN=(\S+)", text)[0]
        options = connection["options"]
        form = {
            "grant_type": "refresh_token",
            "refresh_token": token,
            "client_id": options["client_id"],
        }
        reply = requests.post(options["auth_url"] + "/token", data=form, timeout=5)
        access = {"Authorization": f"Bearer {reply.json()['access_token']}"}
        query = {"email": "secret@x.example"}
        url = options["api_url"]
        requests.get(f"{url}/contacts", params=query, headers=access, timeout=5)
        requests.get(f"{url}/secret@x.example", headers=access, timeout=5)
        lists = requests.get(f"{url}/contact_lists", headers=access, timeout=5).json()["lists"]
        assert lists[0]["list_id"] in text
        assert lists[0]["name"] in text
        process.send_signal(ending)
        try:
            _, log = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "GET    /v3/contacts  200" in log
    assert "(no such path)  403" in log
    assert "secret" not in log
    assert token not in log


def test_a_state_remembers_everything(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "state.sqlite"
    with Sandbox(state=path, clock=clock, rates=False, speed=1) as box:
        news, caller = box.add_list("News"), Caller(box)
        box.add_field("Tier")
        box.add_contact("a@x.example", lists=[news])
        box.unsubscribe("a@x.example")
        activity = caller.upload(news, f"{HEADER}\nb@x.example,Bob,\n").json()["activity_id"]
        token, secret, client = box.token(), box.client_secret, box.client_id
        header = caller.http.headers["Authorization"]
    clock.advance(60)
    with Sandbox(state=path, clock=clock, rates=False) as box:
        caller = Caller(box)
        assert (box.client_id, box.client_secret) == (client, secret)
        assert box.add_list("News") == news
        assert [each["first_name"] for each in box.contacts(news)] == ["Bob"]
        assert caller.get(f"/activities/{activity}").json()["state"] == "completed"
        ann = box.contact("a@x.example")
        assert ann is not None
        assert ann["email_address"]["permission_to_send"] == "unsubscribed"
        caller.http.headers["Authorization"] = header
        assert caller.get("/contact_custom_fields").json()["custom_fields"][0]["name"] == "tier"
        assert caller.token(grant_type="refresh_token", refresh_token=token).status_code == 200


def test_another_file_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("hello " * 200, encoding="utf-8")
    with pytest.raises(StateError, match=r"other\.txt"):
        Sandbox(state=path)
    assert path.read_text(encoding="utf-8") == "hello " * 200


def test_problems_at_the_start_are_one_sentence(tmp_path: Path) -> None:
    scenario = tmp_path / "bad.yaml"
    scenario.write_text("version: 2\n", encoding="utf-8")
    bad = CliRunner().invoke(sandbox, ["--scenario", str(scenario)])
    assert bad.exit_code == 1
    assert bad.output.startswith(f"Error: {scenario}:1:1: 'version: 1' is expected")
    with Sandbox() as box:
        port = box.url.rsplit(":", 1)[1]
        taken = CliRunner().invoke(sandbox, ["--port", port])
    assert taken.exit_code == 1
    assert "cannot listen on port" in taken.output


def test_a_defect_of_the_box_is_not_kept_quiet(clock: ManualClock) -> None:
    def call() -> None:
        with Sandbox(clock=clock, rates=False) as box:
            caller = Caller(box)
            box._state.contacts = None  # type: ignore[assignment]
            box.misbehave(unsubscribe="a@x.example")
            assert caller.get("/contacts").status_code == 500

    with pytest.raises(AttributeError):
        call()
