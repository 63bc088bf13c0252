"""PostgreSQL's SQL, pinned to what DuckDB understands by the same words.

| words | what is pinned |
| --- | --- |
| `<` `>` `between` `greatest` `least` on text | compare bytes, whatever the database's collation |
| `lower` `upper` `ilike` | Unicode, even in a database whose locale is C |
| `like` | has no escape character unless one is declared |
| `/` | divides integers into a fraction |
| `round` of floats | half away from zero |
| `try_cast` | asks first whether the text can be read; null where it cannot |
| `concat`, `||` | booleans are true and false, not t and f |
| `regexp_matches` | patterns that both read alike; others are refused |
| `date_trunc` of dates | a timestamp without a zone |
| columns of type char(n), citext, name | are text |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exportkit.engines.databases.dialects import Dialect, as_text
from exportkit.engines.databases.outcomes import kind_of
from exportkit.engines.databases.patterns import for_postgresql
from exportkit.engines.predicates import ExpressionError, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

TITLE = "PostgreSQL"
_FUNCTIONS = words("""
    IntDiv Mod TryCast Concat ConcatWs StrPosition Greatest Least DateTrunc TimestampTrunc Date
    RegexpLike Week DayOfWeek DayOfMonth DayOfYear DayOfWeekIso WeekOfYear
""")
_PARTS = words("WEEK DOW ISODOW DOY ISOYEAR DAYOFWEEK DAYOFYEAR")
_PART_OF = {
    "Year": "year",
    "Quarter": "quarter",
    "Month": "month",
    "Week": "week",
    "WeekOfYear": "week",
    "Day": "day",
    "DayOfMonth": "day",
    "Hour": "hour",
    "Minute": "minute",
    "DayOfWeek": "dow",
    "DayOfWeekIso": "isodow",
    "DayOfYear": "doy",
}
_ALIASES = {"DAYOFWEEK": "dow", "DAYOFYEAR": "doy"}
_TYPES = {
    "TINYINT": "SMALLINT",
    "SMALLINT": "SMALLINT",
    "INT": "INT",
    "BIGINT": "BIGINT",
    "FLOAT": "REAL",
    "DOUBLE": "DOUBLE PRECISION",
    "DECIMAL": "DECIMAL",
    "TEXT": "TEXT",
    "VARCHAR": "TEXT",
    "CHAR": "TEXT",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMPNTZ": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMPTZ",
    "UUID": "UUID",
}
_DAY = r"\s*[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"
# Texts that both read alike: PostgreSQL also takes 0x1F, 1_000, yesterday, and drops a zone.
_READABLE = {
    "integer": _NUMBER,
    "numeric": _NUMBER,
    "float": _NUMBER,
    "boolean": "(true|false|t|f|1|0|yes|no|y|n)",
    "date": rf"{_DAY}\s*",
    "time": rf"\s*{_CLOCK}\s*",
    "timestamp": rf"{_DAY}([ T]{_CLOCK})?\s*",
    "timestamptz": rf"{_DAY}([ T]{_CLOCK}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?)?\s*",
}
_BOUNDS = {"SMALLINT": 2**15, "INT": 2**31, "BIGINT": 2**63}
_CAN_ASK = 160000  # pg_input_is_valid came with PostgreSQL 16


def dialect(version: int, folding: str | None) -> Dialect:
    """PostgreSQL of a version (180004); `folding` is a collation that knows Unicode's case."""
    return Dialect("postgres", TITLE, _FUNCTIONS, _PARTS, _Pins(version, folding))


