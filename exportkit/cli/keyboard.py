"""The person at the keyboard, as sign-ins and agreements meet them. All of it is on stderr."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr
from typing import TYPE_CHECKING

import click

from exportkit.errors import InterruptedRun, PermissionDeniedError
from exportkit.redaction import conceal

if TYPE_CHECKING:
    from collections.abc import Sequence


class Keyboard:
    """Asks and tells on the terminal; see `exportkit.Prompt`.

    `browser` is False where no browser can be opened; `agreed` answers every agreement with yes;
    `silent` has nothing asked that could be left as usual. `asks` says whether somebody is there.
    """

    def __init__(self, *, browser: bool, agreed: bool, silent: bool = False) -> None:
        self.browser = browser
        self.agreed = agreed
        self.asks = not silent and sys.stdin.isatty()
        # While a plugin runs, stderr takes codes and tokens out; but these are meant for eyes.
        self._terminal = sys.stderr

    def __call__(self, question: str, *, secret: bool = False) -> str:
        """Ask; a secret is not shown. Raises InterruptedRun if there is no answer."""
        try:
            with redirect_stderr(self._terminal):
                typed = str(
                    click.prompt(
                        question, hide_input=secret, err=True, default="", show_default=False
                    )
                )
            if secret:
                conceal(typed)
            return typed
        except click.Abort:
            pass
        raise InterruptedRun(
            "the sign-in was abandoned: nothing was kept of it", hint="run the command again"
        )

    def tell(self, text: str) -> None:
        """Show a text as it is: an address to open, a code to type."""
        click.echo(text, file=self._terminal)

    def answer(self, question: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """Ask for one of the choices, or anything; the default if nothing is typed."""
        kind = click.Choice(list(choices)) if choices else str
        only = choices[0] if len(choices) == 1 else ""
        answered = click.prompt(
            question,
            type=kind,
            default=default or only or (None if choices else ""),
            show_default=bool(default or only),
            err=True,
        )
        return str(answered).strip()

    def wants(self, question: str) -> bool:
        """Ask for yes or no; nothing typed is yes."""
        return click.confirm(question, default=True, err=True)

    def agrees(self, statement: str) -> bool:
        """Show the statement; answers True for an explicit yes, or where --agree was said."""
        self.tell(statement)
        if self.agreed:
            return True
        try:
            return click.confirm("Do you agree?", default=None, err=True)
        except click.Abort:
            click.echo(err=True)
        raise PermissionDeniedError(
            "nobody agreed, so nothing was sent",
            hint="answer yes, or say --agree where nobody can be asked",
        )
