"""What every command opens first: the workspace, the plugins, the state."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from exportkit.config.workspace import Workspace, open_workspace
from exportkit.errors import ConfigError, ExportkitError, PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from exportkit.host.loader import Host
    from exportkit.pipeline.prepare import Prepared
    from exportkit.state.house import House


def workspace_of(ctx: click.Context) -> Workspace:
    """The workspace of `--workspace`, or the one around the current folder.

    Every command comes by here, so this is where its role is asked for. Raises
    PermissionDeniedError, and audits it, where the user has it not.
    """
    workspace = open_workspace(ctx.obj)
    if workspace.roles is not None:
        _check_role(workspace, " ".join(ctx.command_path.split()[1:]))
    return workspace


def _check_role(workspace: Workspace, command: str) -> None:
    from exportkit.access.roles import require, unknown_people
    from exportkit.cli.report import show_warnings

    if command != "validate":  # there it is an error
        show_warnings(unknown_people(workspace))
    try:
        require(workspace, command)
    except PermissionDeniedError:
        _audit_refusal(workspace, command)
        raise


def _audit_refusal(workspace: Workspace, command: str) -> None:
    """Write it down where there is a journal that this user can write to."""
    from exportkit.access.audit import note
    from exportkit.state.folder import state_folder

    with suppress(ExportkitError):
        state = state_folder(workspace.root, workspace.state)
        if state.shelf.shared or state.journal.exists():
            with open_house(workspace) as house:
                note(house.journal, "refused", command)


def open_house(workspace: Workspace) -> House:
    """The state folder and the journal, to be closed at the end."""
    from exportkit.state.folder import open_state
    from exportkit.state.house import House

    return House(open_state(workspace.root, workspace.state))


def prepare_jobs(workspace: Workspace, host: Host, names: Sequence[str]) -> list[Prepared]:
    """The jobs with all that they name. Raises one ConfigError with everything that is wrong."""
    from exportkit.pipeline.prepare import prepare

    prepared: dict[str, Prepared] = {}
    wrong = []
    for name in names:
        try:
            ready = prepare(workspace, host, workspace.job(name))
            ready.resolved_connection()  # an unset variable is found before the first job runs
            # A job that is named twice, by name and by file, is one.
            prepared[ready.job.name] = ready
        except ConfigError as error:
            wrong += [complaint for complaint in error.complaints if complaint not in wrong]
    if wrong:
        raise ConfigError(complaints=wrong)
    return list(prepared.values())
