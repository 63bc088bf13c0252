"""`exportkit constant-contact sandbox`: a rehearsal stage, served until somebody presses Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exportkit import Draft

if TYPE_CHECKING:
    from .box import Sandbox
    from .server import Recorded

_FACTS = """\
The sandbox listens. Everything in it is invented; nothing leaves this machine.

  API            {box.api_url}
  sign-in        {box.auth_url}
  client id      {box.client_id}
  client secret  {box.client_secret}
  list           {list_id}  {list_name}
  refresh token  {token}

In the workspace, connections/sandbox.yaml:

  version: 1
  name: sandbox
  display_name: Constant Contact, sandbox
  type: constant_contact
  consent: {{agreed_by: {agreed_by}, agreed_on: {today}}}
  options:
    api_url: {box.api_url}
    auth_url: {box.auth_url}
    client_id: {box.client_id}
    refresh_token: ${{env:CC_REFRESH_TOKEN}}

and in the shell (--env FILE writes it for you):

  export CC_REFRESH_TOKEN={token}

or leave `refresh_token` out and sign in: exportkit connection authorize sandbox
In a job: `destination: {{list_id: {list_id}}}`. Ctrl-C ends the sandbox.
"""


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0: any that is free.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that remembers contacts, lists and tokens until the next start.",
)
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file that says which calls go wrong, and how.",
)
@click.option(
    "--rotating/--long-lived",
    default=True,
    help="Whether a refresh token is good once, or again and again.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="How many times faster than the service imports are worked off; `inf` for at once.",
)
@click.option("--rates/--no-rates", default=True, help="Whether the limits of calls hold.")
@click.option(
    "--env",
    "env_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file to write SANDBOX_URL, CC_CLIENT_ID and CC_REFRESH_TOKEN to, for the shell.",
)
@click.option("--quiet", is_flag=True, help="No line for each call.")
def sandbox(
    port: int,
    state: Path | None,
    scenario: Path | None,
    rotating: bool,
    speed: float,
    rates: bool,
    env_file: Path | None,
    quiet: bool,
) -> None:
    """Serve a local Constant Contact to rehearse with; nothing leaves this machine.

    It has the service's limits: 4 calls a second and 10,000 a day, imports of 40,000 lines and
    4 MB, unsubscribed people who stay unsubscribed, access tokens of a day.
    """
    from .box import STARTER_LIST, Sandbox
    from .scenario import Scenario
    from .scenario_file import ScenarioError
    from .store import StateError

    if math.isnan(speed):
        raise click.BadParameter("a number is expected", param_hint="--speed")
    try:
        box = Sandbox(
            scenario=Scenario.read(scenario) if scenario else None,
            state=state,
            port=port,
            rotation="rotating" if rotating else "long-lived",
            speed=speed,
            rates=rates,
            on_request=None if quiet else _tell,
        )
    except (ScenarioError, StateError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {port}: {error.strerror}") from None
    _serve(box, STARTER_LIST, env_file)


def _serve(box: Sandbox, list_name: str, env_file: Path | None) -> None:
    stop = threading.Event()
    with box:
        list_id, token = box.add_list(list_name), box.token()
        click.echo(
            _FACTS.format(
                box=box,
                list_id=list_id,
                list_name=list_name,
                token=token,
                agreed_by="me@example.com",
                today=time.strftime("%Y-%m-%d"),
            )
        )
        if env_file is not None:
            _write_env(env_file, box, token)
        before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
        try:
            stop.wait()
        except KeyboardInterrupt:
            click.echo("", err=True)
        finally:
            signal.signal(signal.SIGTERM, before)
    click.echo("the sandbox has stopped", err=True)


def _write_env(path: Path, box: Sandbox, token: str) -> None:
    """What a shell reads with `. FILE`; whole when it appears, so that one can wait for it."""
    values = {"SANDBOX_URL": box.url, "CC_CLIENT_ID": box.client_id, "CC_REFRESH_TOKEN": token}
    lines = [f"export {name}='{value}'\n" for name, value in values.items()]
    try:
        with Draft(path) as draft:
            draft.file.write("".join(lines).encode())
            draft.commit()
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None


def _tell(call: Recorded) -> None:
    """One line a call: no query, no id, no address, no token."""
    status = str(call.status) if call.status else "cut"
    route = call.route or "(no such path)"
    sizes = f"{call.received:,} bytes in, {call.sent:,} out"
    at = time.strftime("%H:%M:%S")
    click.echo(f"{at}  {call.method:6} {route}  {status}  {sizes}, {call.seconds:.3f} s", err=True)
