"""Where the canaries live: a workspace, every command as a process of its own, and the search."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from warm import EXPORTKIT, Process

PEOPLE = {
    "name": ("Zebulonia Quixworth", "Ng", "Bartholomaeus Wimpleforth", "Xanthippe Oddfellow"),
    "email": (
        "zebulonia@quixworth-canary.example",
        "ngcanary@twoletters.example",
        "bart@wimpleforth-canary.example",
        "xanthippe@oddfellow-canary.example",
    ),
    "phone": ("+30 694 7731 982", "+44 20 7946 0958", "+1 (202) 555-0147", "+33 1 99 00 27 31"),
    "street": (
        "77 Jabberwock Lane",
        "5 Bandersnatch Row",
        "9 refuse Street Vorpal",
        "1 Tulgey Way",
    ),
}
ENV_TOKEN = "canarytoken-Frabjous-99-longenough-0123456789"
SHORT_PIN = "kW9!"
SIGNED_IN = "t0k-Galumphing"
TOKENS = (ENV_TOKEN, SHORT_PIN, SIGNED_IN)
# "Ng" alone is in too many words to be looked for in text; its owner's other values are.
CANARIES = (
    *(value for values in PEOPLE.values() for value in values if len(value) > 2),
    *("Quixworth", "Wimpleforth", "Jabberwock", "Bandersnatch"),
)

HOLDS_PEOPLE = ("accepted", "staying", "rejections", "changes", "refused", "snapshots", "left")
"""A Parquet file may hold people if a part of its path below the state folder has such a name."""


def spellings(canary: str) -> set[str]:
    """The canary as it could be met: in any case, escaped for a URL or JSON."""
    return {
        canary.casefold(),
        quote(canary).casefold(),
        quote(canary, safe="").casefold(),
        json.dumps(canary)[1:-1].casefold(),
        canary.replace(" ", "").casefold(),
    }


def found_in(text: str, canaries: tuple[str, ...] = CANARIES + TOKENS) -> list[str]:
    """The canaries that the text has."""
    folded = text.casefold()
    return [each for each in canaries if any(way in folded for way in spellings(each))]


@dataclass
class Heard:
    """What a command left behind."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    def leaked(self) -> list[str]:
        """The canaries in what it said."""
        return found_in(self.out + self.err)


