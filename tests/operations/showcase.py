"""Workspaces with a past, for the report: as many jobs and runs as asked for, always the same."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from exportkit.config.workspace import Workspace, open_workspace
from exportkit.records import Counts, Failure, Run
from exportkit.state.folder import open_state
from exportkit.state.house import House

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOW = datetime(2026, 11, 24, 6, 5, tzinfo=UTC)
NAMES = (
    "vip-newsletter", "birthday-cards", "win-back", "store-openings", "loyalty-gold",
    "abandoned-baskets", "product-news", "event-guests", "price-drops", "refer-a-friend",
    "call-list", "postcards", "app-users", "wholesale", "anniversaries",
)  # fmt: skip
REASONS = (
    ("email", "not an e-mail address"),
    ("email", "missing"),
    ("phone", "not a phone number"),
    ("last_name", "longer than 50 characters"),
    ("birthday", "not a date"),
)


@dataclass(frozen=True)
class Showcase:
    """A workspace whose journal can be written to."""

    workspace: Workspace
    house: House

    def remember(self, done: Run, reasons: Sequence[tuple[str, str, int]] = ()) -> None:
        self.house.journal.begin_run(done.run_id, done.job, done.started_at)
        known = [{"column": c, "reason": why, "rows": rows} for c, why, rows in reasons]
        self.house.journal.end_run(done, reasons=known)


def workspace_with(root: Path, jobs: int, *, nasty: str = "", roles: bool = True) -> Workspace:
    """A workspace of that many jobs over two connections."""
    for folder in ("jobs", "connections", "sources"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    people = "roles:\n  admin: [jane, '%data-admins']\n  contributor: [marketing]\n"
    (root / "exportkit.yaml").write_text("version: 1\n" + (people if roles else ""))
    (root / "sources" / "customers.yaml").write_text(
        "version: 1\nname: customers\nfile: people.csv\nkey: id\nsegments: {everyone: {}}\n"
    )
    (root / "connections" / "marketing.yaml").write_text(
        "version: 1\nname: marketing\ntype: csv\nuse: [admin, contributor]\n"
        f"display_name: {_quoted(nasty or 'Newsletters, all brands')}\n"
        "consent: {agreed_by: jane@shop.example, agreed_on: 2026-11-20}\n"
    )
    (root / "connections" / "files.yaml").write_text("version: 1\nname: files\ntype: csv\n")
    for number in range(jobs):
        name = NAMES[number % len(NAMES)] + (f"-{number}" if number >= len(NAMES) else "")
        lines = [
            f"version: 1\nname: {name}\nsource: customers\nsegments: [everyone]",
            f"description: {_quoted(nasty or 'Everybody who asked for it, each morning')}",
            "map: {email: email}",
            "destination: {path: out.csv}",
        ]
        if number % 13 != 12:
            lines.append(f"connection: {'files' if number % 4 == 3 else 'marketing'}")
        if number % 5 != 4:
            lines.append('schedule: "0 6 * * *"')
        (root / "jobs" / f"{name}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return open_workspace(root)


def with_past(
    root: Path, jobs: int, runs: int, *, nasty: str = "", healthy: bool = False
) -> Showcase:
    """That workspace, each job with that many daily runs; not all of them went well."""
    workspace = workspace_with(root, jobs, nasty=nasty)
    found = Showcase(workspace, House(open_state(workspace.root, workspace.state)))
    chance = random.Random(7)
    for number, job in enumerate(workspace.jobs().items):
        if job.connection is None and number % 2:
            continue
        size = chance.choice([400, 5_000, 60_000, 1_200_000])
        for back in range(runs, 0, -1):
            begun = NOW - timedelta(days=back - 1, minutes=5)
            status = _status(chance, number, back, healthy=healthy)
            found.remember(
                *_run(chance, job.name, begun, status, size, first=back == runs, nasty=nasty)
            )
    return found


def _status(chance: random.Random, number: int, back: int, *, healthy: bool) -> str:
    if healthy:
        return "succeeded"
    if back <= 3 and number % 11 == 1:
        return "failed"
    if back == 1 and number % 11 == 5:
        return "blocked"
    return chance.choices(["succeeded", "partial", "failed", "deferred"], [70, 25, 4, 1])[0]


def _run(
    chance: random.Random,
    job: str,
    begun: datetime,
    status: str,
    size: int,
    *,
    first: bool,
    nasty: str,
) -> tuple[Run, list[tuple[str, str, int]]]:
    end = begun + timedelta(seconds=chance.uniform(2, 6) + size / 9_000)
    run_id = f"{begun:%Y%m%dT%H%M%S}-{job}-{chance.randrange(16**6):06x}"
    errors = {
        "failed": Failure(
            "unavailable",
            nasty or "the service did not answer: 503 after 5 attempts",
            "what was delivered is remembered; run the job again",
        ),
        "blocked": Failure(
            "guard",
            f"{size // 5:,} people would be taken out, 20% of those delivered; the limit is 10%",
            f"look at the plan; to allow it once: exportkit run {job} --allow-removals",
        ),
        "deferred": Failure("quota_spent", "the day's calls are used up", "run it tomorrow"),
    }
    if status in errors:
        return Run(run_id, job, status, begun, end, Counts(), errors[status]), []
    lost = int(size * chance.uniform(0.002, 0.012)) if status == "partial" else 0
    added = size - lost if first else int(size * chance.uniform(0.001, 0.01))
    updated = 0 if first else int(size * chance.uniform(0.01, 0.04))
    counts = Counts(
        selected=size,
        rejected=lost,
        unchanged=size - lost - added - updated,
        added=added,
        updated=updated,
        removed=0 if first else int(size * chance.uniform(0, 0.004)),
        sent=added + updated,
    )
    parts = [
        (column, nasty or why, max(1, lost // (n + 2))) for n, (column, why) in enumerate(REASONS)
    ]
    return Run(run_id, job, status, begun, end, counts), parts if lost else []


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
