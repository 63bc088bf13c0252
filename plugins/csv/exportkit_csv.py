"""Writes one CSV file, whole or not at all. The smallest honest destination: copy it."""

import csv
import gzip
import io
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from exportkit import Batch, Delivery, Description, Draft, Limits, Rejection, Target, hookimpl

OPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "string", "minLength": 1, "format": "output-path"},
    "delimiter": {"type": "string", "pattern": r"^[\t !#-~]$", "default": ","},
    "quoting": {"enum": ["all", "minimal"], "default": "all"},
    "encoding": {"enum": ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"], "default": "utf-8"},
    "formulas": {"enum": ["guard", "keep"], "default": "guard"},
    "mode": {"type": "string", "pattern": "^0[0-7]{3}$", "default": "0600"},
}


@hookimpl
def describe_destination() -> Description:
    return Description(
        title="CSV file",
        description="One file on this machine, replaced at once; gzipped if its name ends in .gz.",
        job_options={"type": "object", "required": ["path"], "properties": OPTIONS},
        limits=Limits(batch_rows=100_000),
        third_party=False,  # nothing leaves the machine, so nobody is asked for consent
        whole=True,  # nothing shows before `finish`, so the only mode is `full`
    )


class Session(ExitStack):
    """What has to be closed: the draft of the file, and the text on its way there."""

    def text(self, target: Target) -> io.TextIOWrapper:
        if not hasattr(self, "draft"):
            path, mode = Path(target.options["path"]), int(target.options["mode"], 8)
            self.draft = self.enter_context(Draft(path, mode))
            raw = self.draft.file
            packed = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
            text = io.TextIOWrapper(packed, target.options["encoding"], newline="")
            self.writer = self.enter_context(text)
            header = pa.record_batch([[name] for name in target.names], names=target.names)
            self.writer.write(rendered(header, target.options))
        return self.writer


@hookimpl
def connect() -> Session:
    return Session()


@hookimpl
def push(session: Session, batch: Batch, target: Target) -> Delivery:
    text, code = session.text(target), target.options["encoding"]
    rows = batch.data if target.options["formulas"] == "keep" else guarded(batch.data, target)
    try:
        text.write(rendered(rows, target.options))
        return Delivery()
    except UnicodeEncodeError:  # raised before anything is written
        lines = ["".join(filter(None, row.values())) for row in rows.to_pylist()]
        fit = pa.array([line == line.encode(code, "ignore").decode(code) for line in lines])
    text.write(rendered(rows.filter(fit), target.options))
    unfit = batch.keys.filter(pc.invert(fit)).to_pylist()
    return Delivery(rejections=[Rejection(key, f"does not fit {code}") for key in unfit])


@hookimpl
def finish(session: Session, target: Target) -> None:
    session.text(target).close()
    session.draft.commit()


def guarded(rows: pa.RecordBatch, target: Target) -> pa.RecordBatch:
    """Put ' before text that a spreadsheet would compute."""
    columns = list(rows.columns)
    for n, column in enumerate(target.columns):
        formulas = pc.match_substring_regex(columns[n], r"^[=+\-@\t\r]")
        if column.kind not in ("number", "phone") and pc.any(formulas).as_py():
            marked = pc.binary_join_element_wise("'", columns[n], "")
            columns[n] = pc.if_else(formulas, marked, columns[n])
    return pa.record_batch(columns, names=rows.schema.names)


def rendered(rows: pa.RecordBatch, options: Any) -> str:
    """The rows as CSV, by Arrow; or if only some cells are quoted by Python, ten times slower."""
    if options["quoting"] == "minimal":
        text, columns = io.StringIO(), [cells.to_pylist() for cells in rows.columns]
        csv.writer(text, delimiter=options["delimiter"]).writerows(zip(*columns, strict=True))
        return text.getvalue()
    style = arrow_csv.WriteOptions(delimiter=options["delimiter"], include_header=False)
    arrow_csv.write_csv(rows, buffer := pa.BufferOutputStream(), style)
    return str(buffer.getvalue(), "utf-8")