@dataclass
class Place:
    """A workspace with canaries in it; every command is a process of its own."""

    root: Path
    site: Path
    heard: list[Heard] = field(default_factory=list)

    def __call__(self, *command: str, typed: str = "", debug: bool = True, **env: str) -> Heard:
        """Run a command with its libraries as talkative as can be."""
        variables = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("EXPORTKIT", "OTEL"))},
            "CANARY_TOKEN": ENV_TOKEN,
            "CANARY_PIN": SHORT_PIN,
            "PYTHONPATH": str(self.site),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "XDG_STATE_HOME": str(self.root.parent / "machine"),
            "CANARY_DEBUG": "1" if debug else "",
            **env,
        }
        if "CANARY_WITHOUT" in env:  # it changes a module before others import it
            done = subprocess.run(
                [sys.executable, "-c", EXPORTKIT, *command],
                cwd=self.root,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
            )
            heard = Heard(command, done.returncode, done.stdout, done.stderr)
        else:
            process = Process(EXPORTKIT, command, env=variables, cwd=self.root, typed=typed)
            out, err = process.communicate(timeout=120)
            heard = Heard(command, process.wait(), out, err)
        self.heard.append(heard)
        return heard

    def both(self, *command: str, **given: Any) -> list[Heard]:
        """Run it for people and for programs."""
        return [self(*command, **given), self(*command, "--json", **given)]

    def people(self, *people: int, **others: str) -> None:
        """The source: these people, and rows that cannot be delivered."""
        lines = ["id,email,name,phone,street"]
        for person in people:
            row = [others.get(column) or PEOPLE[column][person] for column in PEOPLE_ORDER]
            lines.append(",".join([str(person), *row]))
        name, street = PEOPLE["name"][0], PEOPLE["street"][0]
        lines.append(f"90,{name} at quixworth-canary.example,{name},{PEOPLE['phone'][0]},{street}")
        lines.append(f"91,,{name},{PEOPLE['phone'][0]},{street}")
        (self.root / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def connection(self, **options: Any) -> None:
        """The connection, with the secrets by reference."""
        given = {
            "account": "marketing",
            "key_phrase": "${env:CANARY_TOKEN}",
            "pin": "${env:CANARY_PIN}",
            **options,
        }
        write_yaml(
            self.root / "connections" / "chat.yaml",
            name="chat",
            display_name="Chat",
            type="chatty",
            use=["admin"],
            consent={"agreed_by": "jane", "agreed_on": "2026-01-01"},
            options=given,
        )

    def mood(self, mood: str = "", **behaviour: Any) -> None:
        """How the destination behaves from now on: `push:destination` raises that in `push`."""
        (self.root.parent / "mood.json").write_text(json.dumps({"mood": mood, **behaviour}))

    def job(self, **changes: Any) -> None:
        """The job; `changes` replace what it says."""
        fields = {name: {"column": name} for name in ("email", "name", "phone", "street")}
        fields["email"]["kind"] = "email"
        job = {
            "name": "letter",
            "source": "people",
            "segments": ["everyone"],
            "connection": "chat",
            "destination": {"list": "one"},
            "map": fields,
            "key": "email",
            "mode": "mirror",
        }
        write_yaml(self.root / "jobs" / "letter.yaml", **{**job, **changes})

    def source(self, where: str = "true", **changes: Any) -> None:
        """The source's file; `where` is the predicate of its segment."""
        source = {"name": "people", "file": "people.csv", "key": "id"}
        segments = {"everyone": {"where": where}}
        path = self.root / "sources" / "people.yaml"
        write_yaml(path, **{**source, "segments": segments, **changes})

    def state_leaks(self) -> list[str]:
        """Where a canary is that should not be, in any file that exportkit wrote."""
        wrong = []
        for folder in (self.root / ".exportkit", self.root.parent / "machine"):
            for path in folder.rglob("*"):
                if path.is_file() and path.suffix not in ("-wal", "-shm"):
                    wrong += [f"{path}: {each}" for each in self._leaks(path, folder)]
        return wrong

    def _leaks(self, path: Path, folder: Path) -> list[str]:
        parts = path.relative_to(folder).as_posix().split("/")
        if path.suffix == ".parquet":
            text = parquet_text(path)
            people = any(part.split(".")[0] in HOLDS_PEOPLE for part in parts)
            return found_in(text, TOKENS if people else CANARIES + TOKENS)
        if path.suffix == ".sqlite":
            return found_in(database_text(path))
        text = path.read_bytes().decode("utf-8", "replace")
        kept = (SIGNED_IN,) if parts[0] == "credentials" else ()
        return [each for each in found_in(text) if each not in kept]

    def open_to_others(self) -> list[str]:
        """What others than the owner could read."""
        state = self.root / ".exportkit"
        if not state.exists():
            return []
        return [
            f"{path}: {path.stat().st_mode & 0o777:o}"
            for path in (state, *state.rglob("*"))
            if path.stat().st_mode & 0o077 or (path.is_file() and path.stat().st_mode & 0o177)
        ]

    def kept_people(self) -> set[str]:
        """The canaries in the Parquet files of the state: the search can find what there is."""
        files = (self.root / ".exportkit").rglob("*.parquet")
        return {each for path in files for each in found_in(parquet_text(path))}


PEOPLE_ORDER = ("email", "name", "phone", "street")


def parquet_text(path: Path) -> str:
    """All that a Parquet file says, its values and what is written beside them."""
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, ValueError):
        return path.read_bytes().decode("utf-8", "replace")
    return f"{table.to_pylist()} {table.schema.metadata}"


def database_text(path: Path) -> str:
    """Every column of every table of a SQLite file."""
    with closing(sqlite3.connect(path)) as database:
        try:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master")]
            rows = [
                list(database.execute(f"SELECT * FROM {table}"))
                for table in tables
                if not table.startswith(("sqlite_", "ix_"))
            ]
        except sqlite3.DatabaseError:
            return path.read_bytes().decode("utf-8", "replace")
    return str(rows)


def write_yaml(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1, **content}, indent=1), encoding="utf-8")


def make_place(folder: Path) -> Place:
    """A workspace with one job over the chatty destination, installed beside it."""
    site = folder / "site"
    info = site / "exportkit_chatty-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("chatty.py"), site / "exportkit_chatty.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: exportkit-chatty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[exportkit]\nchatty = exportkit_chatty\n")
    # Whoever sets logging up for a whole Python hears every library at every level.
    (site / "sitecustomize.py").write_text(
        "import logging, os\n"
        "if os.environ.get('CANARY_DEBUG'):\n"
        "    logging.root.setLevel(logging.DEBUG)\n"
        "    logging.root.addHandler(logging._StderrHandler(logging.DEBUG))\n"
        # To see the test fail: one protection does nothing.
        "if os.environ.get('CANARY_WITHOUT'):\n"
        "    import importlib\n"
        "    module, _, name = os.environ['CANARY_WITHOUT'].partition(':')\n"
        "    setattr(importlib.import_module(module), name, lambda given: given)\n"
    )
    place = Place(folder / "workspace", site)
    write_yaml(place.root / "exportkit.yaml")
    place.source()
    place.job()
    place.connection()
    place.mood()
    place.people(0, 1, 2, 3)
    return place
