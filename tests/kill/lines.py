"""Kill a run before a chosen line of exportkit's own code, in the rooms where state changes hands,
or while it writes a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exportkit.testing import Ended, Runner

ROOT = Path(__file__).parents[2] / "exportkit"
FILES = [
    *sorted((ROOT / "pipeline").glob("*.py")),
    *sorted((ROOT / "state").glob("*.py")),
    ROOT / "durable.py",
    ROOT / "engines" / "parquet.py",
]

_TRACED = """
import inspect, os, signal, sys, threading
files, instant, log = {files!r}, {instant!r}, {log!r}
seen, opened = {{}}, False

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def line(frame, event, _):
    if event == "line":
        code = frame.f_code
        for here in (code.co_filename, frame.f_lineno), (code.co_filename, code.co_name):
            seen[here] = seen.get(here, 0) + 1
            if (*here, seen[here]) == instant:
                die()
        if opened:
            die()
    return line

def called(frame, event, _):
    code = frame.f_code
    return line if code.co_filename in files and code.co_flags & inspect.CO_OPTIMIZED else None

def audited(event, arguments):
    global opened
    if event == "open" and instant and instant[0] == "writing" and instant[1] in str(arguments[0]):
        opened = opened or bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))

sys.addaudithook(audited)
threading.settrace(called)
sys.settrace(called)
try:
    from exportkit.cli import main
    main()
finally:
    sys.settrace(None)
    if log:
        with open(log, "w") as file:
            for (name, number), times in seen.items():
                if type(number) is int:
                    print(name, number, times, sep="\\t", file=file)
"""


@dataclass(frozen=True, slots=True)
class Line:
    """Before a line of a file (or the first of a function) comes for the so-manieth time."""

    file: str
    place: int | str
    times: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.place}, time {self.times}"


@dataclass(frozen=True, slots=True)
class Writing:
    """When a file with this in its path has been opened for writing, and nothing written yet."""

    path: str


def lines_of_a_run(runner: Runner, log: Path) -> list[Line]:
    """Run the job to its end; every line that came, in order, with how often it did."""
    ended = replace(runner, command=_command(log=str(log))).run()
    assert ended.code == 0, ended.stderr
    found = [each.split("\t") for each in log.read_text(encoding="utf-8").splitlines()]
    return [
        Line(str(Path(file).relative_to(ROOT)), int(number), int(times))
        for file, number, times in found
    ]


def run_until(runner: Runner, instant: Line | Writing, first: str = "") -> Ended:
    """Run the job and kill it at this instant, unless it does not come; `first` is run before."""
    where: tuple[str | int, ...] = (
        ("writing", instant.path)
        if isinstance(instant, Writing)
        else (str(ROOT / instant.file), instant.place, instant.times)
    )
    return replace(runner, command=first + _command(where)).run()


def _command(instant: tuple[str | int, ...] = (), log: str = "") -> str:
    files = frozenset(str(file) for file in FILES)
    return _TRACED.format(files=files, instant=instant, log=log)
