"""The frozen nouns that the host and its plugins hand to each other.

Whatever a plugin receives or answers is one of these. Mapped values are text (or null) everywhere:
a column's `kind` says what the text has to look like, and a plugin that needs a number parses it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from exportkit.services import Uncounted, Unkept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import narwhals as nw
    import pyarrow as pa

    from exportkit.services import Counter, Credentials

Kind = Literal["text", "email", "date", "phone", "number"]
Mode = Literal["upsert", "insert", "mirror", "full"]
Operation = Literal["add", "update", "remove"]
RunStatus = Literal["succeeded", "partial", "failed", "blocked", "interrupted", "deferred"]

KINDS: tuple[Kind, ...] = ("text", "email", "date", "phone", "number")
MODES: tuple[Mode, ...] = ("upsert", "insert", "mirror", "full")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the destination, and what a value must be to be accepted there.

    `expression` is computed from the job's mapped fields (`nw.col("email")`); left out, it is the
    mapped field of the same name. `max_length` counts code points. `match` is what two spellings
    of one key have in common (a lower-cased address); what is sent keeps its own spelling.
    `accepts` is computed from the destination's columns: a row where it is false is rejected with
    `reason`; one where it is null is not.
    """

    name: str
    expression: nw.Expr | None = None
    kind: Kind = "text"
    required: bool = False
    max_length: int | None = None
    on_too_long: Literal["reject", "truncate"] = "reject"
    key: bool = False
    match: nw.Expr | None = None
    description: str = ""
    accepts: nw.Expr | None = None
    reason: str = "not accepted by the destination"


@dataclass(frozen=True, slots=True)
class Check:
    """Something that a mapped value has to pass; a row that does not is rejected with `reason`."""

    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a destination can take. None means that it sets no such limit.

    `unknown_hours` is how long a batch of which `find_delivery` answers `unknown` is kept back;
    after that it counts as not taken. `calls_per_batch` is what one batch costs of the day's calls,
    questions about its result included. `removal_rows` is the most rows of a batch to take out,
    where that is fewer.
    """

    batch_rows: int = 10_000
    removal_rows: int | None = None
    batch_bytes: int | None = None
    profiles: int | None = None
    calls_per_second: float | None = None
    calls_per_day: int | None = None
    calls_per_batch: int = 1
    unknown_hours: int = 24


@dataclass(frozen=True, slots=True)
class Description:
    """A destination's offline facts: the answer of `describe_destination`.

    `connection_options` and `job_options` are JSON Schemas of objects (draft 2020-12); a string
    option with `"format": "output-path"` is resolved by the host and kept inside the workspace.
    Defaults are filled in, and an option that a schema does not name is refused.
    `fields` empty means that field names are free. The first of `modes` is the default.
    `third_party` says that personal data leaves the machine, so consent is asked for. `whole`
    says that the target is replaced as one (a file): nothing shows before `finish`. `without` are
    hooks that count as not there, see `describe_job`.
    """

    title: str
    description: str = ""
    connection_options: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})
    job_options: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})
    fields: tuple[Column, ...] = ()
    modes: tuple[Mode, ...] = ("full",)
    limits: Limits = Limits()
    third_party: bool = True
    whole: bool = False
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """An account at a destination, with its references resolved. `repr` shows no option.

    `calls` answers the count of calls under an API key; the key is any text that tells one from
    another (the API's address and the client id), of which a digest is kept. `per_second` and
    `per_day` are for limits that the connection's options name, instead of the declared ones.
    """

    name: str
    type: str
    display_name: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    workspace: Path = Path()
    credentials: Credentials = field(default_factory=Unkept, repr=False)
    calls: Counter = field(default=Uncounted, repr=False)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is at the target right now: the answer of `describe_target`.

    `identity` names the target for good (a list's id): the snapshot belongs to it. Left empty, the
    job's destination options are the identity. `details` is shown to people and kept for offline
    plans, so it holds plain JSON values and nothing personal; `calls_left` among them is how many
    calls are left today.
    """

    name: str
    identity: str = ""
    fields: tuple[Column, ...] = ()
    members: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MappedField:
    """One line of a job's `map:` as a plugin sees it: the name, and what the job asks of it."""

    name: str
    kind: Kind | None = None
    required: bool | None = None
    max_length: int | None = None
    on_too_long: Literal["reject", "truncate"] | None = None


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A job's `map:`, in the order it was written. `key` is the field the job names as the key."""

    fields: tuple[MappedField, ...]
    key: str | None = None

    def __contains__(self, name: object) -> bool:
        return any(mapped.name == name for mapped in self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """The field names in the order of the job's map."""
        return tuple(mapped.name for mapped in self.fields)


@dataclass(frozen=True, slots=True)
class Target:
    """Where one job delivers: its destination options, the columns it sends, what is there now."""

    options: Mapping[str, Any]
    catalogue: Catalogue
    workspace: Path
    columns: tuple[Column, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in the order in which batches carry them."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows handed over in one call. `id` stays the same if the batch is sent again.

    `data` is an Arrow record batch of text columns named `columns`; `keys` is the identity of each
    row, aligned with it. `rows()` gives the same as dicts, for plugins that want no Arrow.
    """

    id: str
    run_id: str
    operation: Operation
    data: pa.RecordBatch = field(repr=False)
    keys: pa.StringArray = field(repr=False)

    def __len__(self) -> int:
        return int(self.data.num_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names, in the order of the job's map."""
        return tuple(self.data.schema.names)

    def rows(self) -> Iterator[dict[str, str | None]]:
        """Each row as a dict of column name to text or None."""
        return iter(self.data.to_pylist())


@dataclass(frozen=True, slots=True)
class Rejection:
    """The destination's no to one row: `key` is the row's entry in `batch.keys`."""

    key: str
    reason: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The answer to one batch: every row that is not rejected is accepted; with a `receipt`, later.

    A receipt is a claim ticket for `settle`: the destination took the batch and will say what
    became of it.
    """

    receipt: str | None = None
    rejections: Sequence[Rejection] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """A destination's word on a receipt: still pending, done, or failed (nothing was taken)."""

    receipt: str
    state: Literal["pending", "done", "failed"]
    rejections: Sequence[Rejection] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of `find_delivery`: was this batch taken, and with which delivery?

    `repeat`: nobody can say, and it does not matter, since the destination takes a batch that
    comes again with its `id` only once. The host sends it again, also in a later run.
    """

    state: Literal["taken", "not_taken", "unknown", "repeat"]
    delivery: Delivery = Delivery()


@dataclass(frozen=True, slots=True)
class Counts:
    """Where each selected row went: exactly one of rejected ... unsettled.

    `removed` counts keys taken out (they were not selected), `sent` rows handed over in all.
    """

    selected: int = 0
    rejected: int = 0
    duplicates: int = 0
    suppressed: int = 0
    unchanged: int = 0
    added: int = 0
    updated: int = 0
    refused: int = 0
    removed: int = 0
    sent: int = 0
    unsettled: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts under their names in the contract, in its order."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run did not succeed: `kind` is the error's, as in `exportkit.errors`."""

    kind: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a job, finished or not begun for a reason. Times are in UTC."""

    run_id: str
    job: str
    status: RunStatus
    started_at: datetime
    finished_at: datetime
    counts: Counts = Counts()
    error: Failure | None = None

    def as_dict(self) -> dict[str, Any]:
        """The run as one entry of `run --json`."""
        return {
            "run_id": self.run_id,
            "job": self.job,
            "status": self.status,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "counts": self.counts.as_dict(),
            "error": asdict(self.error) if self.error else None,
        }
