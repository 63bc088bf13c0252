"""The power goes: what a run had written and not synced is lost together with its process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exportkit.testing import Difference

from .conftest import settled, undisturbed
from .lines import Line, run_until
from .power import cut, watching

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import MakeTrial, Trial

FEW = 300
INSTANTS = [
    Line("pipeline/push.py", "_handed_over"),
    Line("pipeline/line.py", "accept"),
    Line("pipeline/line.py", "accept", 2),
    Line("pipeline/settle.py", "settle"),
    Line("pipeline/delivery.py", "_remember"),
    Line("state/snapshots.py", "_publish"),
    Line("state/journal.py", "mark_folded"),
    Line("state/journal.py", "end_run"),
]
"""Where something has just become true that the next run relies on."""


def power_goes(trial: Trial, instant: Line, log: Path) -> list[str]:
    """Run until the instant; then the power goes. Answers the paths that lost something."""
    first = watching(trial.runner.workspace / ".exportkit", log)
    ended = run_until(trial.runner, instant, first)
    assert trial.was_killed(ended), f"{instant} was not met\n{ended.stderr}"
    return cut(log)


@pytest.mark.parametrize("begun", [False, True], ids=["first run", "second"])
@pytest.mark.parametrize("instant", INSTANTS, ids=str)
def test_what_counts_is_on_the_disk(
    trial: MakeTrial, tmp_path: Path, instant: Line, begun: bool
) -> None:
    subject = trial("mirror", FEW, begun=begun, receipts=True)
    if not begun:
        subject.people(0)
    lost = power_goes(subject, instant, tmp_path / "power")
    undisturbed(subject.runner)
    if not begun:
        subject.people(1)
        undisturbed(subject.runner)
    assert subject.difference() == Difference(), lost
    settled(subject, str(lost))
