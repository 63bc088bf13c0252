"""MySQL's and MariaDB's SQL, pinned to what DuckDB understands by the same words.

| words | what is pinned |
| --- | --- |
| `=` `<>` `<` `>` `in` `between` on text | compare bytes: case counts, blanks at the end too |
| `like` | tells cases apart, and has no escape character unless one is declared |
| `starts_with` `ends_with` `contains` | exist, and tell cases apart |
| `/` | divides integers into a fraction; null where it divides by zero |
| text beside a number, `cast` of text | refused: it would be zero where the text is no number |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.engines.databases.dialects import Dialect, as_text
from exportkit.engines.databases.outcomes import kind_of
from exportkit.engines.predicates import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

TITLE = "MySQL"
_NUMBERS = ("integer", "numeric", "float")
_MAKE_FIT = "make a number of it in `query:`"


def dialect() -> Dialect:
    """MySQL and MariaDB: what both understand alike."""
    return Dialect("mysql", TITLE, pin=_pinned)


def _pinned(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    from sqlglot import exp

    compared = exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE
    compared |= exp.Between | exp.In | exp.NullSafeEQ | exp.NullSafeNEQ
    if isinstance(node, compared):
        return _compared(node, kinds)
    if isinstance(node, exp.Like | exp.ILike):
        return _like(node)
    if isinstance(node, exp.Div):
        left = exp.cast(node.this.copy(), "double")
        return exp.Div(this=left, expression=exp.paren(node.expression.copy()), typed=True)
    if isinstance(node, exp.Cast):
        return _cast(node, kinds)
    if isinstance(node, exp.DPipe):
        sides = [as_text(each, kinds, TITLE).copy() for each in (node.this, node.expression)]
        return exp.DPipe(this=sides[0], expression=sides[1])
    if isinstance(node, exp.StartsWith | exp.EndsWith | exp.Contains):
        return _found(node)
    return _refused(node, kinds)


def _refused(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    from sqlglot import exp

    if isinstance(node, exp.Round) and kind_of(node.this, kinds) == "float":
        raise ExpressionError(
            f"{TITLE} rounds floating-point numbers in its own way",
            hint="cast it to decimal(18, 4) first",
        )
    if isinstance(node, exp.Nullif) and kind_of(node.this, kinds) in ("text", "literal"):
        value, other = _sql_of(node.this), _bytes(node.expression)
        return _sql(f"CASE WHEN {_bytes(node.this)} = {other} THEN NULL ELSE {value} END")
    if isinstance(node, exp.Case) and node.this is not None:
        raise ExpressionError(
            f"`case x when` compares in {TITLE}'s own way", hint="write case when x = … then …"
        )
    return None


def _compared(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    made = node.copy()
    sides = [each for each in made.iter_expressions() if each.parent is made]
    found = {kind_of(side, kinds) for side in sides}
    if "text" in found and found & set(_NUMBERS):
        raise ExpressionError("text is compared with a number", hint=_MAKE_FIT)
    if "text" not in found:
        return None
    for side in sides:
        side.replace(_sql(_bytes(side)))
    return made


def _like(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    sides = [_sql_of(each) for each in (node.this, node.expression)]
    if isinstance(node, exp.ILike):
        sides = [f"LOWER({each})" for each in sides]
    value = _sql(f"CONVERT({sides[0]} USING utf8mb4) COLLATE utf8mb4_bin")
    negate = node.args.get("negate")
    like = exp.Like(this=exp.paren(value), expression=_sql(sides[1]), negate=negate)
    if not isinstance(node.parent, exp.Escape):  # ESCAPE '' still means a backslash to MariaDB
        like.set("expression", _sql(f"REPLACE({sides[1]}, '\\\\', '\\\\\\\\')"))
    return like


def _cast(node: exp.Cast, kinds: Mapping[str, str]) -> exp.Expr | None:
    from sqlglot import exp

    target = node.to.this.value
    if target in ("TEXT", "VARCHAR", "CHAR"):
        return exp.cast(as_text(node.this, kinds, TITLE).copy(), "text")
    if kind_of(node.this, kinds) == "text":
        raise ExpressionError(
            f"{TITLE} reads text that does not fit as zero, so it is not cast", hint=_MAKE_FIT
        )
    return None


def _found(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    text, piece = _sql_of(node.this), _sql_of(node.expression)
    if isinstance(node, exp.Contains):
        return exp.paren(_sql(f"LOCATE({_bytes(node.expression)}, {_bytes(node.this)}) > 0"))
    end = "LEFT" if isinstance(node, exp.StartsWith) else "RIGHT"
    cut = f"{end}({text}, CHAR_LENGTH({piece}))"
    return exp.paren(_sql(f"{_bytes(_sql(cut))} = {_bytes(node.expression)}"))


def _bytes(node: exp.Expr) -> str:
    return f"CAST(CONVERT({_sql_of(node)} USING utf8mb4) AS BINARY)"


def _sql(text: str) -> exp.Expr:
    from sqlglot import parse_one

    return parse_one(text, dialect="mysql")


def _sql_of(node: exp.Expr) -> str:
    return str(node.sql("mysql", comments=False, identify=True))
