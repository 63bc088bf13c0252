"""The geometry of the report's charts: numbers in, SVG paths out. No text, no colours."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 300.0, 64.0
WIDEST = 12.0
FEWEST_SLOTS = 30
FAR = 3.0
"""A bar this many times as high as nearly all others is cut off, so that these can be seen."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars from left (the earliest) to right. `scale` is the value of the full height.

    `bars` is one path in a box of WIDTH by HEIGHT; `cut` are the marks on the bars that go beyond,
    `ticks` short lines below the missing ones. `line` is the height of `limit` if it is in sight.
    """

    bars: str
    cut: str
    scale: float
    line: float | None = None


def bar_chart(values: Sequence[float], *, limit: float | None = None) -> Chart:
    """A bar for each value; the last stands at the right edge, however few there are.

    >>> bar_chart([1, 0, 2]).scale
    2
    """
    scale = scale_of(values)
    if limit is not None and 0 < limit <= 2 * scale:
        scale = max(scale, limit)
    bars, cut = [], []
    for left, width, value in _slots(values):
        if value > 0:
            height = max(1.5, HEIGHT * min(value, scale) / scale)
            bars.append(_rectangle(left, HEIGHT - height, width, height))
            if value > scale:
                cut.append(_slash(left, width))
    shown = limit is not None and 0 < limit <= scale
    line = round(HEIGHT - HEIGHT * limit / scale, 1) if shown and limit is not None else None
    return Chart("".join(bars), "".join(cut), scale, line)


def scale_of(values: Sequence[float]) -> float:
    """The value that fills the height: the greatest, but for the few that dwarf all others."""
    high = [value for value in values if value > 0]
    if not high:
        return 1
    greatest = max(high)
    if len(high) < 5:
        return greatest
    usual = quantiles(high, n=10)[-1] if len(high) >= 20 else sorted(high)[-2]
    return greatest if greatest <= FAR * usual else _next_below(high, FAR * usual)


def strip(marks: Sequence[str], heights: dict[str, float]) -> dict[str, str]:
    """A path for each kind of mark: one bar a mark, as high as its kind says (0 to 1)."""
    paths = dict.fromkeys(heights, "")
    for (left, width, _), mark in zip(_slots([0.0] * len(marks)), marks, strict=True):
        height = HEIGHT * heights[mark]
        paths[mark] += _rectangle(left, HEIGHT - height, width, height)
    return paths


def _slots(values: Sequence[float]) -> list[tuple[float, float, float]]:
    """Left edge and width of each bar, with its value; narrow enough that all have room."""
    slot = WIDTH / max(len(values), FEWEST_SLOTS)
    width, start = min(WIDEST, slot * 0.75), WIDTH - slot * len(values)
    return [(start + slot * number, width, value) for number, value in enumerate(values)]


def _rectangle(left: float, top: float, width: float, height: float) -> str:
    return f"M{left:.1f} {top:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"


def _slash(left: float, width: float) -> str:
    """A gap through the upper part of a bar: it goes on beyond."""
    return f"M{left - 1:.1f} 12l{width + 2:.1f} -5v4l-{width + 2:.1f} 5z"


def _next_below(values: Sequence[float], bound: float) -> float:
    return max(value for value in values if value <= bound)
