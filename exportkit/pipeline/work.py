"""A run's surroundings: who looks on, what was ordered, what is open, and a plan to look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from exportkit.errors import InterruptedRun
from exportkit.pipeline.handover import Allowed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exportkit.engines.databases.source import OpenDatabase
    from exportkit.engines.desk import Desk
    from exportkit.engines.frames import Engine
    from exportkit.engines.sources import OpenSource
    from exportkit.engines.spark.source import OpenSparkSource
    from exportkit.pipeline.handover import Mapping, Plan
    from exportkit.pipeline.prepare import Prepared
    from exportkit.records import Target
    from exportkit.state.house import House


class Watch(Protocol):
    """Who looks on: told of each stage, and of rows on their way."""

    def stage(self, name: str, detail: str = "") -> None: ...
    def sending(self, rows: int) -> None: ...
    def sent(self, rows: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Orders:
    """How this run differs from what the job says, and how it hears that it shall stop."""

    full: bool = False
    retry_refused: bool = False
    plan_id: str | None = None
    offline: bool = False
    planning: bool = False
    allowed: Allowed = field(default_factory=Allowed)
    stopped: Callable[[], bool] = lambda: False

    def obey(self) -> None:
        """Raise InterruptedRun if the run was asked to stop; to be called while no call is out."""
        if self.stopped():
            raise InterruptedRun(
                "the run was asked to stop before it sent anything", hint="run the job again"
            )


@dataclass(frozen=True, slots=True)
class Work:
    """A run in the middle: the source and the session open, the target known."""

    prepared: Prepared
    house: House
    orders: Orders
    watch: Watch
    run_id: str
    opened: OpenSource | OpenDatabase | OpenSparkSource
    engine: Engine
    desk: Desk
    session: Any
    target: Target
    mapping: Mapping
    place: Path

    @property
    def keeper(self) -> Engine:
        """The engine that has what was delivered before, and compares with it."""
        return self.engine if self.engine.keeps else self.desk

    @property
    def key(self) -> str:
        """The mapped field that tells people apart; empty for the source's own key."""
        return self.mapping.key or ""

    @property
    def whole(self) -> bool:
        """Whether the destination is replaced as one, so that nothing shows before `finish`."""
        return self.prepared.description.whole

    @property
    def folder(self) -> Path:
        """The folder of this run."""
        return self.house.state.run(self.run_id)


@dataclass(frozen=True, slots=True)
class Calls:
    """How many calls a plan takes, about, and how many are left today; None where nobody counts."""

    needed: int | None = None
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan to look at. `sample` holds personal data: the first changes, column by column."""

    job: str
    target: str
    plan: Plan
    sample: list[dict[str, Any]]
    calls: Calls = Calls()

    @property
    def plan_id(self) -> str:
        """The name by which `run --plan-id` applies it."""
        return self.plan.folder.name

    def as_dict(self) -> dict[str, Any]:
        """The plan as `plan --json` shows it, without the sample."""
        return {
            "plan_id": self.plan_id,
            "job": self.job,
            "mode": self.plan.mode,
            "target": self.target,
            "counts": self.plan.counts.as_dict(),
            "changed_columns": dict(self.plan.changed_columns),
            "notes": list(self.plan.notes),
            "reasons": [asdict(reason) for reason in self.plan.reasons],
            "calls": asdict(self.calls),
        }
