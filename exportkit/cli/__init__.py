"""The command line: small commands that call and report; deciding is done further in.

Every command's module is imported only when that command runs, so that `--help` is quick.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from exportkit import __version__
from exportkit.cli import log
from exportkit.errors import EXIT_FAILED, ExportkitError, InterruptedRun, UsageError
from exportkit.redaction import describe

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = {
    "init": "Write a starter workspace that runs at once.",
    "validate": "Check every file and plugin option; nothing is sent.",
    "plan": "Show what a run would change; nothing is sent.",
    "run": "Run jobs.",
    "status": "Show each job's last result, and what is running.",
    "history": "Show past runs.",
    "rejections": "Show rows that were not delivered, and why.",
    "report": "Write one HTML page about all jobs.",
    "metrics": "Print how all jobs are, for Prometheus.",
    "segments": "Count the members of each segment of a source.",
    "connection": "Manage connections: add, authorize, test, list, show, detach, remove.",
    "schedule": "Show when jobs run, and the line to install for cron or systemd.",
    "clean": "Remove what is kept no longer.",
    "audit": "Show who did what, and when.",
    "plugins": "Show what is installed, and what each destination takes.",
    "schema": "Print the JSON Schema of a file, for editors.",
    "completion": "Print what makes your shell complete names.",
}
"""Each command and its one line, in the order in which a newcomer needs them."""

MODULES = {"report": "page"}
"""Where a command is, if not in the module of its name."""


class Commands(click.Group):
    """The built-in commands, and each plugin's own under its name."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The built-in commands; a plugin's own are found by `exportkit plugins`."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command, imported now; a plugin's if no built-in one has the name."""
        if name in COMMANDS:
            module = importlib.import_module(f"exportkit.cli.{MODULES.get(name, name)}")
            command = getattr(module, name)
            assert isinstance(command, click.Command)
            return command
        return _plugin_command(name)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list without importing what it lists."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for one that does not exist."""
        if self.get_command(ctx, args[0]) is None:
            from exportkit.config.names import nearest_hint
            from exportkit.host.loader import load_plugins

            theirs = [name.replace("_", "-") for name in load_plugins().commands]
            hint = nearest_hint(args[0], [*COMMANDS, *theirs])
            ctx.fail(f"there is no command '{args[0]}' ({hint})")
        return super().resolve_command(ctx, args)


def _plugin_command(name: str) -> click.Command | None:
    from exportkit.host.loader import load_plugins

    host = load_plugins()
    # People write hyphens on a command line, also where a plugin's name has underscores.
    known = next((each for each in (name, name.replace("-", "_")) if each in host.commands), None)
    if known is None:
        return None
    group = _Theirs(name, call=partial(host.run_command, known))
    host.commands[known](group)
    return group


class _Theirs(click.Group):
    """A plugin's own commands: a failure that nobody foresaw is the plugin's, not exportkit's."""

    def __init__(self, name: str, call: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__(name)
        self._call = call

    def invoke(self, ctx: click.Context) -> Any:
        """As click does. Raises what a command may end with, and `PluginError` for all else."""
        ends: list[BaseException] = []

        def run() -> Any:
            try:
                return super(_Theirs, self).invoke(ctx)
            except _ENDS as end:
                ends.append(end)

        answer = self._call(run)
        if ends:
            raise ends[0]
        return answer


_ENDS = (
    click.ClickException,
    click.Abort,
    click.exceptions.Exit,
    ExportkitError,
    SystemExit,
    BrokenPipeError,
)
"""What a command ends with on purpose."""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="exportkit")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    help="A folder in the workspace; without it the current one.",
)
@click.option(
    "--log-format",
    type=click.Choice(log.FORMATS),
    help="What stderr gets: lines for people, also on a terminal; or JSON, a document a line.",
)
@click.pass_context
def cli(ctx: click.Context, workspace: Path | None, log_format: log.Format | None) -> None:
    """Send segments of customer profiles to the places where marketing happens.

    \b
    Begin with:
      exportkit init demo && cd demo
      exportkit plan vip-newsletter
      exportkit run vip-newsletter
    """
    ctx.obj = workspace
    log.choose(log_format)


def main(arguments: list[str] | None = None) -> NoReturn:
    """The entry point: runs a command and leaves with the exit code of the contract."""
    sys.exit(_outcome(sys.argv[1:] if arguments is None else arguments))


def start() -> NoReturn:
    """What the installed command calls: `main`, without taking the interpreter apart afterwards.

    With an engine loaded that takes longer than `validate` does, and there is nothing left to do.
    """
    from exportkit.cli.streams import make_patient

    make_patient()
    gc.set_threshold(100_000, 50, 100)  # imports leave no garbage worth looking for again and again
    try:
        main()
    except SystemExit as end:
        logging.shutdown()
        code = end.code if isinstance(end.code, int) else EXIT_FAILED
        os._exit(_flushed(code))


def _flushed(code: int) -> int:
    """The exit code, once everything is written. Half a JSON document is a failure; a lost report
    of what was done is not: the run's own exit code says how it went."""
    from exportkit.cli.streams import lost

    with suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    error = lost(sys.stdout)
    if error is None:
        return code
    log.say(f"stdout cannot be written: {error.strerror or error}", level="error")
    return (code or EXIT_FAILED) if "--json" in sys.argv else code


def _outcome(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        answer: Any = cli.main(args=arguments, prog_name="exportkit", standalone_mode=False)
        sys.stdout.flush()
    except ExportkitError as error:
        from exportkit.cli.report import show_error

        return show_error(error, as_json=as_json)
    except click.ClickException as error:
        if as_json:
            _show_as_json(UsageError(error.format_message(), hint=_help_of(error)))
        elif log.chosen() == "json":
            log.say(error.format_message(), level="error", hint=_help_of(error))
        else:
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        if as_json:
            _show_as_json(InterruptedRun("somebody asked to stop"))
        else:
            log.say("stopped", level="error")
        return EXIT_FAILED
    except BrokenPipeError:
        # Whoever read the output has gone; what is left in the buffer has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the last net: a traceback could quote a profile
        message = f"exportkit has a defect: {describe(error)}"
        hint = "please report it, with the command and this line; nothing personal is in it"
        if as_json:
            _show_as_json(DefectError(message, hint=hint))
        else:
            log.say(f"{message}\n  {hint}", level="error")
        return EXIT_FAILED
    return answer if isinstance(answer, int) else 0


class DefectError(ExportkitError):
    """Nobody foresaw it: the fault is in exportkit itself."""

    kind = "internal"


def _show_as_json(error: ExportkitError) -> None:
    from exportkit.cli.report import show_error

    show_error(error, as_json=True)


def _help_of(error: click.ClickException) -> str | None:
    ctx = getattr(error, "ctx", None)
    return f"`{ctx.command_path} --help` says what there is" if ctx else None
