"""What the shell may complete: the names of a workspace, read as quickly as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.errors import ExportkitError

if TYPE_CHECKING:
    import click

    from exportkit.config.workspace import Kind


def jobs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The jobs of the workspace."""
    return _names(ctx, "job", incomplete)


def sources(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The sources of the workspace."""
    return _names(ctx, "source", incomplete)


def connections(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The connections of the workspace."""
    return _names(ctx, "connection", incomplete)


def jobs_and_connections(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What the audit speaks of."""
    return [*jobs(ctx, param, incomplete), *connections(ctx, param, incomplete)]


def plugins(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The installed plugins, by their entry points: none is loaded for it."""
    from importlib.metadata import entry_points

    names = {point.name for point in entry_points(group="exportkit")}
    return sorted(name for name in names if name.startswith(incomplete))


def _names(ctx: click.Context, kind: Kind, incomplete: str) -> list[str]:
    from exportkit.config.workspace import open_workspace

    try:
        workspace = open_workspace(ctx.find_root().params.get("workspace"))
        names = workspace.names(kind)
    except ExportkitError:
        return []  # nobody wants to read a complaint in the middle of a line
    return [name for name in names if name.startswith(incomplete)]
