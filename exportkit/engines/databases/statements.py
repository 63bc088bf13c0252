"""A source's `query:` before any database has seen it: one SELECT that writes and locks nothing.

What the words mean is for the database to say. Here it is enough to know where strings, comments
and brackets end, which the tokens of its dialect tell; the second wall is a read-only transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.engines.predicates import ExpressionError, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot.tokenizer_core import Token

_READING = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "FROM", "("})
_WRITING = words("INSERT UPDATE DELETE MERGE REPLACE UPSERT CREATE DROP ALTER TRUNCATE")
_QUOTED = ("STRING", "IDENTIFIER")
_ONE_SELECT = "a query is one SELECT, and writes nothing"


def check_query(sql: str, dialect: str) -> str:
    """The query as it can stand in brackets: without a semicolon at its end.

    Raises ExpressionError, with the offset, for a second statement, for one that writes or locks,
    and for brackets and quotes that do not match.
    """
    from sqlglot import Dialect
    from sqlglot.errors import TokenError

    try:
        tokens = list(Dialect.get_or_raise(dialect or None).tokenize(sql))
    except TokenError:
        raise ExpressionError(
            "the query cannot be read", hint="is a quote or a comment left open?"
        ) from None
    end = len(sql)
    while tokens and tokens[-1].text == ";" and not _is_quoted(tokens[-1]):
        end = tokens.pop().start
    if not tokens:
        raise ExpressionError("the query is empty", hint=_ONE_SELECT)
    for message, token in _faults(tokens):
        raise ExpressionError(message, hint=_ONE_SELECT, offset=token.start)
    return sql[:end]


def _faults(tokens: Sequence[Token]) -> Iterator[tuple[str, Token]]:
    first = _word(tokens[0])
    if first not in _READING:
        writes = "writes" if first in _WRITING else "is no query"
        yield f"a statement that begins with {first[:20]} {writes}", tokens[0]
    yield from _unbalanced(tokens)
    all_words = [_word(token) for token in tokens]
    following = zip(tokens, ["", *all_words], all_words, [*all_words[1:], ""], strict=False)
    for token, before, word, after in following:
        if word == ";":
            yield "a second statement follows", token
        if word in _WRITING and before in ("(", ")") and after != "(":  # insert(…) is a function
            yield f"{word} writes", token
        if word == "INTO":
            yield "SELECT … INTO writes", token
        if word == "FOR" and after in ("UPDATE", "SHARE", "NO", "KEY"):
            yield "the query locks rows", token


def _unbalanced(tokens: Sequence[Token]) -> Iterator[tuple[str, Token]]:
    still_open: list[Token] = []
    for token in tokens:
        word = _word(token)
        if word == "(":
            still_open.append(token)
        elif word == ")" and not still_open:
            yield "this closes a bracket that is not open", token
        elif word == ")":
            still_open.pop()
    if still_open:
        yield "this bracket is not closed", still_open[-1]


def _word(token: Token) -> str:
    """The token as a word of SQL; nothing for what stands in quotes."""
    return "" if _is_quoted(token) else token.text.upper()


def _is_quoted(token: Token) -> bool:
    return token.token_type.name.endswith(_QUOTED)
