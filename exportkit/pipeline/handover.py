"""What the stages hand to each other: frozen records, frames inside, and nothing that works."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections import abc
    from pathlib import Path

    import narwhals as nw

    from exportkit.records import Check, Column, Counts, Mode

    Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True)
class Mapping:
    """What a job sends: the columns, the one that is the key, and what is checked, in order.

    `key` None means the source's own key, carried along unseen. The checks from `certain` on are
    addresses that wait for `decide_addresses`. `twin` is a column that holds the source's key as
    it is, so that it needs no column of its own.
    """

    columns: tuple[Column, ...]
    key: str | None
    checks: tuple[Check, ...]
    certain: int
    twin: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What acceptance obeys: the mapped columns, the checks by number, who wins among equals."""

    columns: tuple[str, ...]
    checks: tuple[Check, ...]
    prefer: Literal["ascending", "descending"] | None = None
    suppresses: bool = False


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rows were rejected for one reason."""

    column: str
    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """One row a person, key and columns; `staying` are the keys of all who were not suppressed.

    The numbers are of rows; together with `rows` they make up the selected ones.
    """

    rows: Frame
    staying: Frame
    selected: int
    rejected: int
    suppressed: int
    duplicates: int
    reasons: tuple[ReasonCount, ...] = ()

    @property
    def kept(self) -> int:
        """How many rows `rows` has."""
        return self.selected - self.rejected - self.suppressed - self.duplicates


@dataclass(frozen=True, slots=True)
class Before:
    """What is known from earlier runs, as held frames of a key and, the first two, the columns.

    `elsewhere` are keys that other jobs have delivered to the same target, `unsettled` keys of
    which nobody can say yet whether they were delivered.
    """

    delivered: Frame | None = None
    refused: Frame | None = None
    elsewhere: Frame | None = None
    unsettled: Frame | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it was written to `folder`; the counts are what a run without refusals ends with.

    `rows` are the accepted rows as a frame, `stayed` those that were delivered before and are not
    among them, a frame too; a plan that was read from its folder has neither. The folder holds
    accepted.parquet, rejections.parquet and changes/{add,update,remove,left}.parquet, of the last
    four only those that have rows.
    """

    folder: Path
    mode: Mode
    columns: tuple[str, ...]
    counts: Counts
    rows: Frame | None = None
    reasons: tuple[ReasonCount, ...] = ()
    changed_columns: abc.Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stayed: Frame | None = None

    @property
    def accepted(self) -> Path:
        """Every row that may be delivered, whether it changed or not."""
        return self.folder / "accepted.parquet"

    @property
    def rejections(self) -> Path:
        """The rows that cannot be delivered, with column, reason and value."""
        return self.folder / "rejections.parquet"

    def changes(self, operation: str) -> Path:
        """The rows of one operation: add, update or remove; `left` are keys left to other jobs."""
        return self.folder / "changes" / f"{operation}.parquet"

    def sent_file(self, operation: str) -> Path:
        """The file whose rows this operation's batches are: mode `full` sends all as `add`."""
        return self.accepted if self.mode == "full" else self.changes(operation)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the person at the keyboard allows this once."""

    empty: bool = False
    removals: bool = False
    rejections: bool = False
