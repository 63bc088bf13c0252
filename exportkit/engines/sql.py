"""Pieces of SQL text: the only place where names and values are quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def literal(value: str) -> str:
    """A text value as SQL: O'Brien becomes 'O''Brien'."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as SQL, quoted: case, blanks and reserved words survive."""
    return '"' + name.replace('"', '""') + '"'


def text_list(values: Iterable[str]) -> str:
    """Text values as an SQL list."""
    return "[" + ", ".join(map(literal, values)) + "]"
