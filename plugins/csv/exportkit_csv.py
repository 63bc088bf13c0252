"""Writes one CSV file, whole or not at all. The smallest honest destination: copy it."""

import csv
import gzip
import io
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

import exportkit
from exportkit import Batch, Delivery, Description, Draft, JobError, Limits, Rejection, Target

OPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "string", "minLength": 1, "format": "output-path", "description": "the file"},
    "delimiter": {"type": "string", "pattern": r"^[\t !#-~]", "maxLength": 1, "default": ","},
    "quoting": {"enum": ["all", "minimal"], "default": "all", "description": "of cells"},
    "encoding": {"enum": ["utf-8", "utf-8-sig", "latin-1", "cp1252"], "default": "utf-8"},
    "formulas": {"enum": ["guard", "keep"], "default": "guard", "description": "in spreadsheets"},
    "mode": {"type": "string", "pattern": "^0[0-7]{3}$", "default": "0600"},
}


@exportkit.hookimpl
def describe_destination() -> Description:
    """Nothing leaves the machine, so no consent is asked for; nothing shows before `finish`."""
    schema = {"type": "object", "required": ["path"], "properties": OPTIONS}
    limits = Limits(batch_rows=20_480)
    return Description("CSV file", job_options=schema, limits=limits, third_party=False, whole=True)


class Session(ExitStack):
    """Holds the draft of the file, which goes away at the end unless `finish` commits it."""

    def begun(self, target: Target) -> Draft:
        if not hasattr(self, "draft"):
            path, options = Path(target.options["path"]), target.options
            self.draft = self.enter_context(Draft(path, int(options["mode"], 8)))
            if path.suffix == ".gz":
                self.draft.file = gzip.GzipFile("", "wb", 6, self.draft.file, 0)
            header = pa.record_batch({name: [name] for name in target.names})
            try:  # the -sig of utf-8-sig is a mark before the first row, here and nowhere else
                self.draft.file.write(rendered(header, options, options["encoding"]))
            except UnicodeEncodeError:
                raise JobError("the field names do not fit in it", field="encoding") from None
        return self.draft


@exportkit.hookimpl
def connect() -> Session:
    return Session()


@exportkit.hookimpl
def push(session: Session, batch: Batch, target: Target) -> Delivery:
    file, code = session.begun(target).file, target.options["encoding"].removesuffix("-sig")
    rows = batch.data if target.options["formulas"] == "keep" else guarded(batch.data, target)
    try:
        file.write(rendered(rows, target.options, code))
        return Delivery()
    except UnicodeEncodeError:
        texts = ["".join(filter(None, row.values())) for row in rows.to_pylist()]
        fit = [text == text.encode(code, "ignore").decode(code) for text in texts]
    file.write(rendered(rows.filter(pa.array(fit)), target.options, code))
    unfit = batch.keys.filter(pa.array([not fits for fits in fit])).to_pylist()
    return Delivery(rejections=[Rejection(key, f"does not fit {code}") for key in unfit])


@exportkit.hookimpl
def finish(session: Session, target: Target) -> None:
    session.begun(target).commit()


def guarded(rows: Any, target: Target, signs: Any = (b"=", b"+", b"-", b"@", b"\t", b"\r")) -> Any:
    """Put ' before text that a spreadsheet would compute."""
    import pyarrow.compute as pc  # slow to load, and not needed before there are rows

    for n, column in enumerate(target.columns):
        firsts = pc.binary_slice(rows[n].cast(pa.binary()), 0, 1)
        met = bytes(firsts.buffers()[2] or b"")  # one after the other: a quick look at them all
        if column.kind not in ("number", "phone") and any(sign in met for sign in signs):
            guard = pc.if_else(pc.is_in(firsts, value_set=pa.array(signs)), "'", "")
            rows = rows.set_column(n, column.name, pc.binary_join_element_wise(guard, rows[n], ""))
    return rows


def rendered(rows: pa.RecordBatch, options: Any, code: str) -> Any:
    """The rows as CSV, by Arrow; or if only some cells are quoted by Python, ten times slower."""
    if options["quoting"] == "minimal":
        text, columns = io.StringIO(), [cells.to_pylist() for cells in rows.columns]
        csv.writer(text, delimiter=options["delimiter"]).writerows(zip(*columns, strict=True))
        return text.getvalue().encode(code)
    if rows.num_columns == 1:  # a null alone would be a blank line, which is no row
        rows = pa.record_batch([rows[0].fill_null("")], [""])
    style = arrow_csv.WriteOptions(delimiter=options["delimiter"], include_header=False)
    arrow_csv.write_csv(rows, buffer := pa.BufferOutputStream(), style)
    return buffer.getvalue() if code == "utf-8" else str(buffer.getvalue(), "utf-8").encode(code)
