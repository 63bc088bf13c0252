"""`python benchmarks/growth.py`: how cost grows with rows, drawn as `docs/growth.svg`.

The checked job, from Parquet to CSV, over a hundred thousand to thirty million profiles: seconds of
wall and CPU time, and memory at its peak. The picture is drawn by a library of the environment that
`peers.py` has made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys

from bench import HERE, machine
from cases import EXPORTKIT, MEBIBYTE
from peers import install
from race import Entry, Measurement, measure

ROWS = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000)
PICTURE = HERE.parent / "docs" / "growth.svg"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=ROWS[-1], help="profiles, at most")
    most = parser.parse_args().most
    points = []
    for rows in (rows for rows in ROWS if rows <= most):
        found = measured(rows)
        points.append((rows, found.wall, found.cpu, found.peak / MEBIBYTE))
        print(f"{rows:>12,} {found.wall:8.2f} s {found.cpu:8.2f} s {points[-1][3]:8.0f} MiB")
    if most == ROWS[-1]:
        given = json.dumps({"points": points, "machine": machine(), "picture": str(PICTURE)})
        subprocess.run([install(), HERE / "draw.py"], input=given, text=True, check=True)
    return 0


def measured(rows: int) -> Measurement:
    data = HERE / "data" / f"growth-{rows}"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(HERE / "workspace", data / "workspace")
    command = [sys.executable, str(HERE / "generate.py"), "--rows", str(rows), "--parquet"]
    if os.spawnv(os.P_WAIT, sys.executable, [*command, "--into", str(data)]):  # see race.py
        sys.exit("the profiles could not be generated")
    job = [EXPORTKIT, "--workspace", data / "workspace", "run", "checked-parquet", "--json"]
    found = measure(Entry(job))
    shutil.rmtree(data)  # it is large
    return found


if __name__ == "__main__":
    sys.exit(main())
