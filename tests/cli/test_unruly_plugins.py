"""Plugins that misbehave, really installed, seen from the outside: whole processes, as cron has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.host.conftest import SOUND, Site

if TYPE_CHECKING:
    from tests.cli.conftest import Command

EXPORTKIT = Path(sys.executable).with_name("exportkit")

UNRULY = """
    import os, subprocess, sys, threading, time
    from contextlib import contextmanager
    from exportkit import *

    def misbehave(where):
        print("printed", where)
        os.write(1, f"written {{where}}\\n".encode())
        subprocess.run(["echo", "child", where])
        os.chdir("/")

    def linger():
        while True:
            time.sleep(0.05)
            print("still here, ann@example.com")

    misbehave("at import")
    threading.Thread(target=linger).start()

    @hookimpl
    def describe_destination():
        return Description("Unruly", third_party=False, modes=("upsert",))

    @hookimpl
    @contextmanager
    def connect(connection):
        misbehave("in connect")
        yield

    @hookimpl
    def push(session, batch):
        misbehave("in push")
        {push}
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


@pytest.fixture
def job(workspace: Path) -> Path:
    """A job of the starter workspace that delivers to the unruly destination."""
    (workspace / "connections" / "mob.yaml").write_text("version: 1\nname: mob\ntype: unruly\n")
    (workspace / "jobs" / "riot.yaml").write_text(
        "version: 1\nname: riot\nsource: customers\nsegments: [vip]\nconnection: mob\n"
        "map: {email: email}\nkey: email\n"
    )
    return workspace


def environment(site: Site) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site.folder), "XDG_CACHE_HOME": str(site.folder.parent)}


def ran(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the installed command does, from a relative place, with a stdout that is a pipe."""
    return subprocess.run(
        [EXPORTKIT, *arguments],
        cwd=Path.cwd().parent,
        env=environment(site),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_stdout_the_directory_and_the_end_are_the_hosts(site: Site, job: Path) -> None:
    site.install(UNRULY.format(push="return Delivery()"), name="unruly", module="exportkit_unruly")
    done = ran(site, "--workspace", job.name, "run", "riot", "--json")
    (run,) = json.loads(done.stdout)["runs"]
    assert (done.returncode, run["status"]) == (0, "partial")
    for way in ("printed", "written", "child"):
        for where in ("at import", "in connect", "in push"):
            assert f"{way} {where}" in done.stderr
    assert "still here" in done.stderr
    assert "ann@example.com" not in done.stderr


RAISED = {
    "class Odd(BaseException): pass\n        raise Odd('ann@example.com')": "Odd at",
    "raise SystemExit('ann@example.com')": "SystemExit at",
    "raise GeneratorExit('ann@example.com')": "GeneratorExit at",
    "return (Delivery() for _ in 'ab')": "must answer a Delivery, not a generator",
    "return None": "must answer a Delivery, not None",
    "return {'rejections': []}": "must answer a Delivery, not a dict",
    "return Delivery(rejections=[Rejection('ann@example.com', 'no')])": "not in the batch",
}


@pytest.mark.parametrize("push", RAISED)
def test_what_a_hook_raises_or_answers_fails_its_own_run_alone(
    push: str, job: Path, tmp_path: Path, exportkit: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    monkeypatch.syspath_prepend(str(site.folder))
    source = UNRULY.replace("threading.Thread(target=linger).start()", "")
    source = source.replace("    misbehave(", "    print(")
    site.install(source.format(push=push), name="unruly", module="exportkit_unruly")
    try:
        said = exportkit("run", "riot", "vip-newsletter", "--json")
    finally:
        sys.modules.pop("exportkit_unruly", None)
    riot, other = said.json["runs"]
    assert (riot["status"], other["status"]) == ("failed", "partial")
    assert riot["error"]["message"].startswith("unruly (exportkit-unruly 1.2.3)")
    assert RAISED[push] in riot["error"]["message"]
    assert "update it, or tell its authors" in riot["error"]["hint"]
    assert riot["counts"]["added"] == 0
    assert "ann@example.com" not in said.out + said.err


def test_a_slow_import_is_named_and_waited_for_only_where_it_has_to_be(
    site: Site, workspace: Path
) -> None:
    source = "\n    import time; time.sleep(3.5)\n" + SOUND
    site.install(source, name="mud", module="exportkit_mud", record="sha256=1")
    command = [EXPORTKIT, "--workspace", workspace, "plugins", "--json"]
    waiting = subprocess.Popen(
        command, env=environment(site), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    began = time.monotonic()
    for arguments in (["--help"], ["run", "--help"], ["--version"], ["schema", "job"]):
        done = ran(site, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), "none of these loads a plugin"
    out, err = waiting.communicate(timeout=60)
    assert time.monotonic() - began > 3
    assert "warning: the plugin mud (exportkit-mud 1.2.3) has been loading for 3 seconds" in err
    seconds = {plugin["name"]: plugin["seconds"] for plugin in json.loads(out)["plugins"]}
    assert seconds["mud"] >= 3.5
    assert seconds["csv"] < 3.5
    for arguments in (["validate"], ["plan", "vip-newsletter"], ["schema", "job", "--type", "csv"]):
        done = ran(site, "--workspace", str(workspace), *arguments)
        assert done.returncode == 0
        assert "mud" not in done.stderr, "it is known now, and not asked for"


COMMANDS = """
    import click
    from exportkit import hookimpl, DestinationError

    @hookimpl
    def register_commands(cli):
        @cli.command()
        @click.argument("what")
        def weigh(what):
            if what == "odd":
                {}["ann@example.com"]
            if what == "known":
                raise DestinationError("the scales are broken")
            if what == "bad":
                raise click.UsageError("weigh something else")
            click.echo("12 kg")
"""


@pytest.mark.parametrize(
    ("what", "code", "text"),
    [
        ("paper", 0, "12 kg\n"),
        ("odd", 2, "scales (exportkit-scales 1.2.3) failed in a command of its own: KeyError at"),
        ("known", 1, "the scales are broken"),
        ("bad", 2, "weigh something else"),
    ],
)
def test_a_plugin_s_own_command_fails_as_the_plugin_s(
    site: Site,
    exportkit: Command,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    code: int,
    text: str,
) -> None:
    site.install(COMMANDS, name="scales", module="exportkit_scales")
    monkeypatch.syspath_prepend(str(site.folder))
    try:
        said = exportkit("scales", "weigh", what)
    finally:
        sys.modules.pop("exportkit_scales", None)
    assert said.code == code
    assert text in said.out + said.err
    assert "ann@example.com" not in said.err
