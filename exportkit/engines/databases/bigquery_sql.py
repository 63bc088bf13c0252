"""BigQuery's SQL, pinned to what DuckDB understands by the same words.

| words | what is pinned |
| --- | --- |
| `like` | has no escape character unless one is declared: BigQuery's is a backslash, always |
| `contains` | tells cases apart, which CONTAINS_SUBSTR does not |
| `trim` | takes blanks away, and no other white space |
| `cast` as `decimal` | rounds to its digits: BigQuery's NUMERIC has nine after the point |
| a `timestamptz` beside a `timestamp` | takes that for UTC: BigQuery compares no two kinds |
| a `timestamptz` and months | goes by the calendar in UTC: BigQuery adds no months to a TIMESTAMP |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exportkit.engines.databases.dialects import Dialect
from exportkit.engines.databases.outcomes import kind_of
from exportkit.engines.predicates import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

TITLE = "BigQuery"
_LONG = ("MONTH", "QUARTER", "YEAR")
# NUMERIC's digits before and after the point; BIGNUMERIC has more.
_BEFORE, _AFTER = 29, 9


def dialect() -> Dialect:
    """BigQuery as its documentation has it."""
    return Dialect("bigquery", TITLE, pin=_pinned)


def _pinned(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    from sqlglot import exp

    if isinstance(node, exp.Escape):
        return _like(node.this, node.expression)
    if isinstance(node, exp.Like | exp.ILike) and not isinstance(node.parent, exp.Escape):
        return _like(node, None)
    if isinstance(node, exp.Contains):
        found = exp.Anonymous(this="STRPOS", expressions=[node.this, node.expression])
        return exp.paren(exp.GT(this=found.copy(), expression=exp.Literal.number(0)))
    if isinstance(node, exp.Trim) and node.expression is None:
        made = node.copy()
        made.set("expression", exp.Literal.string(" "))
        return made
    if isinstance(node, exp.Interval) and node.this.is_string:
        # Its documentation has a number there, and text in quotes for several parts alone.
        return exp.Interval(this=exp.Literal.number(node.this.name), unit=node.args["unit"].copy())
    if isinstance(node, exp.Cast) and node.to.is_type("decimal") and node.to.expressions:
        return _decimal(node)
    compared = exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE
    compared |= exp.Between | exp.In | exp.NullSafeEQ | exp.NullSafeNEQ
    return _moments(node, kinds) if isinstance(node, compared) else _months(node, kinds)


def _like(node: exp.Expr, escape: exp.Expr | None) -> exp.Expr | None:
    """None where LIKE means the same there: no backslash is in the pattern, nothing is declared."""
    from sqlglot import exp

    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
        raise ExpressionError(f"for {TITLE} the pattern of `like` is a text in quotes")
    if escape is None and "\\" not in pattern.name:
        return None
    fold = exp.Lower if isinstance(node, exp.ILike) else lambda this: this
    said = exp.Literal.string(_regular(pattern.name, escape.name if escape is not None else ""))
    sides = [fold(this=node.this.copy()), fold(this=said)]
    made: exp.Expr = exp.Anonymous(this="REGEXP_CONTAINS", expressions=sides)
    return exp.Not(this=made) if node.args.get("negate") else made


def _regular(pattern: str, escape: str) -> str:
    """The same as a regular expression, which both read as RE2 does."""
    made, letters = [], iter(pattern)
    for letter in letters:
        if letter == escape:
            made.append(_literal(next(letters, "")))
        else:
            made.append({"%": ".*", "_": "."}.get(letter) or _literal(letter))
    return f"(?s)^{''.join(made)}$"


def _literal(letter: str) -> str:
    return re.sub(r"[.*+?^$|()\[\]{}\\]", r"\\\g<0>", letter)


def _decimal(node: exp.Cast) -> exp.Expr:
    from sqlglot import exp

    digits, *after = (int(each.name) for each in node.to.expressions)
    scale = after[0] if after else 0
    is_small = scale <= _AFTER and digits - scale <= _BEFORE
    kind = exp.DataType.build("numeric" if is_small else "bignumeric", dialect="bigquery")
    return exp.Round(
        this=exp.cast(node.this.copy(), kind, copy=False), decimals=exp.Literal.number(scale)
    )


def _moments(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    from sqlglot import exp

    made = node.copy()
    sides = [each for each in made.iter_expressions() if each.parent is made]
    found = [kind_of(side, kinds) for side in sides]
    if "timestamptz" not in found:
        return None
    for side, kind in zip(sides, found, strict=True):
        if kind in ("timestamp", "date"):
            moment = exp.DataType.build("timestamp", dialect="bigquery")
            side.replace(exp.cast(side.copy(), moment))
    return made


def _months(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    from sqlglot import exp

    if not isinstance(node, exp.Add | exp.Sub) or not isinstance(node.expression, exp.Interval):
        return None
    unit = node.expression.args.get("unit")
    if unit is None or unit.name.upper().rstrip("S") not in _LONG:
        return None
    if kind_of(node.this, kinds) != "timestamptz":
        return None
    civil = exp.DataType.build("datetime", dialect="bigquery")
    moment = exp.DataType.build("timestamp", dialect="bigquery")
    made = node.copy()
    made.set("this", exp.cast(node.this.copy(), civil))
    return exp.cast(made, moment)