@dataclass(frozen=True, slots=True)
class _Pins:
    version: int
    folding: str | None

    def __call__(self, node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
        from sqlglot import exp

        if isinstance(node, exp.Column):
            return exp.cast(node.copy(), "text") if kinds.get(node.name) == "padded" else None
        if isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Between):
            return _ordered(node, kinds)
        if isinstance(node, exp.Greatest | exp.Least):
            return _ordered(node, kinds)
        if isinstance(node, exp.Lower | exp.Upper):
            return self._folded(node)
        if isinstance(node, exp.Like | exp.ILike):
            return self._like(node)
        if isinstance(node, exp.Cast):
            return self._cast(node, kinds)
        return _other(node, kinds)

    def _folded(self, node: exp.Expr) -> exp.Expr:
        if self.folding is None:
            raise ExpressionError(
                f"lower, upper and ilike know ASCII alone in this {TITLE}",
                hint="move to version 17, or to a database whose locale knows Unicode",
            )
        return type(node)(this=_collated(node.this, self.folding))

    def _like(self, node: exp.Expr) -> exp.Expr | None:
        from sqlglot import exp

        sides = [node.this.copy(), node.expression.copy()]
        if isinstance(node, exp.ILike):
            sides = [self._folded(exp.Lower(this=each)) for each in sides]
        negate = node.args.get("negate")
        like = exp.Like(this=sides[0], expression=sides[1], negate=negate)
        if isinstance(node.parent, exp.Escape):
            return like
        return exp.Escape(this=like, expression=exp.Literal.string(""))

    def _cast(self, node: exp.Cast, kinds: Mapping[str, str]) -> exp.Expr:
        from sqlglot import exp

        name = node.to.this.value
        if name not in _TYPES:
            raise ExpressionError(
                f"the type {name.lower()} is not translated for {TITLE}",
                hint=f"there are: {', '.join(dict.fromkeys(_TYPES)).lower()}",
            )
        kind, target = kind_of(node, kinds), _TYPES[name]
        sizes = [each.sql("postgres") for each in node.to.expressions]
        if target == "DECIMAL":
            target = f"DECIMAL({', '.join(sizes or ['18', '3'])})"
        if kind == "text":
            return _plain(as_text(node.this, kinds, TITLE).copy(), "TEXT")
        if not isinstance(node, exp.TryCast) or kind_of(node.this, kinds) not in (
            "text",
            "literal",
        ):
            return _plain(node.this.copy(), target)
        return self._guarded(node.this, kind, target)

    def _guarded(self, value: exp.Expr, kind: str, target: str) -> exp.Expr:
        if self.version < _CAN_ASK or kind not in _READABLE:
            raise ExpressionError(
                f"try_cast to {target.lower()} is not translated for this {TITLE}",
                hint="cast() raises an error where a value does not fit; or say it in `query:`",
            )
        text = _plain(value.copy(), "TEXT").sql("postgres", identify=True)
        pattern = _literal(f"^({_READABLE[kind]})$")
        first = "DECIMAL" if kind == "integer" else target  # 1.5 is a number that is rounded
        asked = f"pg_input_is_valid({text}, {_literal(first)})"
        read = f"CAST({text} AS {first})"
        if kind == "integer":
            bound = _BOUNDS[target]
            read = (
                f"CASE WHEN ROUND({read}) BETWEEN {-bound} AND {bound - 1} "
                f"THEN CAST({read} AS {target}) END"
            )
        return _sql(f"CASE WHEN {text} ~* {pattern} THEN CASE WHEN {asked} THEN {read} END END")


