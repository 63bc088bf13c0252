"""A destination that misbehaves but kills nothing: the run ends honestly, the next one mends it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.cli import main
from exportkit.testing import Difference

from .conftest import settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import MakeTrial, Trial

    Run = Callable[[Trial], tuple[int, dict[str, Any]]]

FEW = 300
UPDATE = 5
"""The push of the second generation that updates; number 4 adds."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the trial's job in this process: the exit code, and the run as JSON tells it."""

    def running(trial: Trial) -> tuple[int, dict[str, Any]]:
        monkeypatch.syspath_prepend(str(trial.runner.site))
        monkeypatch.delitem(sys.modules, "exportkit_faulty", raising=False)
        with pytest.raises(SystemExit) as ended:
            main(["--workspace", str(trial.runner.workspace), "run", "letter", "--json"])
        return int(ended.value.code or 0), json.loads(capsys.readouterr().out)["runs"][0]

    return running


MENDED_AT_ONCE = {
    "throttled": {"do": "raise_before", "error": "throttled", "retry_after": 0.01, "times": 3},
    "unavailable": {"do": "raise_before", "error": "unavailable"},
    "cut before": {"do": "raise_before", "error": "outcome_unknown"},
    "cut after": {"do": "raise_after", "error": "outcome_unknown"},
}


@pytest.mark.parametrize("fault", MENDED_AT_ONCE)
@pytest.mark.parametrize(("hook", "call"), [("push", UPDATE), ("remove", 1)])
def test_what_passes_is_mended_by_the_same_run(
    trial: MakeTrial, run: Run, fault: str, hook: str, call: int
) -> None:
    subject = trial("mirror", FEW, begun=True)
    subject.arm({"hook": hook, "call": call, **MENDED_AT_ONCE[fault]})
    code, done = run(subject)
    assert (code, done["status"]) == (0, "succeeded"), done
    assert done["counts"]["removed"] == 45
    assert subject.difference() == Difference()
    settled(subject)


FAILING: dict[str, tuple[dict[str, Any], int, str]] = {
    "no access": ({"do": "raise_before", "error": "access_denied"}, 4, "access_denied"),
    "quota spent": ({"do": "raise_before", "error": "quota_spent"}, 75, "quota_spent"),
    "an error": ({"do": "raise_before", "error": "destination"}, 1, "destination"),
    "a defect before": ({"do": "raise_before", "error": "ValueError"}, 2, "plugin"),
    "a defect after": ({"do": "raise_after", "error": "KeyError"}, 2, "plugin"),
    "an exit": ({"do": "raise_after", "error": "SystemExit"}, 2, "plugin"),
    "no answer": ({"do": "none"}, 2, "plugin"),
    "a wrong answer": ({"do": "wrong_answer"}, 2, "plugin"),
    "a stranger": ({"do": "extra_keys"}, 2, "plugin"),
    "a lost key": ({"do": "missing_keys"}, 2, "plugin"),
}


@pytest.mark.parametrize("fault", FAILING)
@pytest.mark.parametrize(
    ("hook", "call", "receipts"), [("push", UPDATE, True), ("remove", 1, False)]
)
def test_what_does_not_pass_fails_the_run_and_the_next_one_mends_it(
    trial: MakeTrial, run: Run, fault: str, hook: str, call: int, receipts: bool
) -> None:
    subject = trial("mirror", FEW, begun=True, receipts=receipts)
    rule, exit_code, kind = FAILING[fault]
    subject.arm({"hook": hook, "call": call, **rule})
    code, done = run(subject)
    assert (code, done["error"]["kind"]) == (exit_code, kind), done
    assert "@" not in json.dumps(done), "nobody is named"
    code, done = run(subject)
    assert (code, done["status"]) == (0, "succeeded"), done
    assert subject.difference() == Difference()
    settled(subject)


def test_half_a_batch_is_at_most_sent_again(trial: MakeTrial, run: Run) -> None:
    subject = trial("mirror", FEW, begun=True)
    rule = {"hook": "push", "call": UPDATE, "do": "half_then_raise", "error": "outcome_unknown"}
    subject.arm(rule)
    code, done = run(subject)
    assert code == 0, done
    difference = subject.difference()
    assert (difference.lost, difference.members) == ((), ())
    assert len(difference.doubled) == 37, "half of the 75 people who changed"
    settled(subject)


@pytest.mark.parametrize("call", [2, 3], ids=["additions", "removals"])
def test_a_failed_import_is_planned_again(trial: MakeTrial, run: Run, call: int) -> None:
    subject = trial("mirror", FEW, begun=True, receipts=True)
    subject.arm({"hook": "settle", "do": "say_failed", "call": call})
    code, done = run(subject)
    assert (code, done["status"]) == (1, "failed")
    assert done["counts"]["unsettled"] == (120 if call == 2 else 0)
    code, done = run(subject)
    assert code == 0, done
    assert subject.difference() == Difference()
    settled(subject)
