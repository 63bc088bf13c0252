"""A job: which segments go over which connection, mapped how, within which limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from exportkit.config.cron import check_schedule
from exportkit.config.names import nearest_hint, same_but_for_case, unusable
from exportkit.config.notify import Notify, read_notify
from exportkit.config.retention import Retention, read_retention
from exportkit.config.scalars import parse_duration
from exportkit.errors import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exportkit.config.documents import Document, Steps
    from exportkit.records import Kind, Mode

OnTooLong = Literal["reject", "truncate"]

DEFAULT_SETTLE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Transform:
    """One step from a column's text to a field's: `trim`, or `date` with its pattern."""

    name: str
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One line of `map:`. Exactly one of `column`, `value`, `sql` is set.

    `value` and `default` are the text that was written. None elsewhere: the job does not say.
    """

    field: str
    column: str | None = None
    value: str | None = None
    sql: str | None = None
    transform: tuple[Transform, ...] = ()
    default: str | None = None
    kind: Kind | None = None
    required: bool | None = None
    max_length: int | None = None
    on_too_long: OnTooLong | None = None


@dataclass(frozen=True, slots=True)
class Prefer:
    """Which of several rows with one key is sent: the first by this source column."""

    column: str
    order: Literal["ascending", "descending"] = "descending"


@dataclass(frozen=True, slots=True)
class Bound:
    """A guard's limit: `500` rows (`count`) or `10%` (`share`, 0 to 1). One of the two is set."""

    count: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What stops a run before anything is sent; None sets no limit.

    `settle` is how long a run waits for the destination's final answer.
    """

    profiles: int | None = None
    removals: Bound | None = None
    rejections: Bound | None = None
    settle: timedelta = DEFAULT_SETTLE


@dataclass(frozen=True, slots=True)
class Job:
    """One file of `jobs/`. `connection` None means detached; `destination` is the plugin's part."""

    name: str
    source: str
    segments: tuple[str, ...]
    suppress: tuple[str, ...]
    connection: str | None
    destination: Mapping[str, Any]
    fields: tuple[FieldRule, ...]
    key: str | None
    mode: Mode | None
    on_duplicate: Prefer | None
    on_too_long: OnTooLong
    schedule: str | None
    timezone: str | None
    limits: JobLimits
    retention: Retention | None
    notify: tuple[Notify, ...] | None
    description: str
    document: Document = field(repr=False, compare=False)


def read_job(document: Document) -> Job:
    """The record of a document that `schemas.check` found nothing wrong with."""
    data, text = document.data, document.text
    return Job(
        name=text(("name",)) or "",
        source=text(("source",)) or "",
        segments=_texts(document, "segments"),
        suppress=_texts(document, "suppress"),
        connection=text(("connection",)),
        destination=data.get("destination") or {},
        fields=tuple(_field_rule(document, name) for name in data["map"]),
        key=text(("key",)),
        mode=data.get("mode"),
        on_duplicate=_prefer(document),
        on_too_long=data.get("on_too_long") or "reject",
        schedule=text(("schedule",)),
        timezone=text(("timezone",)),
        limits=_limits(document),
        retention=read_retention(document),
        notify=read_notify(document),
        description=text(("description",)) or "",
        document=document,
    )


def check_job(document: Document) -> Iterator[Complaint]:
    """What a schema cannot say about a job: its names work, its key is mapped, it falls due."""
    yield from _check_names(document)
    key = document.text(("key",))
    if key is not None and key not in document.data["map"]:
        yield Complaint(
            f"the key '{key}' is not a field of the map",
            document.locate(("key",)),
            nearest_hint(key, document.data["map"]),
        )
    yield from check_schedule(document)


def _check_names(document: Document) -> Iterator[Complaint]:
    for name in document.data["map"]:
        if reason := unusable(name):
            place = document.locate(("map", name), key=True)
            yield Complaint(f"a field cannot be called '{name}'", place, reason)
    for name, earlier in same_but_for_case(document.data["map"]):
        yield Complaint(
            f"the fields '{earlier}' and '{name}' differ only in upper and lower case",
            document.locate(("map", name), key=True),
            "give one of the two another name",
        )


def _texts(document: Document, key: str) -> tuple[str, ...]:
    items = document.data.get(key) or []
    return tuple(document.text((key, index)) or "" for index in range(len(items)))


def _field_rule(document: Document, name: str) -> FieldRule:
    at = ("map", name)
    entry = document.data["map"][name]
    if not isinstance(entry, dict):
        return FieldRule(name, column=document.text(at))
    return FieldRule(
        field=name,
        column=document.text((*at, "column")),
        value=document.text((*at, "value")),
        sql=document.text((*at, "sql")),
        transform=_transforms(document, (*at, "transform"), entry.get("transform")),
        default=document.text((*at, "default")),
        kind=entry.get("kind"),
        required=entry.get("required"),
        max_length=_whole(entry.get("max_length")),
        on_too_long=entry.get("on_too_long"),
    )


def _transforms(document: Document, at: Steps, entry: Any) -> tuple[Transform, ...]:
    if entry is None:
        return ()
    if not isinstance(entry, list):
        return (_transform(document, at, entry),)
    return tuple(_transform(document, (*at, index), step) for index, step in enumerate(entry))


def _transform(document: Document, at: Steps, entry: Any) -> Transform:
    if isinstance(entry, dict):
        name = next(iter(entry))
        return Transform(name, document.text((*at, name)))
    return Transform(entry)


def _prefer(document: Document) -> Prefer | None:
    entry = document.data.get("on_duplicate")
    if entry is None:
        return None
    column = document.text(("on_duplicate", "prefer")) or ""
    return Prefer(column, entry.get("order", "descending"))


def _limits(document: Document) -> JobLimits:
    entry = document.data.get("limits") or {}
    settle = document.text(("limits", "settle"))
    return JobLimits(
        profiles=_whole(entry.get("profiles")),
        removals=_bound(entry.get("removals")),
        rejections=_bound(entry.get("rejections")),
        settle=parse_duration(settle) if settle else DEFAULT_SETTLE,
    )


def _bound(entry: str | float | None) -> Bound | None:
    if entry is None:
        return None
    if isinstance(entry, str):
        return Bound(share=float(entry.removesuffix("%")) / 100)
    return Bound(count=int(entry))


def _whole(number: float | None) -> int | None:
    """JSON Schema takes 1e6 for a whole number; so do we."""
    return None if number is None else int(number)
