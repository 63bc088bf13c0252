"""`python benchmarks/imports.py`: a million profiles to the Constant Contact sandbox, three days.

The sandbox is a process of its own with the service's limits on: 4 calls a second, imports that
take time. The first day everybody is new, the second 0.5% have another name, the third nothing has
changed. What counts is how much of the day's calls it takes, not how fast a local server is. Exits
1 when a bound is missed; a full run writes its table into `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import machine, publish
from cases import EXPORTKIT, MEBIBYTE
from race import ENVIRONMENT, Entry, Measurement, measure

HERE = Path(__file__).parent
FULL = 1_000_000
PROFILES = """
COPY (
    SELECT i AS id, 'person.' || i || '@example.com' AS email,
        list_value('Ann', 'José', 'Μαρία', 'Li', 'Olga', 'Amir')[1 + i % 6] AS first_name,
        'Family ' || (i * 7919) % 100000 ||
            CASE WHEN {changed} AND i % 200 = 0 THEN ' the Second' ELSE '' END AS last_name
    FROM range({rows}) t(i)
) TO '{path}' (FORMAT parquet)
"""
FILES = {
    "exportkit.yaml": "version: 1\n",
    "sources/people.yaml": "version: 1\nname: people\nfile: people.parquet\nkey: id\n"
    "segments: {everyone: {}}\n",
    "connections/box.yaml": "version: 1\nname: box\ntype: constant_contact\n"
    "display_name: Sandbox\nconsent: {{agreed_by: bench, agreed_on: 2026-01-01}}\n"
    "options:\n  api_url: {api}\n  auth_url: {auth}\n  client_id: {client}\n"
    "  refresh_token: ${{env:CC_REFRESH_TOKEN}}\n",
    "jobs/news.yaml": "version: 1\nname: news\nsource: people\nsegments: [everyone]\n"
    "connection: box\ndestination: {{list_id: {list_id}}}\n"
    "map: {{email: email, first_name: first_name, last_name: last_name}}\nmode: mirror\n",
}


@dataclass(frozen=True, slots=True)
class Day:
    """One run, and what the sandbox saw of it."""

    name: str
    measured: Measurement
    imports: int
    polls: int
    calls: int
    bytes: int

    def missed(self, rows: int) -> list[str]:
        """One sentence a bound that does not hold."""
        changed = {"everybody is new": rows, "0.5% changed": rows // 200}.get(self.name, 0)
        most = -(-changed // 39_999)
        if self.name == "everybody is new":
            most = max(most, -(-self.bytes // 4_000_000)) + 1
        checks = [
            ("imports", self.imports, most),
            ("polls", self.polls, 2 * self.imports),
            ("seconds of CPU", self.measured.cpu, 10),
            ("MiB of memory", self.measured.peak / MEBIBYTE, 1024),
        ]
        return [
            f"{self.name}: {found:,.1f} {what}, more than {bound:,}"
            for what, found, bound in checks
            if found > bound
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL, help="profiles")
    rows = parser.parse_args().rows
    data = HERE / "data" / f"imports-{rows}"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    with (data / "calls.log").open("w") as log:
        box = subprocess.Popen(
            [EXPORTKIT, "constant-contact", "sandbox", "--speed", "60"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            days = [*runs(data, rows, box)]
        finally:
            box.terminate()
            box.wait()
    faults = [fault for day in days for fault in day.missed(rows)]
    text = report(days, rows)
    print(text, *faults or ["within its bounds"], sep="\n")
    if rows == FULL:
        publish(text, "imports")
    return 1 if faults else 0


def runs(data: Path, rows: int, box: subprocess.Popen[str]) -> list[Day]:
    """The three days."""
    facts = announced(box)
    ENVIRONMENT["CC_REFRESH_TOKEN"] = facts.pop("token")
    ENVIRONMENT["XDG_STATE_HOME"] = str(data / "state-home")
    for name, text in FILES.items():
        path = data / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(**facts) if "{{" in text else text, encoding="utf-8")
    days = []
    for name, changed in (
        ("everybody is new", False),
        ("0.5% changed", True),
        ("nothing changed", True),
    ):
        generate(data / "people.parquet", rows, changed=changed)
        before = (data / "calls.log").read_text().count("\n")
        measured = measure(Entry([EXPORTKIT, "--workspace", data, "run", "news", "--json"]))
        assert json.loads(measured.printed)["runs"][0]["status"] == "succeeded", measured.printed
        lines = (data / "calls.log").read_text().splitlines()[before:]
        imports = [line for line in lines if "_import" in line]
        polls = [line for line in lines if "GET" in line and "/activities" in line]
        sizes = [int(re.search(r"([\d,]+) bytes in", line)[1].replace(",", "")) for line in imports]  # type: ignore[index]
        days.append(Day(name, measured, len(imports), len(polls), len(lines), sum(sizes)))
    return days


def announced(box: subprocess.Popen[str]) -> dict[str, str]:
    """What the sandbox says of itself when it starts."""
    words = {"API": "api", "sign-in": "auth", "client id": "client", "list": "list_id"}
    words["refresh token"] = "token"
    facts: dict[str, str] = {}
    assert box.stdout is not None
    while len(facts) < len(words):
        line = box.stdout.readline()
        for word, name in words.items():
            if match := re.match(rf"  {word}  +(\S+)", line):
                facts[name] = match[1]
    return facts


def generate(path: Path, rows: int, *, changed: bool) -> None:
    """The profiles, by a process of its own: see race.py."""
    sql = PROFILES.format(rows=rows, changed=str(changed).lower(), path=path)
    before = path.read_bytes() if path.exists() else None
    code = "import sys, duckdb; duckdb.execute(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, sql], check=True)
    if before == path.read_bytes():
        os.utime(path)  # the same rows, in a file that was written anew


def report(days: list[Day], rows: int) -> str:
    """The days as Markdown."""
    lines = [
        f"{machine()}; {rows:,} profiles with an address and two names.",
        "",
        "| day | imports | bytes | polls | calls | wall | CPU | memory |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
        *(
            f"| {day.name} | {day.imports} | {day.bytes:,} | {day.polls} | {day.calls} "
            f"| {day.measured.wall:.1f} s | {day.measured.cpu:.1f} s "
            f"| {day.measured.peak / MEBIBYTE:.0f} MiB |"
            for day in days
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
