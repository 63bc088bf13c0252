"""The person at the keyboard, as sign-ins and agreements meet them. All of it is on stderr."""

from __future__ import annotations

import click

from exportkit.errors import InterruptedRun, PermissionDeniedError


class Keyboard:
    """Asks and tells on the terminal; see `exportkit.Prompt`.

    `browser` is False where no browser can be opened; `agreed` answers every agreement with yes.
    """

    def __init__(self, *, browser: bool, agreed: bool) -> None:
        self.browser = browser
        self._agreed = agreed

    def __call__(self, question: str, *, secret: bool = False) -> str:
        """Ask; a secret is not shown. Raises InterruptedRun if there is no answer."""
        try:
            return str(
                click.prompt(question, hide_input=secret, err=True, default="", show_default=False)
            )
        except click.Abort:
            pass
        raise InterruptedRun(
            "the sign-in was abandoned: nothing was kept of it", hint="run the command again"
        )

    def tell(self, text: str) -> None:
        """Show a text."""
        click.echo(text, err=True)

    def agrees(self, statement: str) -> bool:
        """Show the statement; answers True for an explicit yes, or where --agree was said."""
        self.tell(statement)
        if self._agreed:
            return True
        try:
            return click.confirm("Do you agree?", default=None, err=True)
        except click.Abort:
            click.echo(err=True)
        raise PermissionDeniedError(
            "nobody agreed, so nothing was changed",
            hint="answer yes, or say --agree where nobody can be asked",
        )