def _other(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    from sqlglot import exp

    name = type(node).__name__
    if isinstance(node, exp.Extract) or name in _PART_OF:
        return _part(node)
    if isinstance(node, exp.Div):
        return exp.Div(
            this=_plain(node.this.copy(), "DOUBLE PRECISION"),
            expression=exp.paren(node.expression.copy()),
            typed=True,
        )
    if isinstance(node, exp.IntDiv):
        return _whole(node, kinds)
    if isinstance(node, exp.Round):
        return _rounded(node, kinds)
    if isinstance(node, exp.DPipe | exp.Concat | exp.ConcatWs):
        return _joined(node, kinds)
    if isinstance(node, exp.EndsWith):
        text, end = (_sql_of(each) for each in (node.this, node.expression))
        return exp.paren(_sql(f"RIGHT({text}, LENGTH({end})) = {end}"))
    if isinstance(node, exp.Contains):
        text, piece = (_sql_of(each) for each in (node.this, node.expression))
        return exp.paren(_sql(f"POSITION({piece} IN {text}) > 0"))
    if isinstance(node, exp.RegexpLike):
        return _matched(node)
    if isinstance(node, exp.DateTrunc | exp.TimestampTrunc):
        return _truncated(node, kinds)
    return None


def _ordered(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    """Texts compare byte by byte."""
    made = node.copy()
    sides = [each for each in made.iter_expressions() if each.parent is made]
    found = {kind_of(side, kinds) for side in sides}
    if "text" not in found or not found <= {"text", "literal"}:
        return None
    for side in sides:
        side.replace(_collated(side, "C"))
    return made


def _collated(node: exp.Expr, collation: str) -> exp.Expr:
    from sqlglot import exp

    name = exp.to_identifier(collation, quoted=True)
    return exp.paren(exp.Collate(this=exp.paren(node.copy()), expression=name))


def _whole(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr:
    if {kind_of(each, kinds) for each in (node.this, node.expression)} != {"integer"}:
        raise ExpressionError("// divides integers alone", hint="use floor(a / b)")
    left, right = (_sql_of(each) for each in (node.this, node.expression))
    return _sql(f"(({left}) / ({right}))")


def _rounded(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr | None:
    kind, digits = kind_of(node.this, kinds), node.args.get("decimals")
    value, places = _sql_of(node.this), _sql_of(digits) if digits is not None else "0"
    if kind == "float" and digits is not None:
        raise ExpressionError(
            f"{TITLE} does not round floating-point numbers to decimals the same way",
            hint="cast it to decimal(18, 4) first",
        )
    if kind == "float":
        return _sql(f"(SIGN({value}) * FLOOR(ABS({value}) + 0.5))")
    return None if kind == "integer" else _sql(f"ROUND(CAST({value} AS DECIMAL), {places})")


def _joined(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr:
    made = node.copy()
    for side in [each for each in made.iter_expressions() if each.parent is made]:
        side.replace(as_text(side, kinds, TITLE).copy())
    return made


def _truncated(node: exp.Expr, kinds: Mapping[str, str]) -> exp.Expr:
    value = _sql_of(node.this)
    if kind_of(node.this, kinds) != "timestamptz":
        value = f"CAST({value} AS TIMESTAMP)"
    return _sql(f"DATE_TRUNC({_literal(node.text('unit').lower())}, {value})")


def _matched(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    pattern = node.expression
    plain = isinstance(pattern, exp.Literal) and pattern.is_string and not node.args.get("flag")
    said = for_postgresql(pattern.name) if plain else None
    if said is None:
        raise ExpressionError(
            f"{TITLE} would read this regular expression in another way",
            hint="take letters, sets in [ ], ( ), |, ., *, +, ?, {n,m}, ^, $, \\d, \\w and \\s",
        )
    return exp.paren(_sql(f"{_sql_of(node.this)} ~ {_literal(said)}"))


def _part(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    if isinstance(node, exp.Extract):
        part, value = node.name.upper(), node.expression
        part = _ALIASES.get(part, part.lower())
    else:
        part, value = _PART_OF[type(node).__name__], node.this
    return _sql(f"CAST(EXTRACT({part} FROM {_sql_of(value)}) AS BIGINT)")


def _plain(node: exp.Expr, target: str) -> exp.Expr:
    return _sql(f"CAST({_sql_of(node)} AS {target})")


def _sql(text: str) -> exp.Expr:
    """SQL of this database's own, as a node that comes out as it is."""
    from sqlglot import parse_one

    return parse_one(text, dialect="postgres")


def _sql_of(node: exp.Expr) -> str:
    return str(node.sql("postgres", comments=False, identify=True))


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
