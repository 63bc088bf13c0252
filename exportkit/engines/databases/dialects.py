"""Checked expressions in the SQL of a database, so that they mean there what they mean on files.

Expressions are written in DuckDB's SQL. sqlglot knows how others spell things; what they spell
alike and understand differently is pinned here (`pinned`), and what cannot be pinned is refused:
in `query:` the database's own SQL can say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exportkit.engines.databases.outcomes import kind_of
from exportkit.engines.predicates import ExpressionError, check_tree, offset_of, words
from exportkit.engines.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlglot import exp

_SAY_IT = "say it in `query:`, in the database's own SQL, and name that column here"
_PORTABLE = words("""
    Column Identifier Literal Boolean Null Paren Tuple Var DataType DataTypeParam Interval
    And Or Not EQ NEQ GT GTE LT LTE Is In Between Like ILike Escape NullSafeEQ NullSafeNEQ
    Add Sub Mul Div Neg DPipe Case If Cast Coalesce Nullif
    Lower Upper Trim Length Substring Left Right Replace StartsWith EndsWith Contains
    CurrentDate CurrentTimestamp Extract Year Quarter Month Day Hour Minute
    Floor Ceil Abs Round
""")
_DOUBLE_QUOTES = words("postgres redshift snowflake oracle sqlite trino duckdb")
_PARTS = words("YEAR QUARTER MONTH DAY HOUR MINUTE")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of database is told things.

    `name` is sqlglot's, `title` people's. `functions` are the nodes that may be used besides the
    portable ones, `parts` what `extract` may ask for besides. `pin` gets a node, its parts pinned
    already, with the kinds of the columns, and answers what is to stand in its place, or None.
    `is_native` where the database speaks the SQL that expressions are written in.
    """

    name: str
    title: str
    functions: Collection[str] = ()
    parts: Collection[str] = ()
    pin: Callable[[exp.Expr, Mapping[str, str]], exp.Expr | None] = lambda _node, _kinds: None
    is_native: bool = False

    def quoted(self, name: str) -> str:
        """A name as this database writes it, with its case."""
        if self.name in _DOUBLE_QUOTES:
            return identifier(name)
        from sqlglot import exp

        return exp.to_identifier(name, quoted=True).sql(self.name)

    def expression(self, sql: str, columns: Collection[str], kinds: Mapping[str, str]) -> str:
        """A checked expression as SQL of this database. Raises ExpressionError."""
        tree = self._portable(sql, columns)
        for node in reversed(list(tree.walk())):
            pinned = self.pin(node, kinds)
            if pinned is not None and node is tree:
                tree = pinned
            elif pinned is not None:
                node.replace(pinned)
        return tree.sql(self.name, comments=False, identify=True)

    def kind(self, sql: str, columns: Collection[str], kinds: Mapping[str, str]) -> str:
        """What kind of value an expression yields, see `outcomes`. Raises ExpressionError."""
        return kind_of(self._portable(sql, columns), kinds)

    def check(self, sql: str, columns: Collection[str] | None = None) -> None:
        """Raise ExpressionError if an expression says what cannot be said to this database.

        Without `columns`, because nobody has asked the database yet, any name will do.
        """
        self._portable(sql, columns)

    def _portable(self, sql: str, columns: Collection[str] | None) -> exp.Expr:
        from sqlglot import exp

        tree = check_tree(sql, columns, dialect="duckdb")
        for node in [] if self.is_native else list(tree.walk()):
            self._check(node, sql)
            if isinstance(node, exp.Anonymous) and node is not tree:
                node.replace(_renamed(node))
            elif isinstance(node, exp.Anonymous):
                tree = _renamed(node)
        return tree

    def _check(self, node: exp.Expr, sql: str) -> None:
        from sqlglot import exp

        name = type(node).__name__
        if isinstance(node, exp.Anonymous):
            name = _KNOWN.get(node.name.lower(), "")
        refused = None
        if name not in _PORTABLE and name not in self.functions:
            shown = node.name if isinstance(node, exp.Anonymous) else _function(node, sql)
            refused = f"{shown.lower()} is not translated for {self.title}"
        elif isinstance(node, exp.Extract) and node.name.upper() not in (*_PARTS, *self.parts):
            refused = f"extract({node.name.lower()} from …) is not translated for {self.title}"
        elif isinstance(node, exp.Substring) and not _counts_from_one(node):
            refused = f"for {self.title} a substring starts at a plain number from 1 on"
        if refused:
            raise ExpressionError(refused, hint=_SAY_IT, offset=offset_of(node))


# Functions that sqlglot reads as unknown, and what they are.
_KNOWN = {
    "now": "CurrentTimestamp",
    "hour": "Hour",
    "minute": "Minute",
    "prefix": "StartsWith",
    "suffix": "EndsWith",
}


def _renamed(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    known = getattr(exp, _KNOWN[node.name.lower()])
    values = [each.copy() for each in node.expressions]
    made: exp.Expr = known(**dict(zip(("this", "expression"), values, strict=False)))
    return made


def _function(node: exp.Expr, sql: str) -> str:
    """What the node is to who wrote it: the name of the function, where it is one."""
    from sqlglot import exp

    if not isinstance(node, exp.Func):
        return type(node).__name__
    written = sql[node.meta["start"] : node.meta["end"] + 1] if "end" in node.meta else ""
    return f"{written or node.sql_name()}()"


def _counts_from_one(node: exp.Expr) -> bool:
    from sqlglot import exp

    start, length = node.args.get("start"), node.args.get("length")
    plain = all(isinstance(n, exp.Literal) and n.is_int for n in (start, length) if n is not None)
    return plain and start is not None and int(start.name) >= 1


def as_text(node: exp.Expr, kinds: Mapping[str, str], title: str) -> exp.Expr:
    """The node as text where it is none. ExpressionError for floats: each prints them its way."""
    from sqlglot import exp

    kind = kind_of(node, kinds)
    if kind in ("text", "literal"):
        return node
    if kind == "float":
        raise ExpressionError(
            f"{title} writes floating-point numbers as text in its own way",
            hint="cast it to decimal(18, 2) or bigint first",
        )
    return exp.cast(node.copy(), "text")
