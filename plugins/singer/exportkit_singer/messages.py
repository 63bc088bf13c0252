"""Singer's messages: a schema, records as JSON lines straight from Arrow, and states."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .columns import TRUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

CHUNK_ROWS = 8_192
MARK = "exportkit_batch"
# Any other spelling of a number (`+5`, `.5`, `007`) is written anew.
_JSON_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_SCHEMAS: dict[str, dict[str, Any]] = {
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
}


def schema(stream: str, types: Mapping[str, str], keys: Sequence[str]) -> bytes:
    """The message that says what the records of a stream hold."""
    properties = {}
    for name, kind in types.items():
        said = _SCHEMAS.get(kind, {"type": kind})
        properties[name] = said if name in keys else {**said, "type": ["null", said["type"]]}
    return _line(
        {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {"type": "object", "properties": properties},
            "key_properties": list(keys),
        }
    )


def state(stream: str, batch_id: str) -> bytes:
    """The message that a target says back when all before it is kept.

    It has the usual form of a bookmark: some targets put together what they say back from those of
    single streams.
    """
    value = {"bookmarks": {stream: {MARK: batch_id}}}
    return _line({"type": "STATE", "value": value})


def confirmed(line: bytes, stream: str) -> str | None:
    """The batch that a line of a target confirms.

    Raises ValueError if the line is none that a target may write.
    """
    value = json.loads(line)
    if isinstance(value, dict) and value.get("type") == "STATE":  # by targets of the early days
        value = value.get("value")
    for step in ("bookmarks", stream, MARK):
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def records(rows: pa.RecordBatch, stream: str, types: Mapping[str, str]) -> Iterator[memoryview]:
    """The rows as lines of JSON, some thousand at a time. No row is ever a Python object."""
    import duckdb
    import pyarrow as pa

    names = [f"c{number}" for number in range(rows.num_columns)]
    parts = [_text(f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":{{')]
    for number, (name, cell) in enumerate(zip(rows.schema.names, names, strict=True)):
        comma = "," if number else ""
        parts.append(_text(f"{comma}{json.dumps(name)}:"))
        parts.append(f"coalesce({_value(cell, types[name])}, 'null')")
    parts.append(_text("}}\n"))
    table = pa.Table.from_batches([rows.rename_columns(names)])
    with closing(duckdb.connect(":memory:", config={"threads": 1})) as engine:
        engine.register("handed_over", table)
        lines = engine.sql(f"SELECT concat({', '.join(parts)}) FROM handed_over")  # noqa: S608
        for chunk in lines.to_arrow_reader(CHUNK_ROWS):
            yield _bytes(chunk.column(0))


def _value(cell: str, type_: str) -> str:
    """SQL for the cell's JSON; null for null."""
    if type_ in ("number", "integer"):
        bare = f"ltrim({cell}, '+')"
        anew = f"CAST(to_json(CAST({cell} AS DOUBLE)) AS VARCHAR)"
        return f"CASE WHEN regexp_full_match({bare}, '{_JSON_NUMBER}') THEN {bare} ELSE {anew} END"
    if type_ == "boolean":
        known = ", ".join(map(_text, TRUE))
        return f"CAST(lower({cell}) IN ({known}) AS VARCHAR)"
    if type_ == "date-time":  # the blank of SQL is none of ISO 8601
        cell = f"replace({cell}, ' ', 'T')"
    return f"CAST(to_json({cell}) AS VARCHAR)"


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _bytes(lines: pa.StringArray) -> memoryview:
    """What an array of text holds, one value after the other, without a copy."""
    _, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(data)[ends[lines.offset] : ends[lines.offset + len(lines)]]


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"
