"""Runs whole processes in turns and measures them: wall time, CPU time, peak memory.

This module, and whatever imports it, must stay small: on Linux a new process begins with its
parent's peak memory, so a parent that has DuckDB loaded would spoil every number.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Side = Literal["floor", "ours"]
Quantity = Literal["wall", "cpu", "peak"]

# As on a user's machine: bytecode is kept, whatever the machine that measures says.
ENVIRONMENT = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
UNIT_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A command, and what happens before each time it runs, unmeasured.

    `leftovers` are deleted; of `restored` each first folder is copied to the second.
    """

    command: Sequence[str | Path]
    leftovers: Sequence[Path] = ()
    restored: Sequence[tuple[Path, Path]] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """One process: seconds of wall and of CPU (user and system), peak bytes, what it printed."""

    wall: float
    cpu: float
    peak: int
    printed: str


@dataclass(frozen=True, slots=True)
class Race:
    """Pairs of the floor and of ours, run in turns."""

    floor: tuple[Measurement, ...]
    ours: tuple[Measurement, ...]

    def ratio(self, quantity: Quantity) -> float:
        """The median of the pairs' ratios: 1.5 means half as much again as the floor."""
        return median(
            getattr(ours, quantity) / getattr(floor, quantity)
            for floor, ours in zip(self.floor, self.ours, strict=True)
        )

    def typical(self, side: Side, quantity: Quantity) -> float:
        """The median of one side, in seconds or bytes."""
        measurements = self.floor if side == "floor" else self.ours
        return median(getattr(measurement, quantity) for measurement in measurements)


def race(floor: Entry, ours: Entry, pairs: int) -> Race:
    """Floor, ours, floor, ours ..., after one unmeasured pair that warms the caches."""
    turns = [measure(entry) for entry in [floor, ours] * (pairs + 1)]
    return Race(tuple(turns[2::2]), tuple(turns[3::2]))


def measure(entry: Entry) -> Measurement:
    """Runs one command to its end. One that fails ends the benchmark: its time means nothing."""
    for path in entry.leftovers:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for origin, folder in entry.restored:
        shutil.copytree(origin, folder)
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as complaints:
        started = time.perf_counter()
        process = subprocess.Popen(
            entry.command, stdout=printed, stderr=complaints, env=ENVIRONMENT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        complaints.seek(0)
        if process.returncode:
            words = " ".join(Path(word).name for word in entry.command)
            sys.exit(f"{words}: exit {process.returncode}\n{printed.read()}{complaints.read()}")
        cpu = usage.ru_utime + usage.ru_stime
        return Measurement(wall, cpu, usage.ru_maxrss * UNIT_OF_MAXRSS, printed.read())
