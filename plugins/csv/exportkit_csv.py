"""Writes one CSV file, whole or not at all. The smallest honest destination: copy it."""

import csv
import gzip
import io
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from exportkit import Batch, Delivery, Description, Draft, Limits, Rejection, Target, hookimpl

CODES = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "latin-1": "latin-1", "cp1252": "cp1252"}
OPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "string", "minLength": 1, "format": "output-path"},
    "delimiter": {"type": "string", "pattern": r"^[\t !#-~]$", "default": ","},
    "quoting": {"enum": ["all", "minimal"], "default": "all"},
    "encoding": {"enum": list(CODES), "default": "utf-8", "description": "utf-8-sig is for Excel"},
    "formulas": {"enum": ["guard", "keep"], "default": "guard"},
    "mode": {"type": "string", "pattern": "^0[0-7]{3}$", "default": "0600"},
}


@hookimpl
def describe_destination() -> Description:
    """Nothing leaves the machine, so no consent is asked for; nothing shows before `finish`."""
    schema = {"type": "object", "required": ["path"], "properties": OPTIONS}
    limits = Limits(batch_rows=50_000)
    return Description("CSV file", job_options=schema, limits=limits, third_party=False, whole=True)


class Session(ExitStack):
    """Holds the draft of the file, which goes away at the end unless `finish` commits it."""

    def file(self, target: Target) -> Any:
        if not hasattr(self, "draft"):
            path = Path(target.options["path"])
            self.draft = self.enter_context(Draft(path, int(target.options["mode"], 8)))
            raw: Any = self.draft.file
            self.out = gzip.GzipFile("", "wb", 6, raw, 0) if path.suffix == ".gz" else raw
            header = pa.record_batch([[name] for name in target.names], names=target.names)
            self.out.write("\ufeff".encode() * (target.options["encoding"] == "utf-8-sig"))
            self.out.write(rendered(header, target.options))
        return self.out


@hookimpl
def connect() -> Session:
    return Session()


@hookimpl
def push(session: Session, batch: Batch, target: Target) -> Delivery:
    file, code = session.file(target), CODES[target.options["encoding"]]
    rows = batch.data if target.options["formulas"] == "keep" else guarded(batch.data, target)
    try:
        file.write(rendered(rows, target.options))
        return Delivery()
    except UnicodeEncodeError:
        texts = ["".join(filter(None, row.values())) for row in rows.to_pylist()]
        fit = [text == text.encode(code, "ignore").decode(code) for text in texts]
    file.write(rendered(rows.filter(pa.array(fit)), target.options))
    unfit = batch.keys.filter(pa.array([not fits for fits in fit])).to_pylist()
    return Delivery(rejections=[Rejection(key, f"does not fit {code}") for key in unfit])


@hookimpl
def finish(session: Session, target: Target) -> None:
    session.file(target).close()
    session.draft.commit()


def guarded(rows: pa.RecordBatch, target: Target) -> pa.RecordBatch:
    """Put ' before text that a spreadsheet would compute."""
    import pyarrow.compute as pc  # slow to load, and not needed before there are rows

    columns = []
    for column, cells in zip(target.columns, rows.columns, strict=True):
        starts = pc.binary_slice(cells.cast(pa.binary()), 0, 1)
        formulas = pc.is_in(starts, value_set=pa.array([b"=", b"+", b"-", b"@", b"\t", b"\r"]))
        if column.kind not in ("number", "phone") and pc.any(formulas).as_py():
            cells = pc.if_else(formulas, pc.binary_join_element_wise("'", cells, ""), cells)
        columns.append(cells)
    return pa.record_batch(columns, names=rows.schema.names)


def rendered(rows: pa.RecordBatch, options: Any) -> Any:
    """The rows as CSV, by Arrow; or if only some cells are quoted by Python, ten times slower."""
    if options["quoting"] == "minimal":
        text, columns = io.StringIO(), [cells.to_pylist() for cells in rows.columns]
        csv.writer(text, delimiter=options["delimiter"]).writerows(zip(*columns, strict=True))
        return text.getvalue().encode(CODES[options["encoding"]])
    style = arrow_csv.WriteOptions(delimiter=options["delimiter"], include_header=False)
    arrow_csv.write_csv(rows, buffer := pa.BufferOutputStream(), style)
    data, code = buffer.getvalue(), CODES[options["encoding"]]
    return data if code == "utf-8" else str(data, "utf-8").encode(code)
