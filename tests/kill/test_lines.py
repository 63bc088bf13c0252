"""Killed before a line of exportkit's own code, and again on the way back.

EXPORTKIT_KILL_SEED repeats the lines of a failure, EXPORTKIT_KILLS sets how many pairs are tried.
"""

from __future__ import annotations

import os
import random
import secrets
from typing import TYPE_CHECKING

import pytest

from exportkit.testing import Difference

from .conftest import settled, undisturbed, write_people
from .lines import Line, Writing, lines_of_a_run, run_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from exportkit.testing import Runner

    from .conftest import MakeTrial, Trial

SEED = os.environ.get("EXPORTKIT_KILL_SEED") or secrets.token_hex(4)
PAIRS = int(os.environ.get("EXPORTKIT_KILLS", "3"))
FEW = 300
REFUSED = [f"p{person:06d}@example.com" for person in (60, 200, 310)]
"""Of the second generation: one that changed, one that did not, one that is new."""
FOLDED = Line("state/journal.py", "mark_folded")
"""The snapshot is written, the journal does not know yet."""


@pytest.fixture
def subject(trial: MakeTrial) -> Trial:
    return trial("mirror", FEW, begun=True, receipts=True, refuse=REFUSED)


def dies_at(trial: Trial, instant: Line | Writing) -> None:
    ended = run_until(trial.runner, instant)
    assert trial.was_killed(ended), f"{instant} was not met\n{ended.stderr}"


def ends_well(trial: Trial, how: str = "") -> None:
    undisturbed(trial.runner)
    assert trial.difference() == Difference(), how
    settled(trial, how)


def test_between_the_snapshot_and_the_journal(subject: Trial) -> None:
    dies_at(subject, FOLDED)
    ends_well(subject)


def test_when_all_is_done_but_the_runs_end_is_not_written_down(subject: Trial) -> None:
    dies_at(subject, Line("state/journal.py", "end_run"))
    ends_well(subject)


@pytest.mark.parametrize("file", ["delivered-", "refused-"])
def test_while_a_snapshot_is_written_again(subject: Trial, file: str) -> None:
    dies_at(subject, FOLDED)
    dies_at(subject, Writing(file))
    ends_well(subject)


def test_while_refused_rows_are_noted(subject: Trial) -> None:
    dies_at(subject, Writing("/refused/"))
    ends_well(subject)


def test_while_refused_rows_are_noted_again(subject: Trial) -> None:
    dies_at(subject, Line("pipeline/line.py", "close"))
    dies_at(subject, Writing("/refused/"))
    ends_well(subject)


@pytest.fixture(scope="module")
def lines(twins: Callable[..., Runner], tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    """The lines of the second generation's run."""
    folder = tmp_path_factory.mktemp("traced")
    traced = twins("mirror", FEW, 1, True, tuple(REFUSED)).twin(folder / "workspace")
    write_people(traced.workspace, FEW, 1)
    return lines_of_a_run(traced, folder / "lines")


@pytest.mark.parametrize("pair", range(PAIRS))
def test_at_any_line_and_at_any_line_again(subject: Trial, lines: list[Line], pair: int) -> None:
    source = random.Random(f"{SEED}-{pair}")
    how = [f"repeat it with EXPORTKIT_KILL_SEED={SEED}"]
    for _ in range(2):
        line = source.choice(lines)
        line = Line(line.file, line.place, source.choice([1, line.times]))
        subject.was_killed(run_until(subject.runner, line))
        how.append(str(line))
    ends_well(subject, "\n".join(how))
