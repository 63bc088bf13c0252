"""A workspace whose job goes through a Singer target, real or scripted, by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import yaml

from exportkit.cli import main
from exportkit.redaction import forget_everything

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = dict[str, Any]
BUCKETS = (
    *("rejected", "duplicates", "suppressed", "unchanged"),
    *("added", "updated", "refused", "unsettled"),
)


def person(key: str, **more: Any) -> Row:
    """A row of the source."""
    return {"id": key, "email": f"{key}@example.com", "name": key.title(), "spent": "1", **more}


@dataclass
class Ended:
    """How a process ended, and what it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def run(self) -> dict[str, Any]:
        """The run as `run --json` told it; its counts add up."""
        (run,) = json.loads(self.stdout)["runs"]
        counts = run["counts"]
        assert sum(counts[name] for name in BUCKETS) == counts["selected"], counts
        found: dict[str, Any] = run
        return found

    @property
    def counts(self) -> dict[str, int]:
        """The counts of a run that is not to fail."""
        assert self.run["error"] is None, self
        found: dict[str, int] = self.run["counts"]
        return found

    @property
    def complaint(self) -> str:
        """What went wrong, with its hint."""
        told = json.loads(self.stdout)
        error = told.get("error") or told["runs"][0]["error"]
        return f"{error['kind']}: {error['message']} ({error['hint']})"


@dataclass
class Stage:
    """The job `people` over the connection `load`; change the parts, then `run`."""

    root: Path
    state: Path
    read: Callable[[], tuple[str, str]]
    options: dict[str, Any]
    destination: dict[str, Any] = field(default_factory=lambda: {"stream": "people"})
    fields: dict[str, Any] = field(
        default_factory=lambda: {
            "id": "id",
            "email": "email",
            "name": "name",
            "spent": {"column": "spent", "kind": "number"},
        }
    )
    job: dict[str, Any] = field(default_factory=lambda: {"key": "id"})
    environment: dict[str, str] = field(default_factory=dict)

    def people(self, *rows: Row) -> None:
        """Replace the source."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.root / "people.jsonl").write_text(text, encoding="utf-8")

    def script(self, body: str, name: str = "target-scripted") -> Path:
        """Make a target of a few lines of Python the connection's. `lines` are its messages."""
        path = self.root / name
        begin = (
            f"#!{sys.executable} -S\nimport json, os, sys, time\n"
            "config = json.load(open(sys.argv[2]))\n"
            "lines = map(json.loads, sys.stdin)\n"
            "def say(message):\n    print(json.dumps(message['value']), flush=True)\n"
        )
        path.write_text(begin + textwrap.dedent(body), encoding="utf-8")
        path.chmod(0o755)
        self.options["target"] = f"./{name}"
        return path

    def save(self) -> None:
        source = {"name": "people", "file": "people.jsonl", "key": "id"}
        consent = {"agreed_by": "jane@example.com", "agreed_on": "2026-01-01"}
        for name, content in {
            "exportkit.yaml": {},
            "sources/people.yaml": {**source, "segments": {"everyone": {}}},
            "connections/load.yaml": {
                "name": "load",
                "type": "singer",
                "consent": consent,
                "options": self.options,
            },
            "jobs/people.yaml": {
                "name": "people",
                "source": "people",
                "segments": ["everyone"],
                "connection": "load",
                "destination": self.destination,
                "map": self.fields,
                **self.job,
            },
        }.items():
            path = self.root / name
            path.parent.mkdir(exist_ok=True)
            text = yaml.safe_dump({"version": 1, **content}, sort_keys=False)
            path.write_text(text, encoding="utf-8")

    def start(self, *words: str, group: int | None = None) -> subprocess.Popen[str]:
        """Begin a command of exportkit, as a process of its own; `group` 0: in a group, too."""
        self.save()
        begin = "from exportkit.cli import start; start()"
        return subprocess.Popen(
            [sys.executable, "-c", begin, "--workspace", self.root, *words],
            env=os.environ | self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=group,
        )

    def type(self, *words: str) -> Ended:
        """Type a command, in this process, which forgets what it knew before."""
        self.save()
        forget_everything()
        self.read()
        with patch.dict(os.environ, self.variables), pytest.raises(SystemExit) as left:
            main(["--workspace", str(self.root), *words])
        return Ended(int(left.value.code or 0), *self.read())

    def run(self, *flags: str) -> Ended:
        """Run the job."""
        return self.type("run", "people", "--json", *flags)

    @property
    def variables(self) -> dict[str, str]:
        """The environment, as far as it is the stage's."""
        return {"XDG_STATE_HOME": str(self.state), **self.environment}

    def left_behind(self) -> list[str]:
        """What is still in the private folder but for locks."""
        folder = self.state / "exportkit" / "singer"
        return sorted(path.name for path in folder.glob("*") if path.suffix != ".lock")


def ended(process: subprocess.Popen[str], timeout: float = 60) -> Ended:
    """Wait for a process; it is killed at the timeout."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ended(process.returncode, stdout, stderr)
