"""`python benchmarks/bench.py [CASE...]`: races exportkit against hand-written scripts.

Exits 1 when a bound is missed or a race was not fair. A full set of cases over a million rows, with
at least five pairs each, also writes its table into `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import shutil
import sys
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from cases import MEBIBYTE, Case, cases
from days import lay_out_days
from race import ENVIRONMENT, Race, race
from served import served

HERE = Path(__file__).parent
REPORT = HERE.parent / "docs" / "performance.md"
FULL = 1_000_000
ENOUGH = 5


def main() -> int:
    asked = arguments()
    text, code = run(asked)
    if asked.rows == FULL and asked.pairs >= ENOUGH and not asked.cases:
        publish(text)
    return code


def run(asked: argparse.Namespace) -> tuple[str, int]:
    """Run these races: what there is to publish, and 1 where a bound is missed."""
    data = HERE / "data" / str(asked.rows)
    data.parent.mkdir(exist_ok=True)
    # Held until the process ends: two benchmarks at once would measure each other.
    turn = (HERE / "data" / "turn").open("w")
    fcntl.flock(turn, fcntl.LOCK_EX)
    lay_out(data, asked.rows)
    if not asked.cases or {"changed", "unchanged"} & set(asked.cases):
        lay_out_days(data)
    known = {case.name: case for case in cases(data)}
    if strange := set(asked.cases) - set(known):
        sys.exit(f"no such case: {', '.join(strange)}; there are: {', '.join(known)}")
    with ExitStack() as stack:
        if any(name.startswith("postgresql") for name in asked.cases or known):
            ENVIRONMENT.update(stack.enter_context(served(data / "profiles.csv")))
        return raced(asked, known)


def raced(asked: argparse.Namespace, known: dict[str, Case]) -> tuple[str, int]:
    results: list[tuple[Case, Race, list[str]]] = []
    for case in (known[name] for name in asked.cases or known):
        print(f"{case.name}: {case.title}", flush=True)
        result = race(case.floor, case.ours, asked.pairs)
        faults = case.bounds.missed(result)
        if reason := case.unfair(result):
            faults.append(f"not the same work: {reason}")
        print(*(f"  {fault}" for fault in faults or ["within its bounds"]), sep="\n", flush=True)
        results.append((case, result, faults))

    text = report(results, asked.rows, asked.pairs)
    print("\n" + text)
    return text, 1 if any(faults for _, _, faults in results) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all of them when left out")
    parser.add_argument("--rows", type=int, default=FULL, help="profiles to work on")
    parser.add_argument("--pairs", type=int, default=ENOUGH, help="how often each side runs")
    return parser.parse_args()


def lay_out(data: Path, rows: int) -> None:
    """Profiles and a copy of the workspace in `data`, so that no race touches a file of git's."""
    generate = [sys.executable, str(HERE / "generate.py"), "--rows", str(rows)]
    if os.spawnv(os.P_WAIT, sys.executable, generate):  # a process of its own: see race.py
        sys.exit("the profiles could not be generated")
    shutil.rmtree(data / "workspace", ignore_errors=True)
    shutil.copytree(HERE / "workspace", data / "workspace")


def report(results: list[tuple[Case, Race, list[str]]], rows: int, pairs: int) -> str:
    """The results as Markdown: the machine, a table, the cases in words."""
    lines = [
        f"{machine()}; {rows:,} rows, {pairs} {'pair' if pairs == 1 else 'pairs'}.",
        "",
        "| case | floor | exportkit | wall | CPU | memory, floor | exportkit | memory | bound | |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --- | --- |",
        *(line(case, result, not faults) for case, result, faults in results),
        "",
        *(f"- **{case.name}**: {case.title}" for case, _, _ in results),
    ]
    return "\n".join(lines) + "\n"


def line(case: Case, result: Race, good: bool) -> str:
    floor, ours = result.typical("floor", "wall"), result.typical("ours", "wall")
    floor_peak, ours_peak = (result.typical(side, "peak") / MEBIBYTE for side in ("floor", "ours"))
    cells = [
        case.name,
        f"{floor:.2f} s",
        f"{ours:.2f} s",
        f"{result.ratio('wall'):.2f}x",
        f"{result.ratio('cpu'):.2f}x",
        f"{floor_peak:.0f} MiB",
        f"{ours_peak:.0f} MiB",
        f"{result.ratio('peak'):.2f}x",
        str(case.bounds),
        "held" if good else "**missed**",
    ]
    return "| " + " | ".join(cells) + " |"


def machine() -> str:
    """What matters of the machine, and nothing that would tell whose it is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MEBIBYTE / 1024
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}, DuckDB {version('duckdb')}"
    )


def publish(text: str, part: str = "bench") -> None:
    """Write the text into its part of the page of numbers."""
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"
    page = REPORT.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    REPORT.write_text(before + begin + text + end + after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
