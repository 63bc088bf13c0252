"""Runs of a job as real processes that can be killed at chosen or at random instants.

The job's connection has to be one of a fault destination: its ledger tells how far a run is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exportkit.testing.ledger import open_ledger

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from exportkit.testing.ledger import Ledger

_COMMAND = "from exportkit.cli import main; main()"
_POLL = 0.001


@dataclass(frozen=True, slots=True)
class Instant:
    """When to kill: so many more calls of the destination have begun, and then `seconds` passed."""

    calls: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code (minus the signal that killed it) and what it said."""

    code: int
    pid: int
    stdout: str
    stderr: str

    @property
    def run(self) -> dict[str, Any]:
        """The run as `run --json` told it."""
        answer: dict[str, Any] = json.loads(self.stdout)["runs"][0]
        return answer

    @property
    def error(self) -> dict[str, Any]:
        """What went wrong, of the run or before there was one."""
        said = json.loads(self.stdout)
        answer: dict[str, Any] = said.get("error") or self.run["error"]
        return answer


@dataclass(frozen=True, slots=True)
class Runner:
    """A job of a workspace, to be run again and again.

    `site` is the folder with the installed fault destination, `folder` the connection's option of
    that name, `command` what `python -c` runs instead of exportkit's own start.
    """

    workspace: Path
    site: Path
    job: str
    folder: str = "ledger"
    command: str = _COMMAND

    def run(self, *options: str, timeout: float = 120) -> Ended:
        """Run the job undisturbed; `options` go to `exportkit run`."""
        return ended(self.start(*options), timeout)

    def run_and_kill(self, instant: Instant, timeout: float = 120) -> Ended:
        """Run the job and send SIGKILL at the instant, unless the run has ended by then."""
        with self.ledger() as ledger:
            before = _calls(ledger)
            process = self.start()
            deadline = time.monotonic() + timeout
            while process.poll() is None and _calls(ledger) < before + instant.calls:
                if time.monotonic() > deadline:
                    break
                time.sleep(_POLL)
            time.sleep(instant.seconds)
            process.kill()
            return ended(process, timeout)

    def ledger(self) -> AbstractContextManager[Ledger]:
        """The destination's ledger, open."""
        return open_ledger(self.workspace / self.folder)

    def twin(self, workspace: Path) -> Runner:
        """The same job in a copy of the workspace, as it is now: state, ledger and all."""
        shutil.copytree(self.workspace, workspace)
        return replace(self, workspace=workspace)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Begin to run the job, to be signalled or killed; `ended` waits for its end."""
        paths = [str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])]
        where = ["--workspace", str(self.workspace)]
        return subprocess.Popen(
            [sys.executable, "-c", self.command, *where, "run", self.job, "--json", *options],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def random_instants(source: random.Random, calls: int, seconds: float) -> Iterator[Instant]:
    """Instants without end: most within or after one of the first `calls` calls of a run, each
    fourth at any time within `seconds` of its start."""
    while True:
        if source.random() < 0.25:
            yield Instant(seconds=source.uniform(0, seconds))
        else:
            yield Instant(source.randint(1, calls), source.uniform(0, 0.02))


def _calls(ledger: Ledger) -> int:
    last = ledger.calls()[-1:]
    return last[0].number if last else 0


def ended(process: subprocess.Popen[str], timeout: float = 120) -> Ended:
    """Wait for the end of a run that `Runner.start` began; it is killed at the timeout."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ended(process.returncode, process.pid, stdout, stderr)
