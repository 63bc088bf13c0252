"""`exportkit connection` and what is below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from exportkit.cli import completing, report
from exportkit.cli import connections as shown
from exportkit.cli.adding import add
from exportkit.cli.opening import open_house, workspace_of
from exportkit.errors import EXIT_OK, EXIT_ORDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exportkit.config.connection import ConnectionFile


@click.group()
def connection() -> None:
    """Manage connections: accounts at destinations.

    \b
    Examples:
      exportkit connection add
      exportkit connection authorize marketing
      exportkit connection test marketing
    """


@connection.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show each connection: type, consent, who may use it, the jobs over it.

    Contributors see the display name and the type alone.

    \b
    Examples:
      exportkit connection list
    """
    from exportkit.access.roles import standing_in
    from exportkit.operations.connections import facts_of

    workspace = workspace_of(ctx)
    listing = workspace.connections()
    if standing_in(workspace).role != "admin":
        _list_in_short(listing.items, as_json)
        return
    with open_house(workspace) as house:
        facts = [facts_of(workspace, house, each).as_dict() for each in listing.items]
    if as_json:
        report.show_json(
            {
                "connections": facts,
                "warnings": [report.complaint_document(c) for c in listing.complaints],
            }
        )
        return
    report.show_warnings(workspace.warnings)
    shown.show_list(facts)


def _list_in_short(connections: Sequence[ConnectionFile], as_json: bool) -> None:
    facts = [shown.in_short(each) for each in connections]
    if as_json:
        report.show_json({"connections": facts, "warnings": []})
    else:
        shown.show_list_in_short(facts)


@connection.command()
@click.argument("name", shell_complete=completing.connections)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show all that is known of a connection NAME without asking the destination.

    \b
    Examples:
      exportkit connection show marketing
    """
    from exportkit.access.roles import standing_in
    from exportkit.host.loader import load_plugins
    from exportkit.operations.connections import facts_of, secret_options

    workspace = workspace_of(ctx)
    found = workspace.connection(name)
    if standing_in(workspace).role != "admin":
        if as_json:
            report.show_json(shown.in_short(found))
        else:
            shown.show_list_in_short([shown.in_short(found)])
        return
    with open_house(workspace) as house:
        facts = facts_of(workspace, house, found).as_dict()
    facts["options"] = shown.options_of(found, secret_options(load_plugins(), found.type))
    if as_json:
        report.show_json(facts)
    else:
        shown.show_one(facts)


@connection.command()
@click.argument("name", shell_complete=completing.connections)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def test(ctx: click.Context, name: str, as_json: bool) -> int:
    """Connect, and look at the target of every job over connection NAME. Nothing is sent.

    \b
    Examples:
      exportkit connection test marketing
    """
    from exportkit.host.loader import load_plugins
    from exportkit.operations.connections import examine

    workspace = workspace_of(ctx)
    with open_house(workspace) as house:
        found = examine(workspace, load_plugins(), house, name)
    looks = [look.as_dict() for look in found.looks]
    if as_json:
        report.show_json({"connection": name, "account": found.account, "targets": looks})
    else:
        shown.show_examination(name, found.account, looks)
    codes = {look.error.exit_code if look.error else EXIT_OK for look in found.looks}
    return next((code for code in EXIT_ORDER if code in codes), EXIT_OK)


@connection.command()
@click.argument("name", shell_complete=completing.connections)
@click.option("--device", is_flag=True, help="Sign in on another device: no browser opens here.")
@click.option("--agree", is_flag=True, help="Agree to the data-privacy statement.")
@click.option(
    "--store",
    type=click.Choice(["keyring", "file"]),
    help="Where the credentials go from now on; without it, where they are, or what is there.",
)
@click.pass_context
def authorize(
    ctx: click.Context,
    name: str,
    device: bool,
    agree: bool,
    store: Literal["keyring", "file"] | None,
) -> None:
    """Agree that connection NAME may hand personal data over, and sign in.

    The agreement is asked for once, written into the connection's file and audited. A file of
    credentials is encrypted if EXPORTKIT_CREDENTIALS_KEY holds a key.

    \b
    Examples:
      exportkit connection authorize marketing
      exportkit connection authorize marketing --device --agree
    """
    from exportkit.cli.keyboard import Keyboard
    from exportkit.host.loader import load_plugins
    from exportkit.operations.authorizing import authorize as authorize_connection

    workspace = workspace_of(ctx)
    person = Keyboard(browser=not device, agreed=agree)
    with open_house(workspace) as house:
        done = authorize_connection(workspace, load_plugins(), house, name, person, store)
    if done.agreed:
        report.show_text(f"the agreement is in {workspace.connection(name).document.file}")
    if done.signed_in:
        report.show_text(f"signed in; the credentials are kept in: {shown.STORES[done.store]}")
        report.show_text(f"  try it: exportkit connection test {name}")
    else:
        report.show_text(f"{done.title} needs no sign-in")


@connection.command()
@click.argument("name", shell_complete=completing.connections)
@click.option(
    "--job",
    required=True,
    shell_complete=completing.jobs,
    help="The job that is to have no connection any more.",
)
@click.pass_context
def detach(ctx: click.Context, name: str, job: str) -> None:
    """Take connection NAME out of a job's file: the job is kept, and inactive.

    \b
    Examples:
      exportkit connection detach marketing --job vip-newsletter
    """
    from exportkit.operations.connections import detach as detach_job

    workspace = workspace_of(ctx)
    with open_house(workspace) as house:
        detached = detach_job(workspace, house, name, job)
    report.show_text(
        f"job '{detached.name}' is inactive now; to attach it, write `connection: NAME` into "
        f"{detached.document.file}"
    )


@connection.command()
@click.argument("name", shell_complete=completing.connections)
@click.option("--unrevoked", is_flag=True, help="Without signing out at the destination.")
@click.pass_context
def remove(ctx: click.Context, name: str, unrevoked: bool) -> None:
    """Remove connection NAME: sign out, forget its credentials, delete its file.

    Refused while jobs use it. What was audited stays.

    \b
    Examples:
      exportkit connection remove marketing
    """
    from exportkit.host.loader import load_plugins
    from exportkit.operations.connections import remove as remove_connection

    workspace = workspace_of(ctx)
    with open_house(workspace) as house:
        signed_out = remove_connection(workspace, load_plugins(), house, name, revoke=not unrevoked)
    out = "signed out, and " if signed_out else ""
    report.show_text(f"{out}removed '{name}' with its credentials")


connection.add_command(add)
