"""What a column is to expressions, by the code that a driver of SQLAlchemy's gives its type."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Dialect

_NAMED = {"STRING": "text", "BINARY": "bytes", "NUMBER": "numeric", "DATETIME": "timestamp"}
_MYSQL = {
    **dict.fromkeys((1,), "boolean"),
    **dict.fromkeys((2, 3, 8, 9, 13), "integer"),
    **dict.fromkeys((4, 5), "float"),
    **dict.fromkeys((0, 246), "numeric"),
    **dict.fromkeys((10, 14), "date"),
    **dict.fromkeys((7, 12), "timestamp"),
    11: "time",
    **dict.fromkeys((15, 247, 248, 249, 250, 251, 252, 253, 254), "text"),
}
_BYTES, _GEOMETRY, _BIT = 63, 255, 16
# Its driver's STRING and NUMBER are equal to no code.
_SNOWFLAKE = {
    0: "numeric",
    1: "float",
    2: "text",
    3: "date",
    **dict.fromkeys((4, 8), "timestamp"),
    **dict.fromkeys((6, 7), "timestamptz"),
    11: "bytes",
    12: "time",
    13: "boolean",
}

# Its driver's NUMBER is equal to booleans too.
_BIGQUERY = {
    "STRING": "text",
    **dict.fromkeys(("INTEGER", "INT64"), "integer"),
    **dict.fromkeys(("FLOAT", "FLOAT64"), "float"),
    **dict.fromkeys(("NUMERIC", "BIGNUMERIC"), "numeric"),
    **dict.fromkeys(("BOOLEAN", "BOOL"), "boolean"),
    "DATE": "date",
    "TIME": "time",
    "DATETIME": "timestamp",
    "TIMESTAMP": "timestamptz",
    "BYTES": "bytes",
    "INTERVAL": "interval",
}


def kind_of_column(dialect: Dialect, cursor: Any, place: int, code: Any) -> tuple[str, str]:
    """The kind of the column at a place of an answer, and a name for its type."""
    if dialect.name in ("mysql", "mariadb"):
        return _mysql_kind(cursor, place, code)
    if dialect.name == "snowflake":
        kind = _SNOWFLAKE.get(code, "other")
        return kind, kind
    if dialect.name == "bigquery":
        return _bigquery_kind(cursor, place, code)
    for name, kind in _NAMED.items():
        known = getattr(dialect.dbapi, name, None)
        with suppress(Exception):
            if code is not None and known is not None and known == code:
                return kind, name.lower()
    return "other", "unknown"


def _mysql_kind(cursor: Any, place: int, code: int) -> tuple[str, str]:
    """The driver's code does not tell BLOB from TEXT; the character set beside it does."""
    kind = _MYSQL.get(code, "bytes" if code in (_GEOMETRY, _BIT) else "other")
    facts = getattr(getattr(cursor, "_result", None), "fields", None)
    if kind == "text" and facts and facts[place].charsetnr == _BYTES:
        kind = "bytes"
    return kind, "tinyint" if kind == "boolean" else kind


def _bigquery_kind(cursor: Any, place: int, code: str) -> tuple[str, str]:
    """The driver's code of an array is that of its members; the schema behind it tells."""
    schema = getattr(getattr(cursor, "_query_rows", None), "schema", None)
    if schema and schema[place].mode == "REPEATED":
        return "other", "array"
    return _BIGQUERY.get(code, "other"), {"RECORD": "struct"}.get(code, code.lower())
