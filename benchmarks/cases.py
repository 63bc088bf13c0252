"""The cases: what is raced against what, within which bounds, and how a fair race is told.

A new case is one more entry in `cases`, with its floor in `floors/`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from race import Entry, Race
from served import can_serve

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "configs"
EXPORTKIT = Path(sys.executable).parent / "exportkit"
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that ours may take; None sets no bound."""

    wall_ratio: float | None = None
    peak_ratio: float | None = None
    seconds: float | None = None
    mebibytes: float | None = None

    def __str__(self) -> str:
        parts = [
            (self.wall_ratio, "wall {:g}x"),
            (self.seconds, "{:g} s"),
            (self.peak_ratio, "memory {:g}x"),
            (self.mebibytes, "{:g} MiB"),
        ]
        return ", ".join(words.format(bound) for bound, words in parts if bound is not None)

    def missed(self, race: Race) -> list[str]:
        """One sentence a bound that does not hold."""
        checks = [
            ("wall time against the floor", self.wall_ratio, race.ratio("wall"), "x"),
            ("memory against the floor", self.peak_ratio, race.ratio("peak"), "x"),
            ("wall time", self.seconds, race.typical("ours", "wall"), " s"),
            ("memory", self.mebibytes, race.typical("ours", "peak") / MEBIBYTE, " MiB"),
        ]
        return [
            f"{what}: {found:.2f}{unit} is above {bound:g}{unit}"
            for what, bound, found, unit in checks
            if bound is not None and found > bound
        ]


@dataclass(frozen=True, slots=True)
class Case:
    """One race. `unfair` answers why the two did not do the same work, or nothing if they did."""

    name: str
    title: str
    floor: Entry
    ours: Entry
    bounds: Bounds
    unfair: Callable[[Race], str | None] = field(default=lambda _: None)


def cases(data: Path) -> list[Case]:
    """All cases, over the profiles in `data`, with a copy of `workspace/` beside them."""
    python = [sys.executable, "-c", "pass"]
    return [
        plain(data),
        checked(data, "csv"),
        checked(data, "parquet"),
        *([postgresql(data), copied(data)] if can_serve() else []),
        changed(data),
        unchanged(data),
        Case(
            "help",
            "`exportkit --help`, against an empty Python",
            Entry(python),
            Entry([EXPORTKIT, "--help"]),
            Bounds(seconds=0.25),
        ),
        Case(
            "validate",
            "`exportkit validate` of the sample workspace, against an empty Python",
            Entry(python),
            Entry([EXPORTKIT, "--workspace", SAMPLE, "validate"]),
            Bounds(seconds=1.0),
        ),
    ]


def plain(data: Path) -> Case:
    floor, ours = data / "floor.csv", data / "workspace/out/plain.csv"
    return Case(
        "plain",
        "4 of 20 columns of a CSV under new names, as CSV, against one `COPY`",
        script("plain.py", data / "profiles.csv", floor),
        run(data, "plain"),
        Bounds(wall_ratio=2.0, peak_ratio=1.5, mebibytes=1024),
        lambda _: differing(floor, ours),
    )


def postgresql(data: Path) -> Case:
    floor, ours = data / "floor.csv", data / "workspace/out/postgresql.csv"
    return Case(
        "postgresql",
        "the same from a table of PostgreSQL, against its fastest driver",
        Entry([sys.executable, HERE / "floors/postgresql.py", floor], [floor]),
        run(data, "postgresql"),
        Bounds(wall_ratio=1.5, mebibytes=1024),
        lambda _: differing(floor, ours),
    )


def copied(data: Path) -> Case:
    floor, ours = data / "floor.csv", data / "workspace/out/postgresql.csv"
    return Case(
        "postgresql-copy",
        "the same, against a `COPY` to a pipe, whose CSV the server itself writes",
        Entry(["sh", HERE / "floors/postgresql_copy.sh", floor], [floor]),
        run(data, "postgresql"),
        Bounds(mebibytes=1024),
        lambda _: differing(floor, ours),
    )


def checked(data: Path, kind: str) -> Case:
    floor, ours = data / "floor.csv", data / "workspace/out/checked.csv"
    floor_parquet = (data / "floor-rejections.parquet", data / "floor-accepted.parquet")

    def unfair(race: Race) -> str | None:
        return uneven(race) or differing(floor, ours)

    return Case(
        f"checked-{kind}",
        f"trimmed, checked, one row an address, from {kind}, against a hand-written script",
        script("checked.py", data / f"profiles.{kind}", floor, *floor_parquet),
        run(data, f"checked-{kind}"),
        Bounds(wall_ratio=1.5, mebibytes=1024),
        unfair,
    )


def changed(data: Path) -> Case:
    """The day after: a snapshot is there, and few profiles differ from it."""
    day_before, scratch = data / "day-before", data / "floor"
    return Case(
        "changed",
        "checked, compared with the snapshot of the day before, 1.5% changed, sent nowhere",
        Entry(
            [sys.executable, HERE / "floors/changed.py", data / "changing.parquet", scratch],
            [scratch],
            [(day_before / "floor", scratch)],
        ),
        over(data, day_before / "state"),
        Bounds(wall_ratio=1.5, mebibytes=1024),
        uneven,
    )


def unchanged(data: Path) -> Case:
    """The same day again: nothing is read, nothing is sent."""

    def unfair(race: Race) -> str | None:
        sent = json.loads(race.ours[-1].printed)["runs"][0]["counts"]["sent"]
        return f"{sent} rows were sent" if sent else None

    return Case(
        "unchanged",
        "the same once more, with nothing new, against an empty Python",
        Entry([sys.executable, "-c", "pass"]),
        over(data, data / "day-after" / "state"),
        Bounds(seconds=1.0),
        unfair,
    )


def over(data: Path, state: Path) -> Entry:
    """The changing job, over the state that a run before has left."""
    workspace = data / "workspace"
    return Entry(
        sinking(data, workspace, "changed"),
        [workspace / ".exportkit"],
        [(state, workspace / ".exportkit")],
    )


def sinking(data: Path, workspace: Path, job: str) -> list[str | Path]:
    """A run of a job to the sink, which only these processes know."""
    path = f"PYTHONPATH={data / 'site'}"
    return ["env", path, EXPORTKIT, "--workspace", workspace, "run", job, "--json"]


def uneven(race: Race) -> str | None:
    """Why the two did not come to the same counts, or nothing if they did."""
    theirs = json.loads(race.floor[-1].printed)
    counts = json.loads(race.ours[-1].printed)["runs"][0]["counts"]
    differing = {name: (n, counts[name]) for name, n in theirs.items() if n != counts[name]}
    return f"the counts differ: {differing}" if differing else None


def script(name: str, source: Path, *results: Path) -> Entry:
    return Entry([sys.executable, HERE / "floors" / name, source, *results], results)


def run(data: Path, job: str) -> Entry:
    """A first run of a job: no state and no file from before."""
    workspace = data / "workspace"
    command = [EXPORTKIT, "--workspace", workspace, "run", job, "--json"]
    return Entry(command, [workspace / ".exportkit", workspace / "out"])


def differing(floor: Path, ours: Path) -> str | None:
    """Why two CSV files do not hold the same rows, asked in a process of its own (see `race`)."""
    compare = [sys.executable, HERE / "compare.py", floor, ours]
    return subprocess.run(compare, stdout=subprocess.PIPE, text=True, check=True).stdout or None
