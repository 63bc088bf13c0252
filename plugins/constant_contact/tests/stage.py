"""A workspace whose job exports to the sandbox, over real sockets, by the command line."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exportkit.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from exportkit_constant_contact.sandbox import Sandbox

Row = dict[str, str]
BUCKETS = (
    *("rejected", "duplicates", "suppressed", "unchanged"),
    *("added", "updated", "refused", "unsettled"),
)


def person(name: str, **more: str) -> Row:
    """A row of the source; the address is made of the name."""
    return {"id": name, "email": f"{name}@example.com", "first_name": name.title(), **more}


@dataclass
class Stage:
    """The sandbox, and a workspace with the job `news` to one of its lists."""

    root: Path
    box: Sandbox
    read: Callable[[], str]
    list_id: str
    connection: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    segments: dict[str, Any] = field(default_factory=lambda: {"everyone": {}})
    code: int = 0
    printed: str = ""

    def people(self, *rows: Row) -> None:
        """Replace the source."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        with (self.root / "people.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names or ["id", "email", "first_name"], restval="")
            writer.writeheader()
            writer.writerows(rows)

    def write(self, name: str, content: dict[str, Any]) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        text = yaml.safe_dump({"version": 1, **content}, sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")

    def save(self) -> None:
        source = {"name": "people", "file": "people.csv", "key": "id", "segments": self.segments}
        self.write("exportkit.yaml", {})
        self.write("sources/people.yaml", source)
        self.write("connections/box.yaml", self.connection)
        self.write("jobs/news.yaml", self.job)

    def type(self, *words: str) -> str:
        """Type a command; answers what is printed on both streams, and keeps the exit code."""
        self.save()
        with pytest.raises(SystemExit) as left:
            main(["--workspace", str(self.root), *words])
        self.code = int(left.value.code or 0)
        self.printed = self.read()
        return self.printed

    def run(self, *flags: str) -> dict[str, Any]:
        """Run the job; what holds for every run is checked."""
        printed = self.type("run", "news", "--json", *flags)
        document, _ = json.JSONDecoder().raw_decode(printed[printed.index("{\n") :])
        assert document["runs"], document
        (run,) = document["runs"]
        counts = run["counts"]
        assert sum(counts[name] for name in BUCKETS) == counts["selected"], counts
        found: dict[str, Any] = run
        return found

    def counts(self, *flags: str) -> dict[str, int]:
        """The counts of a run that is not to fail."""
        run = self.run(*flags)
        assert run["error"] is None, run
        found: dict[str, int] = run["counts"]
        return found

    @property
    def members(self) -> list[str]:
        """The addresses in the list, sorted."""
        found = self.box.contacts(self.list_id)
        return sorted(contact["email_address"]["address"] for contact in found)

    def calls(self, route: str) -> int:
        """How often this was called, however it was answered."""
        return sum(call.route == f"/v3{route}" for call in self.box.requests)


def addresses(names: Sequence[str]) -> list[str]:
    """The addresses of `person`s."""
    return [f"{name}@example.com" for name in names]
