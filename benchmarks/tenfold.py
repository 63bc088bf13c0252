"""`python benchmarks/tenfold.py`: the races once more, over ten million profiles, one pair each.

From CSV, Parquet and PostgreSQL, within the same bounds, of memory too. Exits 1 when one is missed;
a full run writes its table into `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import shutil
import sys

from bench import HERE, publish, run
from served import can_serve

FULL = 10_000_000
CASES = ["plain", "checked-csv", "checked-parquet"]
SERVED = ["postgresql", "postgresql-copy"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL, help="profiles")
    rows = parser.parse_args().rows
    cases = [*CASES, *(SERVED if can_serve() else [])]
    text, code = run(argparse.Namespace(cases=cases, rows=rows, pairs=1))
    if rows == FULL:
        shutil.rmtree(HERE / "data" / str(rows))  # it is large
        publish(text, "tenfold")
    return code


if __name__ == "__main__":
    sys.exit(main())
