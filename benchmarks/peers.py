"""`python benchmarks/peers.py`: the plain case, done with other tools of the trade.

They are installed into an environment of their own below `data/`, which takes the network the first
time. Each runs once beside the floor of the plain case, over the same file, and has to come to the
same rows. A full run writes its table into `docs/performance.md`; no bound is set.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from bench import FULL, lay_out, machine, publish
from cases import MEBIBYTE, differing, run, script
from race import ENVIRONMENT, Entry, Measurement, measure

HERE = Path(__file__).parent
PEERS = HERE / "peers"
INSTALLED = HERE / "data" / "peers"
WAYS = {
    "dlt, fed Arrow": ("dlt_arrow.py", "dlt-arrow/out/plain/*.csv.gz"),
    "drt": ("drt_rows.py", "drt/plain.csv"),
    "dlt, fed rows": ("dlt_rows.py", "dlt-rows/out/plain/*.csv.gz"),
    "Singer": ("singer_rows.py", "singer/plain.csv"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL, help="profiles")
    rows = parser.parse_args().rows
    data = HERE / "data" / str(rows)
    lay_out(data, rows)
    python = install()
    source, floor_file, results = data / "profiles.csv", data / "floor.csv", data / "peers"
    ours = data / "workspace" / "out" / "plain.csv"
    lines, faults = [], []
    for name, entry, found in (
        ("exportkit", run(data, "plain"), str(ours)),
        *(
            (name, Entry([python, PEERS / file, source, results], [results]), str(results / found))
            for name, (file, found) in WAYS.items()
        ),
    ):
        print(name, flush=True)
        floor, measured = measure(script("plain.py", source, floor_file)), measure(entry)
        if reason := differing(floor_file, Path(found)):
            faults.append(f"{name}: not the same work: {reason}")
        lines.append(line(name, floor, measured))
    text = report(lines, rows, python)
    print("\n" + text, *faults, sep="\n")
    if rows == FULL and not faults:
        publish(text, "peers")
    return 1 if faults else 0


def install() -> Path:
    """The peers' Python, made and filled if it is not there yet."""
    python, wanted = INSTALLED / "bin" / "python", PEERS / "requirements.txt"
    done = INSTALLED / ".installed"
    if not done.exists() or done.stat().st_mtime < wanted.stat().st_mtime:
        subprocess.run([sys.executable, "-m", "venv", INSTALLED], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--requirement", wanted]
        subprocess.run(pip, check=True)
        done.touch()
    return python


def line(name: str, floor: Measurement, measured: Measurement) -> str:
    cells = [
        name,
        f"{measured.wall:.2f} s",
        f"{measured.wall / floor.wall:.1f}x",
        f"{measured.cpu / floor.cpu:.1f}x",
        f"{measured.peak / MEBIBYTE:.0f} MiB",
    ]
    return "| " + " | ".join(cells) + " |"


def report(lines: list[str], rows: int, python: Path) -> str:
    """The runs as Markdown."""
    names = "'dlt', 'drt-core', 'singer-sdk'"
    code = f"import importlib.metadata as m; print(*map(m.version, ({names})))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    dlt, drt, singer = found.stdout.split()
    return "\n".join([
        f"{machine()}; {rows:,} rows; exportkit {version('exportkit')}, dlt {dlt}, drt {drt}, "
        f"singer-sdk {singer}.",
        "",
        "| tool | wall | against the floor | CPU against it | memory |",
        "| --- | --: | --: | --: | --: |",
        *lines,
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    ENVIRONMENT |= {"DO_NOT_TRACK": "1", "RUNTIME__DLTHUB_TELEMETRY": "false"}
    sys.exit(main())
