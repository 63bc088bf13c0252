"""`python benchmarks/large.py`: ten million profiles against a snapshot of ten million.

Three runs: everybody is new, 1.5% have changed, nothing has. What is bounded is memory, 2 GiB at
its peak. Exits 1 when it is missed; a full run writes its table into `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from bench import machine, publish
from cases import MEBIBYTE, sinking
from days import install_sink
from race import Entry, Measurement, measure

HERE = Path(__file__).parent
FULL = 10_000_000
MOST = 2048


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL, help="profiles")
    rows = parser.parse_args().rows
    data = HERE / "data" / f"large-{rows}"
    runs = measured(data, rows)
    text = report(runs, rows)
    print(text)
    shutil.rmtree(data)  # it is large
    if rows == FULL:
        publish(text, "large")
    over = [name for name, run in runs.items() if run.peak / MEBIBYTE > MOST]
    faults = [f"{name}: more than {MOST:,} MiB" for name in over]
    print(*faults or ["within its bounds"], sep="\n")
    return 1 if over else 0


def measured(data: Path, rows: int) -> dict[str, Measurement]:
    """The three runs by name."""
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(HERE / "workspace", data / "workspace")
    install_sink(data / "site")
    script("generate.py", "--rows", str(rows), "--into", str(data))
    before, today = data / "profiles.parquet", data / "changing.parquet"
    (data / "profiles.csv").unlink()
    run = Entry(sinking(data, data / "workspace", "changed"))
    shutil.copyfile(before, today)
    runs = {"everybody is new": measure(run)}
    script("change.py", str(before), str(today))
    runs["1.5% changed"] = measure(run)
    runs["nothing changed"] = measure(run)
    return runs


def script(name: str, *arguments: str) -> None:
    """A process of its own: see race.py."""
    command = [sys.executable, str(HERE / name), *arguments]
    if os.spawnv(os.P_WAIT, sys.executable, command):
        sys.exit(f"{name} failed")


def report(runs: dict[str, Measurement], rows: int) -> str:
    """The runs as Markdown."""
    lines = [
        f"{machine()}; {rows:,} profiles.",
        "",
        "| run | sent | wall | CPU | memory |",
        "| --- | --: | --: | --: | --: |",
    ]
    for name, run in runs.items():
        sent = json.loads(run.printed)["runs"][0]["counts"]["sent"]
        memory = f"{run.peak / MEBIBYTE:,.0f} MiB"
        lines.append(f"| {name} | {sent:,} | {run.wall:.1f} s | {run.cpu:.1f} s | {memory} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
