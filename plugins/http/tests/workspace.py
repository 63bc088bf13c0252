"""A workspace whose job exports to the made-up mail service, by the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from crm import KEY

from exportkit.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from crm import Crm

Row = dict[str, str]


def person(name: str, **more: str) -> Row:
    """A row of the source; the address is made of the name."""
    return {"id": name, "email": f"{name}@example.com", "first_name": name.title(), **more}


@dataclass
class Space:
    """The service, and a workspace with the job `mail` to it."""

    root: Path
    crm: Crm
    read: Callable[[], str]
    options: dict[str, Any] = field(default_factory=dict)
    destination: dict[str, Any] = field(default_factory=lambda: {"path": "/contacts"})
    map: dict[str, Any] = field(default_factory=lambda: {"email": "email", "name": "first_name"})
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

    def save(self) -> None:
        """Write the files."""
        agreed = {"agreed_by": "jane@example.com", "agreed_on": "2026-01-01"}
        options = {"url": self.crm.url, "auth": {"api_key": "${env:CRM_KEY}"}, **self.options}
        files = {
            "exportkit.yaml": {},
            "sources/people.yaml": {
                "name": "people",
                "file": "people.csv",
                "key": "id",
                "segments": self.segments,
            },
            "connections/crm.yaml": {
                "name": "crm",
                "type": "http",
                "display_name": "CRM",
                "consent": agreed,
                "options": {name: value for name, value in options.items() if value is not None},
            },
            "jobs/mail.yaml": {
                "name": "mail",
                "source": "people",
                "segments": ["everyone"],
                "connection": "crm",
                "destination": self.destination,
                "map": self.map,
                "key": "email",
                **self.job,
            },
        }
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(exist_ok=True)
            text = yaml.safe_dump({"version": 1, **content}, sort_keys=False, allow_unicode=True)
            path.write_text(text, encoding="utf-8")

    def type(self, *words: str) -> str:
        """Type a command; answers what is printed on both streams, and keeps the exit code."""
        self.save()
        with pytest.raises(SystemExit) as left:
            main(["--workspace", str(self.root), *words])
        self.code = int(left.value.code or 0)
        self.printed = self.read()
        return self.printed

    def run(self, *flags: str) -> dict[str, Any]:
        """Run the job."""
        printed = self.type("run", "mail", "--json", *flags)
        document, _ = json.JSONDecoder().raw_decode(printed[printed.index("{\n") :])
        assert document["runs"], document
        found: dict[str, Any] = document["runs"][0]
        return found

    def counts(self, *flags: str) -> dict[str, int]:
        """The counts of a run that is not to fail."""
        run = self.run(*flags)
        assert run["error"] is None, run
        found: dict[str, int] = run["counts"]
        return found

    def start(self) -> subprocess.Popen[str]:
        """Run the job in a process of its own."""
        self.save()
        return subprocess.Popen(
            [Path(sys.executable).with_name("exportkit"), "--workspace", self.root, "run", "mail"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def names(self) -> list[str]:
        """Who is a contact."""
        return sorted(address.partition("@")[0] for address in self.crm.contacts)


def wants_key(header: str = "X-API-Key", word: str = KEY) -> Callable[[Any], bool]:
    """A service that lets those in who have the key."""
    return lambda request: request.headers.get(header) == word
