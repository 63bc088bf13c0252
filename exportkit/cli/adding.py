"""`exportkit connection add`, and the same questions after `exportkit init`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from exportkit.cli import completing, report
from exportkit.cli import connections as shown
from exportkit.cli.opening import open_house, workspace_of
from exportkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exportkit.config.workspace import Workspace
    from exportkit.operations.adding import Added

FLAGS = (
    click.option(
        "--type",
        shell_complete=completing.plugins,
        help="The destination: see `exportkit plugins`.",
    ),
    click.option("--display-name", help="What people call it.  [default: the destination's title]"),
    click.option(
        "--use",
        type=click.Choice(["admin", "contributor"]),
        multiple=True,
        help="Who may run jobs over it; may be given twice.  [default: admin]",
    ),
    click.option(
        "--option",
        "options",
        multiple=True,
        metavar="NAME=VALUE",
        help="An option of the destination; a secret as a reference such as ${env:NAME}.",
    ),
    click.option("--agree", is_flag=True, help="Agree to the data-privacy statement right away."),
    click.option("--sign-in/--no-sign-in", default=None, help="Sign in right away, or not now."),
    click.option(
        "--device", is_flag=True, help="Sign in on another device: no browser opens here."
    ),
    click.option("--test/--no-test", default=None, help="Test it right away, or not now."),
    click.option("--yes", is_flag=True, help="Ask nothing: what was not said is left as usual."),
)
"""A flag for every question. Without a terminal nothing is asked, as with --yes."""


def asked(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with all the flags."""
    for flag in reversed(FLAGS):
        command = flag(command)
    return command


@click.command()
@click.argument("name", required=False)
@asked
@click.pass_context
def add(ctx: click.Context, /, name: str | None, **said: Any) -> None:
    """Write the file of a new connection NAME, agree, sign in and test.

    On a terminal you are asked for what you did not say. In a script, say all of it:

    \b
    Examples:
      exportkit connection add
      exportkit connection add marketing --type csv --use admin --use contributor --test
    """
    add_connection(workspace_of(ctx), name, said)


def add_connection(workspace: Workspace, name: str | None, said: dict[str, Any]) -> None:
    """Add a connection to the workspace; `said` are the values of the flags."""
    from exportkit.cli.keyboard import Keyboard
    from exportkit.host.loader import load_plugins
    from exportkit.operations import adding

    wishes = adding.Wishes(
        name,
        said["type"],
        said["display_name"],
        tuple(said["use"]),
        dict(_option(text) for text in said["options"]),
        said["sign_in"],
        said["test"],
    )
    guest = Keyboard(browser=not said["device"], agreed=said["agree"], silent=said["yes"])
    with open_house(workspace) as house:
        added = adding.add(workspace, load_plugins(), house, wishes, guest)
    _show(workspace, added)


def _option(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        # What was typed is not repeated: it may be a secret without its name.
        raise UsageError("--option takes NAME=VALUE", hint="such as --option account=marketing")
    return name, value


def _show(workspace: Workspace, added: Added) -> None:
    name, fill = added.name, "; fill in its options, then" if added.missing else ""
    report.show_text(f"{workspace.shown(added.path)} is written{fill}")
    if added.authorized and added.authorized.signed_in:
        report.show_text(
            f"signed in; the credentials are kept in: {shown.STORES[added.authorized.store]}"
        )
    elif added.missing or not added.examined:
        report.show_text(f"  exportkit connection authorize {name}")
    if added.examined:
        looks = [look.as_dict() for look in added.examined.looks]
        shown.show_examination(name, added.examined.account, looks)
    else:
        report.show_text(f"  exportkit connection test {name}")
    report.show_text(f"a job uses it with the line: connection: {name}")
