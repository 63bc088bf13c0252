"""Folders named `country=GR`: what they say of their rows, and which need not be looked into."""

# ruff: noqa: S608 - names are quoted by `sql`, expressions checked by `predicates`

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from exportkit.engines.predicates import conjuncts_over
from exportkit.engines.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import duckdb

Values = dict[str, str | None]

_NULL = "__HIVE_DEFAULT_PARTITION__"
_TABLE = "exportkit_partitions"
_NUMBER = "exportkit_number"
_KINDS = (
    ("BIGINT", re.compile(r"0|-?[1-9][0-9]{0,17}")),
    ("DATE", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")),
    ("TIMESTAMP", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9.]{2,9})?")),
)


def values_of(path: Path) -> Values:
    """What a file's folders say of its rows: {"country": "GR"} for country=GR/part-0.parquet."""
    pairs = (part.partition("=") for part in path.parts[:-1] if "=" in part)
    return {key: None if value == _NULL else unquote(value) for key, _, value in pairs}


def types_of(files: Sequence[Values]) -> dict[str, str]:
    """The type of each in predicates; none at all if the files' folders differ in what they say."""
    keys = [*files[0]] if files else []
    if any(values.keys() != files[0].keys() for values in files):
        return {}
    return {key: _kind({values[key] for values in files} - {None}) for key in keys}


def _kind(found: Collection[str | None]) -> str:
    for kind, pattern in _KINDS:
        if found and all(pattern.fullmatch(value or "") for value in found):
            return kind
    return "VARCHAR"


def needed(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Values],
    types: Mapping[str, str],
    columns: Collection[str],
    conditions: Sequence[str],
) -> set[int]:
    """The numbers of the files that may have rows for which one of the conditions holds.

    `conditions` are predicates over the source's `columns`, of which what speaks of partitions
    alone is tried on their values in `types`; without any condition, every file is needed.
    """
    import pyarrow as pa

    every = set(range(len(files)))
    parts = [conjuncts_over(condition, columns, types.keys()) for condition in conditions]
    if not types or not parts or not all(parts):
        return every
    texts = {key: pa.array([values[key] for values in files], pa.string()) for key in types}
    connection.register(_TABLE, pa.table({_NUMBER: pa.array(sorted(every), pa.int64()), **texts}))
    typed = ", ".join(
        f"TRY_CAST({identifier(key)} AS {kind}) AS {identifier(key)}" for key, kind in types.items()
    )
    holds = " OR ".join(f"({' AND '.join(f'({part})' for part in each)})" for each in parts)
    rows = connection.execute(
        f"SELECT {_NUMBER} FROM (SELECT {_NUMBER}, {typed} FROM {_TABLE}) WHERE {holds}"
    ).fetchall()
    connection.unregister(_TABLE)
    return {number for (number,) in rows}
