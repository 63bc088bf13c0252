"""Between plan and push: limits that stop a run before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exportkit.errors import GuardError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit.config.job import Bound, Job
    from exportkit.config.source import Source
    from exportkit.pipeline.handover import Allowed
    from exportkit.records import Counts, Limits


def check_guards(
    counts: Counts, delivered_before: int, job: Job, limits: Limits, allowed: Allowed
) -> None:
    """Return if the plan stays within its limits. Raises GuardError with all that it exceeds.

    `delivered_before` is the size of the snapshot, of which removals are a share.
    """
    tripped = list(_tripped(counts, delivered_before, job, limits, allowed))
    if tripped:
        raise GuardError(
            "; ".join(message for message, _ in tripped),
            hint="; ".join(hint for _, hint in tripped) + ". Nothing was sent",
        )


def check_freshness(source: Source, modified_at: datetime | None) -> None:
    """Return if the source's data is as fresh as its file demands. Raises GuardError if not.

    `modified_at` is None where nothing says when they were written.
    """
    if source.fresh_within is None:
        return
    if modified_at is None:
        raise GuardError(
            f"nothing says when the data of source '{source.name}' was written, "
            f"and it may be no older than {source.fresh_within}",
            hint="have its server send Last-Modified, or take `fresh_within:` out of the source",
            location=source.document.locate(("fresh_within",)),
        )
    if datetime.now(UTC) - modified_at > source.fresh_within:
        raise GuardError(
            f"the data of source '{source.name}' is older than {source.fresh_within}: it was last "
            f"written {modified_at.astimezone():%Y-%m-%d %H:%M}",
            hint="look at what writes it; `fresh_within:` in the source says how old it may be",
            location=source.document.locate(("fresh_within",)),
        )


def _tripped(
    counts: Counts, delivered_before: int, job: Job, limits: Limits, allowed: Allowed
) -> Iterator[tuple[str, str]]:
    if counts.selected == 0 and not allowed.empty:
        yield (
            f"source '{job.source}' has no profiles in the job's segments",
            "look at the source; --allow-empty lets this one run go on",
        )
    bounds = [n for n in (job.limits.profiles, limits.profiles) if n is not None]
    if bounds and counts.selected > min(bounds):
        yield (
            f"{counts.selected:,} profiles are more than the limit of {min(bounds):,}",
            "take a smaller segment"
            if limits.profiles is not None and limits.profiles < counts.selected
            else "take a smaller segment, or raise `limits.profiles` in the job",
        )
    if _exceeds(counts.rejected, counts.selected, job.limits.rejections) and not allowed.rejections:
        yield (
            f"{_share(counts.rejected, counts.selected)} rejected, "
            f"the limit is {_shown(job.limits.rejections)}",
            f"see them with `exportkit rejections {job.name}`; "
            "--allow-rejections lets this one run go on",
        )
    if _exceeds(counts.removed, delivered_before, job.limits.removals) and not allowed.removals:
        yield (
            f"{_share(counts.removed, delivered_before)} would be removed, "
            f"the limit is {_shown(job.limits.removals)}",
            f"look with `exportkit plan {job.name}`; --allow-removals lets this one run go on",
        )


def _exceeds(rows: int, of: int, bound: Bound | None) -> bool:
    if bound is None:
        return False
    if bound.count is not None:
        return rows > bound.count
    # Rounded, since 0.29 * 100 is a little less than 29.
    return bound.share is not None and rows > round(bound.share * of, 6)


def _share(rows: int, of: int) -> str:
    return f"{rows:,} of {of:,} ({rows / of:.1%})" if of else f"{rows:,}"


def _shown(bound: Bound | None) -> str:
    if bound is None:
        return "none"
    return f"{bound.count:,}" if bound.count is not None else f"{(bound.share or 0) * 100:.4g}%"
