"""Which runs are an occasion for what, and what is said of them."""

from __future__ import annotations

import pytest

from exportkit.operations.notices import notice_of, occasions_of
from exportkit.records import Failure
from tests.operations.conftest import a_run


@pytest.mark.parametrize(
    ("status", "kind", "before", "occasions"),
    [
        ("succeeded", None, None, {"always"}),
        ("succeeded", None, "partial", {"always"}),
        ("succeeded", None, "failed", {"always", "recovery"}),
        ("partial", None, "blocked", {"always", "recovery"}),
        ("partial", None, "interrupted", {"always", "recovery"}),
        ("failed", "destination", "succeeded", {"always", "failure"}),
        ("failed", None, "failed", {"always", "failure"}),
        ("blocked", "guard", None, {"always", "guard"}),
        ("blocked", "permission", None, {"always", "failure"}),
        ("interrupted", "interrupted", None, {"always", "failure"}),
        ("deferred", "busy", "failed", {"always"}),
    ],
)
def test_occasions(status: str, kind: str | None, before: str | None, occasions: set[str]) -> None:
    assert occasions_of(a_run(status, kind), before) == occasions


def told(run, before: str | None = None):
    return notice_of(run, occasions_of(run, before))


def test_a_failure_says_why_and_what_to_do() -> None:
    notice = told(a_run("failed", "job", selected=1200, unchanged=1000, rejected=200))
    assert notice.title == "exportkit: vip failed"
    assert notice.tone == "failure"
    assert notice.body.splitlines() == [
        "vip failed.",
        "the list is gone",
        "What to do: name another list",
        "Of 1,200 selected: 1,000 unchanged, 200 rejected.",
        "Run 20261124T060000-vip-0a1b2c, 2026-11-24 06:00 UTC, 12.0 s",
        "Who was left out and why: exportkit rejections vip",
    ]


@pytest.mark.parametrize(
    ("status", "kind", "before", "title", "tone"),
    [
        ("blocked", "guard", None, "was stopped by a guard, and nothing was sent", "warning"),
        ("blocked", "permission", None, "was not allowed to run", "failure"),
        ("succeeded", None, "failed", "works again (succeeded)", "success"),
        ("partial", None, None, "succeeded, but some rows were left out", "info"),
        ("deferred", "busy", None, "has to wait", "info"),
    ],
)
def test_titles(status: str, kind: str | None, before: str, title: str, tone: str) -> None:
    notice = told(a_run(status, kind), before)
    assert (notice.title, notice.tone) == (f"exportkit: vip {title}", tone)


def test_what_a_destination_quotes_stays_here() -> None:
    from dataclasses import replace

    said = Failure("destination", "jane@example.com is on hold", "call +30 210 1234567")
    body = told(replace(a_run("failed", "x"), error=said)).body
    assert "[address] is on hold" in body
    assert "jane" not in body
    assert "1234567" not in body
