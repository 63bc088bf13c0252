"""What kind of value an expression yields, as far as that decides how a database has to be told.

Kinds are text, integer, numeric, float, boolean, date, time, timestamp, timestamptz, interval;
`literal` for text in quotes, which takes the type of what it meets; `other` for all else.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlglot import exp

_OF_TYPES = {
    "integer": "TINYINT SMALLINT INT BIGINT",
    "numeric": "DECIMAL",
    "float": "FLOAT DOUBLE",
    "text": "TEXT VARCHAR CHAR",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP TIMESTAMPNTZ",
    "timestamptz": "TIMESTAMPTZ",
    "interval": "INTERVAL",
}
_OF_NODES = {
    "text": "Lower Upper Trim Substring Left Right Replace Concat ConcatWs DPipe",
    "integer": "Length StrPosition Extract Year Quarter Month Week Day Hour Minute DayOfWeek "
    "DayOfMonth DayOfYear DayOfWeekIso WeekOfYear",
    "float": "Div",
    "boolean": "And Or Not Boolean Is In Between Like ILike Escape EQ NEQ GT GTE LT LTE "
    "NullSafeEQ NullSafeNEQ StartsWith EndsWith Contains RegexpLike",
    "date": "CurrentDate Date",
    "timestamptz": "CurrentTimestamp",
    "interval": "Interval",
}
_LIKE_THEIR_PARTS = "Paren Neg Collate Round Floor Ceil Abs Nullif Coalesce Greatest Least Case If"
_NUMBERS = ("float", "numeric", "integer")


def kind_of(node: exp.Expr | None, columns: Mapping[str, str]) -> str:
    """The kind of an expression; `columns` has the kinds of the columns by name."""
    from sqlglot import exp

    if node is None or isinstance(node, exp.Null):
        return "literal"
    if isinstance(node, exp.Column):
        return columns.get(node.name, "other")
    if isinstance(node, exp.Literal):
        return "literal" if node.is_string else "integer" if node.is_int else "numeric"
    if isinstance(node, exp.Cast):
        return kind_of_type(node.to.this.value)
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        return "timestamptz" if kind_of(node.this, columns) == "timestamptz" else "timestamp"
    if type(node).__name__ in _LIKE_THEIR_PARTS.split():
        return _first(kind_of(part, columns) for part in parts(node))
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Mod | exp.IntDiv):
        return _of_arithmetic({kind_of(part, columns) for part in (node.left, node.right)})
    return _nodes().get(type(node).__name__, "other")


def kind_of_type(name: str) -> str:
    """The kind of a type, by sqlglot's name of it."""
    return next((kind for kind, names in _OF_TYPES.items() if name in names.split()), "other")


def parts(node: exp.Expr) -> list[exp.Expr]:
    """The expressions of which a node answers one."""
    from sqlglot import exp

    if isinstance(node, exp.Case):
        return [*(each.args["true"] for each in node.args["ifs"]), *_some(node.args.get("default"))]
    if isinstance(node, exp.If):
        return [node.args["true"], *_some(node.args.get("false"))]
    return [node.this, *node.expressions]


def _some(node: exp.Expr | None) -> list[exp.Expr]:
    return [] if node is None else [node]


def _first(kinds: Iterable[str]) -> str:
    return next((kind for kind in kinds if kind != "literal"), "literal")


def _of_arithmetic(kinds: set[str]) -> str:
    if kinds & {"timestamptz"}:
        return "timestamptz"
    if kinds & {"timestamp"} or {"date", "interval"} <= kinds:
        return "timestamp"
    if "date" in kinds:
        return "date" if "integer" in kinds else "integer"
    return next((kind for kind in _NUMBERS if kind in kinds), "other")


@cache
def _nodes() -> dict[str, str]:
    return {name: kind for kind, names in _OF_NODES.items() for name in names.split()}
