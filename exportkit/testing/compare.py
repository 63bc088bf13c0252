"""Did a destination that was disturbed end as one that was not? Two ledgers, held together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from exportkit.testing.ledger import Ledger, Row


@dataclass(frozen=True, slots=True)
class Difference:
    """`lost`: taken in the undisturbed ledger alone. `doubled`: taken more often than there.

    `members` are the keys whose membership or values differ in the end.
    """

    lost: tuple[Row, ...] = ()
    doubled: tuple[Row, ...] = ()
    members: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.members)


def compare(disturbed: Ledger, undisturbed: Ledger, target: str = "everybody") -> Difference:
    """Where the disturbed ledger differs; false if it does not.

    A row is its key, its values, and whether it was taken or taken out; what order rows came in,
    and in which batches, does not count.
    """
    here, there = Counter(disturbed.rows()), Counter(undisturbed.rows())
    on, expected = disturbed.members(target), undisturbed.members(target)
    return Difference(
        lost=tuple((there - here).elements()),
        doubled=tuple((here - there).elements()),
        members=tuple(
            sorted(key for key in on.keys() | expected.keys() if on.get(key) != expected.get(key))
        ),
    )


def in_doubt(ledger: Ledger, killed: Collection[int]) -> set[Row]:
    """The rows of the last batch that each of these processes handed over: pids of killed runs.

    Where a destination cannot say whether it took a batch, no others may be doubled.
    """
    last: dict[int, int] = {}
    for call in ledger.calls():
        if call.pid in killed and call.hook in ("push", "remove"):
            last[call.pid] = call.number
    return set(ledger.rows(last.values()))
