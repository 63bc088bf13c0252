"""Numbers become bars that are right, also where one of them dwarfs all others."""

from __future__ import annotations

import re

import pytest

from exportkit.operations.charts import HEIGHT, WIDTH, bar_chart, scale_of, strip


def heights(path: str) -> list[float]:
    return [float(each) for each in re.findall(r"v([\d.]+)", path)]


def lefts(path: str) -> list[float]:
    return [float(each) for each in re.findall(r"M([\d.]+)", path)]


def test_bars_are_in_proportion_and_nothing_has_no_bar() -> None:
    chart = bar_chart([4, 0, 2, 1])
    assert heights(chart.bars) == [HEIGHT, HEIGHT / 2, HEIGHT / 4]
    assert (chart.scale, chart.cut, chart.line) == (4, "", None)


def test_the_latest_stands_at_the_right_and_none_leaves_the_box() -> None:
    for number in (1, 2, 30, 31, 60, 500):
        left = lefts(bar_chart([1] * number).bars)
        assert left == sorted(left)
        assert len(left) == number
        assert left[0] >= 0
        assert WIDTH - 12 <= left[-1] < WIDTH


def test_something_is_always_seen() -> None:
    assert min(heights(bar_chart([1_000_000, 900_000, 1]).bars)) == 1.5


def test_one_that_dwarfs_all_others_is_cut_off() -> None:
    values = [1_000_000, 120, 80, 100, 110, 90]
    chart = bar_chart(values)
    assert chart.scale == 120
    assert chart.cut.count("M") == 1
    assert heights(chart.bars)[0] == HEIGHT
    assert heights(chart.bars)[3] == pytest.approx(HEIGHT * 100 / 120, abs=0.1)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([], 1),
        ([0, 0], 1),
        ([1000, 1], 1000),
        ([10, 20, 30, 40, 50], 50),
        ([10] * 30 + [1000], 10),
        ([10] * 20 + [1000] * 5, 1000),
    ],
)
def test_scale(values: list[float], scale: float) -> None:
    assert scale_of(values) == scale


def test_a_limit_is_drawn_where_it_is_in_sight() -> None:
    assert bar_chart([60, 80], limit=100).line == 0
    assert bar_chart([60, 80], limit=100).scale == 100
    assert bar_chart([60, 100], limit=50).line == HEIGHT / 2
    far = bar_chart([6, 8], limit=10_000)
    assert (far.line, far.scale) == (None, 8)


def test_a_strip_tells_marks_apart_by_height() -> None:
    paths = strip(["good", "bad", "good"], {"good": 0.5, "bad": 1.0, "idle": 0.2})
    assert heights(paths["good"]) == [HEIGHT / 2] * 2
    assert heights(paths["bad"]) == [HEIGHT]
    assert paths["idle"] == ""
