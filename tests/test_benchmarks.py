"""The benchmarks race against scripts that do the work right, over files that are what they say."""

from __future__ import annotations

import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ROWS = 6000

Row = dict[str, str]


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        folder = tmp_path_factory.mktemp("profiles")
        importlib.import_module("generate").generate(ROWS, folder)
    return folder


@pytest.fixture(scope="module")
def rows(profiles: Path) -> list[Row]:
    return read(profiles / "profiles.csv")


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def script(name: str, *paths: Path) -> str:
    command = [sys.executable, str(BENCHMARKS / "floors" / name), *map(str, paths)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def is_address(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def test_profiles_hold_what_makes_the_work_hard(rows: list[Row]) -> None:
    addresses = [row["email"].strip().lower() for row in rows]
    present = [address for address in addresses if address]
    assert len(rows) == ROWS
    assert len(rows[0]) == 20
    assert 0.02 < addresses.count("") / ROWS < 0.04
    assert 0.04 < 1 - len(set(present)) / len(present) < 0.08
    assert any(not address.isascii() and is_address(address) for address in present)
    assert any(len(row["first_name"]) > 50 for row in rows)
    assert any("\n" in row["notes"] for row in rows)


def expected(rows: list[Row]) -> tuple[dict[str, int], set[tuple[str, ...]]]:
    """The checked case done slowly, with the library's word on every address."""
    winners: dict[str, Row] = {}
    rejected = 0
    for row in rows:
        row = {name: text.strip() for name, text in row.items()}
        row["email"] = row["email"].lower()
        short = all(len(row[name]) <= 50 for name in ("first_name", "last_name", "city"))
        if not (short and is_address(row["email"])):
            rejected += 1
            continue
        rival = winners.get(row["email"])
        if rival is None or row["updated_at"] > rival["updated_at"]:
            winners[row["email"]] = row  # ties stay with the earlier row: the lower customer_id
    counts = {
        "selected": len(rows),
        "rejected": rejected,
        "duplicates": len(rows) - rejected - len(winners),
        "sent": len(winners),
    }
    names = ("email", "first_name", "last_name", "city", "country")
    return counts, {tuple(row[name] for name in names) for row in winners.values()}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_checked_floor_does_the_work(
    kind: str, profiles: Path, rows: list[Row], tmp_path: Path
) -> None:
    result = tmp_path / "checked.csv"
    source = profiles / f"profiles.{kind}"
    kept = tmp_path / "rejections.parquet", tmp_path / "accepted.parquet"
    counts: dict[str, Any] = json.loads(script("checked.py", source, result, *kept))
    assert (counts, {tuple(row.values()) for row in read(result)}) == expected(rows)
    assert all(path.exists() for path in kept)


def test_the_changed_floor_finds_what_changed(
    profiles: Path, rows: list[Row], tmp_path: Path
) -> None:
    before, after = profiles / "profiles.parquet", tmp_path / "after.parquet"
    script("../change.py", before, after)
    first = json.loads(script("changed.py", before, tmp_path))
    again = json.loads(script("changed.py", before, tmp_path))
    changed = json.loads(script("changed.py", after, tmp_path))
    sent = expected(rows)[0]["sent"]
    assert (first["added"], first["updated"], first["unchanged"]) == (sent, 0, 0)
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, sent)
    assert 0 < changed["added"] < sent / 50
    assert 0 < changed["updated"] < sent / 50


def test_the_plain_floor_changes_names_alone(
    profiles: Path, rows: list[Row], tmp_path: Path
) -> None:
    result = tmp_path / "plain.csv"
    script("plain.py", profiles / "profiles.csv", result)
    names = {"id": "customer_id", "address": "email", "given": "first_name", "family": "last_name"}
    assert read(result) == [{new: row[old] for new, old in names.items()} for row in rows]
