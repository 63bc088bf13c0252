"""Import bodies from columns, and how many bytes each row takes in them: exactly.

Each row is encoded by Arrow into one text, so its size and its body are the same computation.
The columns are named as on the wire.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

Form = Literal["csv", "json"]

ROWS = 39_999
"""Of the 40,000 lines of an import one is the header, in JSON too: the service makes it CSV."""

BYTES = 3_990_000
"""What is left for rows of the 4,000,000 that are read: the rest is for the header, at most 25
long names of custom fields in it, and for what wraps the file, 50 list ids in it."""

_NUMBERS = ("birthday_month", "birthday_day")
_ESCAPED = {"\\": "\\\\", '"': '\\"'} | {
    chr(code): json.dumps(chr(code))[1:-1] for code in range(32)
}


def csv_body(columns: pa.RecordBatch) -> bytes:
    """Header and rows, in UTF-8; only cells that need it are quoted, a null is an empty one."""
    header = ",".join(_quoted(name) for name in columns.schema.names)
    rows = [_joined(_csv_rows(columns), b"\n"), b"\n"] if columns.num_rows else []
    return b"".join((header.encode(), b"\n", *rows))


def json_body(columns: pa.RecordBatch, list_ids: Sequence[str]) -> bytes:
    """`import_data` and `list_ids`; a null is left out, month and day of birth are numbers."""
    end = json.dumps(list(list_ids), separators=(",", ":")).encode()
    rows = _joined(_json_rows(columns), b",")
    return b"".join((b'{"import_data":[', rows, b'],"list_ids":', end, b"}"))


def sizes(columns: pa.RecordBatch, form: Form) -> pa.Array:
    """The bytes of each row with what parts it from the next, as 64-bit integers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = _csv_rows(columns) if form == "csv" else _json_rows(columns)
    return pc.add(pc.binary_length(rows).cast(pa.int64()), 1)


def _csv_rows(columns: pa.RecordBatch) -> pa.Array:
    import pyarrow.compute as pc

    # A row of one empty cell would be a blank line, which is no row.
    first, *others = (cells.fill_null("") for cells in columns.columns)
    cells = [_csv_cells(first, '[",\r\n]|^[ \t]|[ \t]$|^$')]
    cells += [_csv_cells(other, '[",\r\n]|^[ \t]|[ \t]$') for other in others]
    return pc.binary_join_element_wise(*cells, ",")


def _csv_cells(cells: pa.Array, special: str) -> pa.Array:
    import pyarrow.compute as pc

    needy = pc.match_substring_regex(cells, special)
    if not pc.any(needy).as_py():
        return cells
    doubled = pc.replace_substring(cells, '"', '""')
    return pc.if_else(needy, pc.binary_join_element_wise('"', doubled, '"', ""), cells)


def _json_rows(columns: pa.RecordBatch) -> pa.Array:
    import pyarrow.compute as pc

    members = [
        _json_members(name, cells).fill_null("")
        for name, cells in zip(columns.schema.names, columns.columns, strict=True)
    ]
    # Each begins with a comma. (To skip nulls in a join drops a row that has nothing but nulls.)
    joined = pc.binary_join_element_wise(*members, "}", "")
    return pc.if_else(
        pc.equal(joined, "}"),
        "{}",
        pc.binary_replace_slice(joined, start=0, stop=1, replacement="{"),
    )


def _json_members(name: str, cells: pa.Array) -> pa.Array:
    """`,"name":"value"` where there is a value, null where there is none."""
    import pyarrow.compute as pc

    key = f",{json.dumps(name, ensure_ascii=False)}:"
    texts = pc.binary_join_element_wise(key + '"', _escaped(cells), '"', "")
    if name not in _NUMBERS:
        return texts
    plain = pc.match_substring_regex(cells, "^[1-9][0-9]?$")
    return pc.if_else(plain, pc.binary_join_element_wise(key, cells, ""), texts)


def _escaped(cells: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    if pc.any(pc.match_substring_regex(cells, '[\\x00-\\x1f"\\\\]')).as_py():
        for character, written in _ESCAPED.items():
            if pc.any(pc.match_substring(cells, character)).as_py():
                cells = pc.replace_substring(cells, character, written)
    return cells


def _joined(rows: pa.Array, between: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pa.ListArray.from_arrays([0, len(rows)], rows.cast(pa.binary()))
    return pc.binary_join(whole, between)[0].as_buffer()


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"' if doubled != name or any(c in name for c in ",\r\n") else name
