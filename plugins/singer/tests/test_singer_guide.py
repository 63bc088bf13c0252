"""The guide is right: its files validate, and its jobs deliver as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import yaml
from exportkit_singer import options

from exportkit.config.documents import read_document
from exportkit.config.schemas import check, check_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from postgresql import Database
    from singer_stage import Stage

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "docs" / "singer.md", Path(__file__).parents[1] / "README.md")
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(
        r"^```yaml\n# (\S+)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
]
GUIDE = dict(reversed(BLOCKS))
PARTS = {
    "connections": ("connection", "options", options.CONNECTION),
    "jobs": ("job", "destination", options.JOB),
}
CONSENT = "consent: {agreed_by: jane, agreed_on: 2026-11-24}\n"


@pytest.mark.parametrize(("name", "text"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_every_file_is_right(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    kind, at, schema = PARTS[name.partition("/")[0]]
    document = read_document(path, name)
    assert check(document, kind) == []
    assert check_options(document, (at,), schema) == []


def test_every_option_is_told() -> None:
    rows = " ".join(re.findall(r"^\| (`.*?`) \|", PAGES[0].read_text("utf-8"), re.MULTILINE))
    known = {*options.CONNECTION["properties"], *options.JOB["properties"]}
    assert known == set(re.findall(r"\w+", rows))


def test_the_defaults_are_told() -> None:
    text = PAGES[0].read_text("utf-8")
    for part in (options.CONNECTION, options.JOB):
        for name, option in part["properties"].items():
            if option.get("default") and name != "sync":
                assert f"| `{name}` | `{option['default']}` |" in text


def written(stage: Stage, *names: str) -> None:
    """The files of the guide in a workspace with some customers."""
    (stage.root / "customers.csv").write_text(
        "customer_id,email,lifetime_value,joined,newsletter\n"
        "C1,ann@example.com,1200.50,2025-01-31,yes\nC2,bob@example.com,,2026-02-28,no\n"
    )
    source = "version: 1\nname: customers\nfile: customers.csv\nkey: customer_id\n"
    source += "segments: {everyone: {}, newsletter: {where: \"newsletter = 'yes'\"}}\n"
    texts = {"exportkit.yaml": "version: 1\n", "sources/customers.yaml": source}
    for name in names:
        texts[name] = GUIDE[name] + (CONSENT if name.startswith("connections/") else "")
    for name, text in texts.items():
        (stage.root / name).parent.mkdir(exist_ok=True)
        (stage.root / name).write_text(text, encoding="utf-8")


def exported(stage: Stage, job: str) -> None:
    command = [str(Path(sys.executable).with_name("exportkit")), "run", job]
    environment = {"XDG_STATE_HOME": str(stage.state), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command,
        cwd=stage.root,
        env=environment | stage.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_file_of_the_guide_is_written(stage: Stage, need: Callable[[str], None]) -> None:
    need("target-csv")
    written(stage, "connections/files.yaml", "jobs/newsletter-file.yaml")
    exported(stage, "newsletter-file")
    text = (stage.root / "out" / "newsletter.csv").read_text()
    assert text.split() == ["customer_id,email", "C1,ann@example.com"]


def test_the_table_of_the_guide_is_filled(
    stage: Stage, postgresql: Database, need: Callable[[str], None]
) -> None:
    need("target-postgres")
    written(stage, "connections/warehouse.yaml", "jobs/people.yaml")
    file = stage.root / "connections" / "warehouse.yaml"
    connection, where = yaml.safe_load(file.read_text()), urlsplit(postgresql.url)
    connection["options"]["config"] |= {
        "host": where.hostname,
        "port": where.port,
        "user": where.username,
        "database": postgresql.name,
    }
    file.write_text(yaml.safe_dump(connection))
    stage.environment["WAREHOUSE_PASSWORD"] = where.password or ""
    exported(stage, "people")
    rows = postgresql.run(
        "SELECT customer_id, lifetime_value, joined, newsletter FROM people ORDER BY 1"
    )
    assert rows.splitlines() == ["C1\t1200.50\t2025-01-31\tt", "C2\t\t2026-02-28\tf"]
