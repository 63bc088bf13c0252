"""Segments and `sql:` on Spark: the checked tree in Spark's words, where they mean the same.

An expression is written once, as for DuckDB, whatever engine runs it. What the two engines answer
differently is either put into words that they agree on, or refused with what to write instead.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from exportkit.engines.letters import CAPITALS
from exportkit.engines.predicates import ExpressionError, check_expression, check_tree
from exportkit.engines.readers import describe
from exportkit.engines.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

# What both engines understand alike; each is held against DuckDB by the tests.
_SAME = frozenset(
    {
        *(
            "Column",
            "Identifier",
            "Literal",
            "Boolean",
            "Null",
            "Paren",
            "Tuple",
            "DataType",
            "Var",
        ),
        *("And", "Or", "Not", "EQ", "NEQ", "GT", "GTE", "LT", "LTE", "Is", "In", "Between", "Like"),
        *("NullSafeEQ", "NullSafeNEQ", "Add", "Sub", "Mul", "Neg", "DPipe", "Case", "If", "Cast"),
        *("Coalesce", "Nullif", "Lower", "Length", "Replace", "Concat", "StartsWith", "EndsWith"),
        *("Contains", "RegexpLike", "Abs", "CurrentDate", "CurrentTimestamp", "Extract", "Year"),
        *("Month", "Day", "Interval"),
    }
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNITS = ("DAY", "WEEK", "MONTH", "YEAR")

_INSTEAD = {
    "ILike": "lower(column) like '…'",
    "Trim": "the transform `trim` in the job, or compare with like",
    "TryCast": "cast where the source is made, or in `query:`",
    "Div": "multiply instead: a >= 2 * b",
    "Upper": "compare lower(column)",
}
# A pattern's tokens that every dialect reads alike, or that can be spelled so.
_TOKEN = re.compile(
    r"\\(?P<class>[dwsDWS])|\\(?P<escaped>[.^$*+?()\[\]{}|\\/\-@_:;,=<>!#%&'\"~` ])|\\(?P<end>[zA])"
    r"|(?P<group>\(\?:)|(?P<special>\(\?)|(?P<dot>\.)|(?P<dollar>\$)"
    r"|(?P<repeat>(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})\??)|(?P<plain>[^\\])"
)
_SPELLED = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
    "s": r"[\t\n\f\r ]",
    "S": r"[^\t\n\f\r ]",
}


def on_spark(sql: str, columns: Mapping[str, str], *, condition: bool = False) -> str:
    """Check one expression and answer it in Spark's dialect. Raises ExpressionError."""
    from sqlglot import exp

    tree = check_tree(sql, columns, dialect="duckdb")
    for node in tree.walk():
        _check(node)
        if isinstance(node, exp.Interval) and not condition:
            raise ExpressionError("an interval has its place in segments alone, on Spark")
    _as_floats(tree, columns)
    changed = tree.transform(_neutral)
    if not isinstance(changed, exp.Expr):
        raise ExpressionError("this expression cannot be written for Spark")
    text: str = changed.sql(dialect="spark", comments=False, identify=True)
    return text


def _as_floats(tree: exp.Expr, columns: Mapping[str, str]) -> None:
    """Beside a floating-point column 1.5 is one too: not every engine turns a decimal into it."""
    from sqlglot import exp

    for node in [*tree.find_all(exp.Predicate)]:
        if any(columns[c.name] in ("float", "double") for c in node.find_all(exp.Column)):
            for number in [*node.find_all(exp.Literal)]:
                if (
                    number.is_number
                    and not number.is_int
                    and not isinstance(number.parent, exp.Cast)
                ):
                    number.replace(exp.cast(number.copy(), "DOUBLE"))


def _check(node: exp.Expr) -> None:
    from sqlglot import exp

    name = type(node).__name__
    if name not in _SAME:
        what = node.sql_name().lower() if isinstance(node, exp.Func) else name.lower()
        raise ExpressionError(
            f"{what} does not mean the same on Spark as elsewhere, so it is not allowed there",
            hint=_INSTEAD.get(name, "compute it where the source is made, or in `query:`"),
        )
    if isinstance(node, exp.Cast) and not _is_date(node):
        raise ExpressionError(
            "a cast does not mean the same on Spark as elsewhere, but of a date: date '2026-01-31'",
            hint="cast where the source is made, or in `query:`",
        )
    if isinstance(node, exp.Extract) and node.name.upper() not in ("YEAR", "MONTH", "DAY"):
        raise ExpressionError("only year, month and day can be extracted on Spark")
    if isinstance(node, exp.Interval) and str(node.args.get("unit")).upper().rstrip("S") not in (
        _UNITS
    ):
        raise ExpressionError("an interval on Spark is in days, weeks, months or years")
    if isinstance(node, exp.Like) and not _plain_pattern(node.expression):
        raise ExpressionError(
            "a pattern of like is a text without a backslash on Spark",
            hint="use contains(column, '…') or regexp_matches(column, '…')",
        )


