from __future__ import annotations

import os
import random
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from exportkit.testing import Difference, Row, compare, in_doubt, open_ledger, random_instants
from exportkit.testing.ledger import Given

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exportkit.testing import Ledger


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[tuple[Ledger, Ledger]]:
    with open_ledger(tmp_path / "disturbed") as one, open_ledger(tmp_path / "twin") as other:
        yield one, other


def take(
    ledger: Ledger, *keys: str, removes: bool = False, name: str = "", half: bool = False
) -> None:
    call, _ = ledger.begin("remove" if removes else "push", "batch", len(keys))
    rows = {key: {"name": name} for key in keys}
    ledger.take(call, Given("batch", "everybody", removes, rows), "half" if half else "done")


def row(key: str, name: str = "", *, removes: bool = False) -> Row:
    return Row("everybody", key, removes, f'{{"name": "{name}"}}')


def test_order_and_batches_do_not_count(ledgers: tuple[Ledger, Ledger]) -> None:
    disturbed, twin = ledgers
    take(disturbed, "ann")
    take(disturbed, "bob", "cyd")
    take(twin, "cyd", "bob", "ann")
    assert compare(disturbed, twin) == Difference()
    assert not compare(disturbed, twin)


def test_what_is_lost_doubled_or_different(ledgers: tuple[Ledger, Ledger]) -> None:
    disturbed, twin = ledgers
    take(disturbed, "ann", "bob")
    take(disturbed, "ann", "bob")
    take(disturbed, "cyd", name="Cyd")
    take(twin, "ann", "bob", "cyd", "dan")
    take(twin, "bob", removes=True)
    found = compare(disturbed, twin)
    assert set(found.lost) == {row("cyd"), row("dan"), row("bob", removes=True)}
    assert set(found.doubled) == {row("ann"), row("bob"), row("cyd", "Cyd")}
    assert found.members == ("bob", "cyd", "dan")
    assert found


def test_in_doubt_is_the_last_batch_of_each_killed_process(
    ledgers: tuple[Ledger, Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, _ = ledgers
    for pid, batches in {1: [["ann"], ["bob"]], 2: [["cyd"], ["dan"]], 3: [["eve"]]}.items():
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        for batch in batches:
            take(ledger, *batch)
    ledger.begin("push", "never taken", 7)
    ledger.begin("settle")
    assert in_doubt(ledger, [1]) == {row("bob")}
    assert in_doubt(ledger, [1, 2]) == {row("bob"), row("dan")}
    assert in_doubt(ledger, [3]) == set(), "its last batch was not taken"


def test_the_same_seed_gives_the_same_instants() -> None:
    one, other = (
        list(islice(random_instants(random.Random(7), calls=8, seconds=0.5), 100)) for _ in range(2)
    )
    assert one == other
    assert {instant.calls for instant in one} == set(range(9))
    assert max(instant.seconds for instant in one if not instant.calls) > 0.4
