"""The lines that make cron or systemd call `run --due`: one for all jobs of a workspace."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exportkit.config.workspace import Workspace

_SERVICE = """\
[Unit]
Description=exportkit: the jobs of {root} that are due

[Service]
Type=oneshot
ExecStart={command}
# 75: try again later. What it waits for is in `exportkit status`.
SuccessExitStatus=75
"""
_TIMER = """\
[Unit]
Description=exportkit: look every minute which jobs of {root} are due

[Timer]
OnCalendar=minutely
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


@dataclass(frozen=True, slots=True)
class Timers:
    """What to install. `service` and `timer` are the files `exportkit.service` and `.timer`."""

    crontab: str
    service: str
    timer: str


def timers_of(workspace: Workspace) -> Timers:
    """The lines, with the paths of this installation and this workspace."""
    words = [str(command_path()), "--workspace", str(workspace.root), "run", "--due", "--quiet"]
    shown = str(workspace.root).replace("%", "%%")
    return Timers(
        # In a crontab a bare % ends the command.
        crontab=f"* * * * *  {shlex.join(words)}".replace("%", r"\%"),
        service=_SERVICE.format(root=shown, command=" ".join(map(_systemd, words))),
        timer=_TIMER.format(root=shown),
    )


def command_path() -> Path:
    """Where the installed command is: beside the interpreter that runs now."""
    beside = Path(sys.executable).with_name("exportkit")
    return beside if beside.exists() else Path(sys.argv[0]).absolute()


def _systemd(word: str) -> str:
    for special, instead in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(special, instead)
    return f'"{word}"' if any(c in word for c in " \t'\"\\;") else word
