"""`exportkit completion`."""

from __future__ import annotations

import click

from exportkit.cli import report


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options, and the names of a workspace.

    \b
    Examples:
      exportkit completion bash >> ~/.bashrc
      exportkit completion zsh >> ~/.zshrc
      exportkit completion fish > ~/.config/fish/completions/exportkit.fish
    """
    from click.shell_completion import get_completion_class

    from exportkit.cli import cli

    source = get_completion_class(shell)
    assert source is not None
    report.show_text(source(cli, {}, "exportkit", "_EXPORTKIT_COMPLETE").source())
