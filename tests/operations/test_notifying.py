"""Notices reach real servers, and one that does not is a warning that names no address."""

from __future__ import annotations

import email
import email.policy
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.config.workspace import open_workspace
from exportkit.operations.notifying import notify
from exportkit.state.journal import Journal, open_journal
from tests.operations.conftest import MORNING, Listener, a_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exportkit.records import Run

Told = list[str]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def tell(tmp_path: Path, journal: Journal) -> Callable[[str, Run], Told]:
    def tell_of(yaml: str, done: Run) -> Told:
        (tmp_path / "exportkit.yaml").write_text(f"version: 1\nnotify: {yaml}\n")
        workspace = open_workspace(tmp_path)
        assert workspace.notify is not None
        return notify(journal, workspace.notify, done, tmp_path)

    return tell_of


def remember(journal: Journal, run_id: str, status: str) -> None:
    journal.begin_run(run_id, "vip", MORNING)
    journal.end_run(replace(a_run(status), run_id=run_id))


def test_a_web_hook_hears_of_a_failure(tell, listener: Listener, monkeypatch) -> None:
    monkeypatch.setenv("OPS", f"json://{listener.url}/hooks/secret-token")
    assert tell("{to: '${env:OPS}'}", a_run("failed", "job")) == []
    (message,) = listener.messages
    assert message["title"] == "exportkit: vip failed"
    assert "name another list" in message["message"]
    assert message["type"] == "failure"


def test_nobody_hears_of_what_they_did_not_ask_for(tell, listener: Listener, monkeypatch) -> None:
    monkeypatch.setenv("OPS", f"json://{listener.url}")
    monkeypatch.delenv("UNSET", raising=False)
    yaml = "[{to: '${env:OPS}', on: [recovery]}, {to: '${env:UNSET}', on: [guard]}]"
    assert tell(yaml, a_run("failed", "job")) == []
    assert listener.bodies == []


def test_recovery_is_the_first_good_run_after_a_bad_one(
    tell, journal: Journal, listener: Listener, monkeypatch
) -> None:
    monkeypatch.setenv("OPS", f"json://{listener.url}")
    done = a_run("succeeded", selected=3, added=3)
    remember(journal, "one", "failed")
    remember(journal, "two", "deferred")
    remember(journal, done.run_id, "succeeded")
    assert tell("{to: '${env:OPS}', on: [recovery]}", done) == []
    assert [m["title"] for m in listener.messages] == ["exportkit: vip works again (succeeded)"]
    remember(journal, "four", "succeeded")
    tell("{to: '${env:OPS}', on: [recovery]}", replace(done, run_id="four"))
    assert len(listener.messages) == 1


def test_several_addresses_in_a_file(tell, listener: Listener, tmp_path: Path) -> None:
    url = f"json://{listener.url}"
    (tmp_path / "team.txt").write_text(f"{url}/a, {url}/b\n{url}/c\n")
    assert tell("{to: '${file:team.txt}', on: [always]}", a_run()) == []
    assert len(listener.messages) == 3


def test_one_that_refuses_is_a_warning_without_its_address(
    tell, listener: Listener, monkeypatch
) -> None:
    listener.status = 503
    monkeypatch.setenv("OPS", f"json://{listener.url}/hooks/secret-token")
    (line,) = tell("{to: '${env:OPS}'}", a_run("failed", "job"))
    assert line.endswith(
        "exportkit.yaml:2:14: notify.to: the notification was not delivered: json answered 503"
    )


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("json://127.0.0.1:1/secret", "json could not be reached, or refused it"),
        ("nonsense://secret", "nonsense is no address that Apprise knows"),
        ("secret", "it is no address that Apprise knows"),
    ],
)
def test_a_broken_notifier(tell, monkeypatch, capfd, address: str, reason: str) -> None:
    monkeypatch.setenv("OPS", address)
    (line,) = tell("{to: '${env:OPS}'}", a_run("failed", "job"))
    assert reason in line
    assert "secret" not in line
    assert capfd.readouterr() == ("", "")


def test_an_address_that_is_not_there(tell, monkeypatch) -> None:
    monkeypatch.delenv("OPS", raising=False)
    (line,) = tell("{to: '${env:OPS}'}", a_run("failed", "job"))
    assert "the environment variable OPS is not set" in line
    assert "exportkit.yaml:2:14" in line


def test_without_the_extra(tell, monkeypatch) -> None:
    monkeypatch.setenv("OPS", "json://127.0.0.1")
    monkeypatch.setitem(sys.modules, "apprise", None)
    (line,) = tell("{to: '${env:OPS}'}", a_run("failed", "job"))
    assert "pip install 'exportkit[notify]'" in line


def test_a_notifier_that_breaks_fails_nothing(tell, monkeypatch) -> None:
    import apprise

    def explode(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("jane@example.com")

    monkeypatch.setattr(apprise.Apprise, "notify", explode)
    monkeypatch.setenv("OPS", "json://127.0.0.1")
    (line,) = tell("{to: '${env:OPS}'}", a_run("failed", "job"))
    assert "json failed (RuntimeError" in line
    assert "jane" not in line


def test_mail_arrives(tell, monkeypatch) -> None:
    controllers = pytest.importorskip("aiosmtpd.controller")
    arrived: list[Any] = []

    class Handler:
        async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802
            arrived.append(envelope)
            return "250 OK"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = controllers.Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        monkeypatch.setenv(
            "OPS", f"mailto://127.0.0.1:{port}?from=exportkit@shop.example&to=ops@shop.example"
        )
        assert tell("{to: '${env:OPS}'}", a_run("failed", "job")) == []
    finally:
        controller.stop()
    (envelope,) = arrived
    assert envelope.rcpt_tos == ["ops@shop.example"]
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["subject"] == "exportkit: vip failed"
    body = message.get_body(("plain",))
    assert body is not None
    assert "name another list" in body.get_content()
