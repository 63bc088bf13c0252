"""SQL that users write: one expression over the source's columns, and nothing else.

An expression is parsed, every node of the tree has to be on the allow-list, every column has to
exist, and what runs is the SQL generated from the checked tree, never the text that was written.
This is the first of two walls; the second is the jail in `sources`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlglot import exp


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


# sqlglot's classes by name, so that this module loads without it.
_NODES = words("""
    Column Identifier Literal Boolean Null Paren Tuple Var DataType DataTypeParam Interval
    And Or Not EQ NEQ GT GTE LT LTE Is In Between Like ILike Escape NullSafeEQ NullSafeNEQ
    Add Sub Mul Div IntDiv Mod Neg DPipe Case If Cast TryCast Coalesce Nullif
    Lower Upper Trim Length Substring Left Right Replace Concat ConcatWs Pad Reverse
    RegexpLike RegexpReplace RegexpExtract StartsWith EndsWith Contains StrPosition SplitPart
    Round Floor Ceil Abs Greatest Least Sign Sqrt Pow Ln Log Trunc
    CurrentDate CurrentTimestamp Localtimestamp DateTrunc TimestampTrunc DateDiff DateAdd DateSub
    TsOrDsAdd Extract Year Quarter Month Week Day Hour Minute Second DayOfWeek DayOfMonth DayOfYear
    DayOfWeekIso WeekOfYear Monthname Dayname RegexpFullMatch
    LastDay TimeToStr StrToTime StrToDate AtTimeZone Date TimeToUnix DateFromParts
    JSONExtract JSONExtractScalar JSONPath JSONPathRoot JSONPathKey JSONPathSubscript
""")

# Functions that sqlglot knows by name only.
_FUNCTIONS = words("""
    now age try_strptime strptime hour minute second weekday date_part datepart date_add date_sub
    datesub strip_accents isnan isfinite prefix suffix
""")

_TYPES = words("""
    BOOLEAN TINYINT SMALLINT INT BIGINT INT128 UTINYINT USMALLINT UINT UBIGINT FLOAT DOUBLE
    DECIMAL TEXT VARCHAR CHAR DATE TIME TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ INTERVAL UUID
""")


_LONGEST_PAD = 1000


class ExpressionError(Exception):
    """An expression is refused: `message` why, `hint` what to do, `known` the valid names.

    `offset` is how many characters into the expression the trouble starts, where that is known;
    `name` is the wrong name, where it is one.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        known: Collection[str] = (),
        name: str | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.known = tuple(known)
        self.name = name
        self.offset = offset


def check_expression(sql: str, columns: Collection[str], *, dialect: str = "duckdb") -> str:
    """Check one expression and answer the SQL to run for it.

    `columns` are the real ones; names are matched without regard to case and come out quoted, as
    the source spells them. Raises ExpressionError.
    """
    return check_tree(sql, columns, dialect=dialect).sql(
        dialect=dialect, comments=False, identify=True
    )


def columns_of(sql: str, columns: Collection[str], *, dialect: str = "duckdb") -> set[str]:
    """The columns that a checked expression reads. Raises ExpressionError."""
    from sqlglot import exp

    tree = check_tree(sql, columns, dialect=dialect)
    return {node.name for node in tree.find_all(exp.Column)}


def conjuncts_over(sql: str, columns: Collection[str], some: Collection[str]) -> list[str]:
    """Those parts of a condition, joined by AND, that read nothing but `some` of the columns.

    A part that asks for the time is left out: it may say something else a moment later.
    """
    from sqlglot import exp

    tree = check_tree(sql, columns, dialect="duckdb").unnest()
    found = []
    for part in tree.flatten() if isinstance(tree, exp.And) else [tree]:
        read = {node.name for node in part.find_all(exp.Column)}
        if read and read <= set(some) and not any(map(_asks_the_time, part.walk())):
            found.append(part.sql(dialect="duckdb", comments=False, identify=True))
    return found


def _asks_the_time(node: exp.Expr) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.CurrentDate | exp.CurrentTimestamp | exp.Localtimestamp):
        return True
    return isinstance(node, exp.Anonymous) and node.name.lower() in ("now", "age")


def check_tree(sql: str, columns: Collection[str] | None, *, dialect: str) -> exp.Expr:
    """The checked tree of one expression, its columns spelled as the source does.

    Without `columns`, because nobody has asked the database yet, any name will do.
    """
    from sqlglot import exp

    tree = _parse(sql, dialect)
    real = {name.lower(): name for name in columns or ()}
    for node in tree.walk():
        _check_node(node, sql)
        if isinstance(node, exp.Column) and columns is not None:
            name = real.get(node.name.lower())
            if name is None:
                raise ExpressionError(
                    f"there is no column {node.name!r}",
                    known=columns,
                    name=node.name,
                    offset=offset_of(node),
                )
            node.set("this", exp.to_identifier(name, quoted=True))
    return tree