def _is_date(cast: exp.Cast) -> bool:
    whole = cast.this.is_string and _DATE.fullmatch(cast.this.name)
    return bool(whole and cast.to.this.value == "DATE")


def _plain_pattern(pattern: exp.Expr) -> bool:
    return bool(pattern.is_string) and "\\" not in pattern.name


def _neutral(node: exp.Expr) -> exp.Expr:
    """The node with what engines read differently spelled out."""
    from sqlglot import exp

    if isinstance(node, exp.RegexpLike):
        if not node.expression.is_string or node.args.get("flag"):
            raise ExpressionError(
                "a pattern is a text, without options, on Spark",
                hint="for any case compare lower(column)",
            )
        node.set("expression", exp.Literal.string(neutral_pattern(node.expression.name)))
    if isinstance(node, exp.Lower) and not node.meta.get("pinned"):
        inner = node.this
        for capital, small in CAPITALS.items():
            inner = exp.Replace(
                this=inner,
                expression=exp.Literal.string(capital),
                replacement=exp.Literal.string(small),
            )
        lowered = exp.Lower(this=inner)
        lowered.meta["pinned"] = True
        return lowered
    return node


def neutral_pattern(pattern: str) -> str:
    """A regular expression that RE2, Java and Rust read alike. Raises ExpressionError.

    Their dialects differ in what a dot, a dollar sign and the classes of letters mean.
    """
    found: list[str] = []
    position, in_class, repeated = 0, False, False
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None or token["special"] or (repeated and token["repeat"]):
            raise _bad_pattern(pattern[position : position + 3])
        position, repeated = token.end(), bool(token["repeat"]) and not in_class
        if in_class:
            in_class = token[0] != "]"
            found.append(_in_a_class(token))
        else:
            in_class = token[0] == "["
            found.append(_spelled(token))
    if in_class:
        raise ExpressionError("a pattern in this expression is not a regular one")
    return "".join(found)


def _spelled(token: re.Match[str]) -> str:
    if token["dot"]:
        return "[^\\n]"
    if token["dollar"]:
        return "\\z"
    return _SPELLED[token["class"]] if token["class"] else token[0]


def _in_a_class(token: re.Match[str]) -> str:
    if token[0] in ("[", "&", "~") or token["class"] in ("D", "W", "S") or token["end"]:
        raise _bad_pattern(token[0])
    return _SPELLED[token["class"]][1:-1] if token["class"] else token[0]


def _bad_pattern(text: str) -> ExpressionError:
    return ExpressionError(
        f"{text} in a pattern does not mean the same on Spark as elsewhere",
        hint=r"use characters, [classes], groups, \d \w \s, and lower(column) for any case",
    )


def quoted(name: str) -> str:
    """A name as Spark's SQL has it."""
    return "`" + name.replace("`", "``") + "`"


def text_of(name: str, kind: str) -> str | None:
    """A column as the text to send, the same as on DuckDB; None where engines write it differently.

    `kind` is the column's type in Spark's word.
    """
    column = quoted(name)
    if kind == "string" or kind.startswith(("varchar", "char")):
        return column
    if kind.startswith("string collate"):
        return f"CAST(({column} COLLATE UTF8_BINARY) AS STRING)"
    if kind in _PLAIN or kind.startswith("decimal"):
        return f"CAST({column} AS STRING)"
    if kind == "timestamp":
        return f"concat(CAST({column} AS STRING), '+00')"
    return None


def why_no_text(kind: str) -> str:
    """Why a column of this type is not mapped on Spark."""
    if kind in ("float", "double"):
        return "floating-point numbers, whose digits are written differently by different engines"
    if kind.startswith(("array", "map", "struct", "variant")):
        return f"nested values ({kind.split('<')[0]})"
    if kind == "binary":
        return "bytes"
    return f"values of type {kind.split('<')[0]}"


_DUCK = {
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
    "binary": "BLOB",
}
_PLAIN = ("tinyint", "smallint", "int", "bigint", "boolean", "date", "timestamp_ntz")


def duck_type(kind: str) -> str:
    """DuckDB's word for a type of Spark's; nested ones are text, which no comparison fits."""
    return kind.upper() if kind.startswith("decimal") else _DUCK.get(kind, "VARCHAR")


def misfit(sql: str, columns: Mapping[str, str], *, condition: bool) -> str | None:
    """How an expression does not fit the types of the columns, as DuckDB would bind it; or None."""
    import duckdb

    made = check_expression(sql, columns)
    typed = [f"CAST(NULL AS {duck_type(kind)}) AS {identifier(n)}" for n, kind in columns.items()]
    with closing(duckdb.connect()) as connection:
        connection.execute("SET enable_external_access = false")
        try:
            rows = f"(SELECT {', '.join(typed)})"
            found = describe(connection, f"(SELECT ({made}) AS it FROM {rows})")  # noqa: S608
        except duckdb.Error:
            return "the types of the columns do not fit this expression"
    kind = found["it"]
    if condition and kind != "BOOLEAN":
        return f"this is {'text' if kind == 'VARCHAR' else kind.lower()}, not true or false"
    return None
