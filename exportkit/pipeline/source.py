"""Stage 1: which rows and columns of the source a job needs, as one lazy frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from exportkit.config.names import nearest_hint
from exportkit.engines.frames import PREFER, SOURCE_KEY, SUPPRESSED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import narwhals as nw

    from exportkit.config.job import Job
    from exportkit.config.source import Source
from exportkit.errors import Complaint, Location


class Selectable(Protocol):
    """An opened source, as far as this stage needs it."""

    @property
    def names(self) -> Sequence[str]:
        """The column names in order."""

    def check(self, sql: str, at: Location) -> list[Complaint]:
        """What is wrong with an SQL expression over the source's columns."""

    def select(
        self,
        *,
        texts: Mapping[str, str],
        expressions: Mapping[str, str],
        values: Mapping[str, str],
        segments: Sequence[str],
        flags: Mapping[str, Sequence[str]],
    ) -> nw.LazyFrame[Any]:
        """The rows of the segments, with the asked-for columns under their aliases."""


def read_profiles(job: Job, source: Source, opened: Selectable) -> nw.LazyFrame[Any]:
    """The profiles of the job's segments, each once, as text under the names of its fields.

    Beside the fields it carries the source's key, the column that decides between duplicates, and
    whether the job's `suppress:` names the person. Suppressed people are selected too, so that
    the counts can say how many there were.
    """
    texts = {rule.field: rule.column for rule in job.fields if rule.column is not None}
    expressions = {rule.field: rule.sql for rule in job.fields if rule.sql is not None}
    return opened.select(
        texts={**texts, SOURCE_KEY: source.key},
        expressions=expressions,
        values={PREFER: job.on_duplicate.column} if job.on_duplicate else {},
        segments=job.segments,
        flags={SUPPRESSED: job.suppress} if job.suppress else {},
    )


def column_complaints(job: Job, opened: Selectable) -> list[Complaint]:
    """Where the job names a column that the source does not have, or SQL that cannot work."""
    known = {name.lower() for name in opened.names}
    asked = [
        (
            ("map", rule.field, "column") if _is_object(job, rule.field) else ("map", rule.field),
            rule.column,
        )
        for rule in job.fields
        if rule.column is not None
    ]
    if job.on_duplicate is not None:
        asked.append((("on_duplicate", "prefer"), job.on_duplicate.column))
    complaints = [
        Complaint(
            f"source '{job.source}' has no column '{column}'",
            job.document.locate(path),
            nearest_hint(column, list(opened.names)),
        )
        for path, column in asked
        if column.lower() not in known
    ]
    for rule in job.fields:
        if rule.sql is not None:
            complaints += opened.check(rule.sql, job.document.locate(("map", rule.field, "sql")))
    return complaints


def _is_object(job: Job, field: str) -> bool:
    return isinstance(job.document.data["map"][field], dict)