def _parse(sql: str, dialect: str) -> exp.Expr:
    from sqlglot import Dialect, exp
    from sqlglot.errors import ParseError, TokenError

    if not sql.strip():
        raise ExpressionError("the expression is empty", hint="leave it out to take every row")
    try:
        engine = Dialect.get_or_raise(dialect)
        tokens = engine.tokenize(sql)
        if any(token.comments for token in tokens):
            raise ExpressionError("comments have no place in an expression", hint="use YAML's: # …")
        trees = engine.parser().parse_into(exp.Condition, tokens, sql)
    except TokenError as error:
        raise ExpressionError(
            "the expression cannot be read", hint="is a quote left open? Text stands in '…'"
        ) from error
    except ParseError as error:
        raise _syntax_error(sql, error.errors[0] if error.errors else {}) from error
    except RecursionError as error:
        raise ExpressionError("the expression is nested too deeply") from error
    if len(trees) != 1 or trees[0] is None:
        raise ExpressionError("more than one expression stands here", hint="join them with AND")
    return trees[0]


def _syntax_error(sql: str, found: dict[str, object]) -> ExpressionError:
    near = str(found.get("highlight") or "")
    lines = sql.splitlines(keepends=True)
    line, column = int(str(found.get("line") or 1)), int(str(found.get("col") or 1))
    end = sum(map(len, lines[: line - 1])) + column
    where = f" near {near!r}" if near and len(near) < 30 and "'" not in near else ""
    return ExpressionError(
        f"this is not one SQL expression{where}",
        hint="for example: lifetime_value >= 1000 and country in ('GR', 'CY')",
        offset=max(0, end - len(near)),
    )


@cache
def _allowed_nodes() -> frozenset[type]:
    from sqlglot import exp

    return frozenset(getattr(exp, name) for name in _NODES if hasattr(exp, name))


def _check_node(node: exp.Expr, sql: str) -> None:
    from sqlglot import exp

    if isinstance(node, exp.Query | exp.Subquery):
        raise ExpressionError("a query inside an expression is not allowed", offset=offset_of(node))
    if isinstance(node, exp.Anonymous):
        if node.name.lower() not in _FUNCTIONS:
            raise _not_on_the_list(node, sql)
    elif type(node) not in _allowed_nodes():
        raise _not_on_the_list(node, sql)
    if isinstance(node, exp.RegexpLike) and "start" not in node.meta:
        # The engine's `~` matches the whole text; its translation would match any part.
        raise ExpressionError("the operator ~ is not allowed", hint="use regexp_matches(text, '…')")
    if isinstance(node, exp.Pad) and not _is_short(node.expression):
        # The engine would build two thousand million blanks, beyond its own memory limit.
        raise ExpressionError(f"padding takes a plain number up to {_LONGEST_PAD}")
    if isinstance(node, exp.Column) and len(node.parts) > 1:
        raise ExpressionError("columns are named without a table", offset=offset_of(node))
    if isinstance(node, exp.DataType) and node.this.value not in _TYPES:
        raise ExpressionError(f"the type {node.this.value} is not allowed in an expression")


def _is_short(length: exp.Expr) -> bool:
    return length.is_int and int(length.name) <= _LONGEST_PAD


def _not_on_the_list(node: exp.Expr, sql: str) -> ExpressionError:
    from sqlglot import exp

    offset = offset_of(node)
    if isinstance(node, exp.AggFunc | exp.Window):
        return ExpressionError(
            "an expression sees one row at a time: no counts, sums or windows",
            hint="compute it where the source is made",
            offset=offset,
        )
    if isinstance(node, exp.Func):
        written = sql[node.meta["start"] : node.meta["end"] + 1] if "end" in node.meta else ""
        return ExpressionError(
            f"the function {written or node.sql_name()} is not allowed in an expression".lower(),
            hint="comparisons, and functions of text, numbers and dates, are",
            offset=offset,
        )
    what = type(node).__name__.lower()
    return ExpressionError(f"{what} is not allowed in an expression", offset=offset)


def offset_of(node: exp.Expr) -> int | None:
    """Where the node starts in the text, as far as the parser remembers."""
    starts = [int(part.meta["start"]) for part in node.walk() if "start" in part.meta]
    return min(starts, default=None)
