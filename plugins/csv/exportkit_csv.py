"""A destination that writes one CSV file, whole or not at all: the smallest honest plugin."""

import csv
import glob
import gzip
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

import exportkit
from exportkit import hookimpl

OPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "string", "format": "output-path", "description": "compressed if it is a .gz"},
    "delimiter": {"type": "string", "pattern": r"^[\t !#-~]$", "maxLength": 1, "default": ","},
    "quoting": {"enum": ["all", "minimal"], "default": "all"},
    "encoding": {"type": "string", "default": "utf-8", "description": "utf-8-sig is for Excel"},
    "formulas": {"enum": ["guard", "keep"], "default": "guard"},
    "mode": {"type": "string", "pattern": "^0?[0-7]{3}$", "maxLength": 4, "default": "0600"},
}
DEFAULTS = {name: option["default"] for name, option in OPTIONS.items() if "default" in option}
NOTHING_ELSE = {"type": "object", "additionalProperties": False}


@hookimpl
def describe_destination() -> exportkit.Description:
    return exportkit.Description(
        title="CSV file",
        description="One file on this machine, complete and replaced at once.",
        connection_options=NOTHING_ELSE,
        job_options={**NOTHING_ELSE, "properties": OPTIONS, "required": ["path"]},
        limits=exportkit.Limits(batch_rows=100_000),
        third_party=False,  # nothing leaves the machine, so nobody is asked for consent
        whole=True,  # nothing shows before `finish`, so the only mode is `full`
    )


@hookimpl
@contextmanager
def connect(connection: exportkit.Connection) -> Iterator["Session"]:
    session = Session(connection.workspace)
    try:
        yield session
    finally:
        session.discard_draft()


@hookimpl
def describe_target(session: "Session", options: dict[str, Any]) -> exportkit.Catalogue:
    path = session.workspace / options["path"]
    if path.is_dir() or any(folder.is_file() for folder in path.parents):
        raise exportkit.JobError(f"{path} cannot be a file", field="path")
    try:
        "".encode(options.get("encoding", "utf-8"))
    except (LookupError, ValueError):
        raise exportkit.JobError("there is no such encoding", field="encoding") from None
    identity = os.path.relpath(path, session.workspace)  # the workspace may be moved
    return exportkit.Catalogue(name=path.name, identity=identity)


@hookimpl
def push(
    session: "Session", batch: exportkit.Batch, target: exportkit.Target
) -> exportkit.Delivery:
    with session.writing(target) as options:
        rows = batch.data if options["formulas"] == "keep" else guard_formulas(batch.data, target)
        try:
            session.append(rows)
            return exportkit.Delivery()
        except UnicodeEncodeError:
            unfit = unencodable(rows, options["encoding"])
            session.append(rows.filter(pa.array([row not in unfit for row in range(len(batch))])))
    keys = batch.keys.take(pa.array(list(unfit))).to_pylist()
    reason = f"has a character that {options['encoding']} lacks"
    rejected = zip(keys, unfit.values(), strict=True)
    return exportkit.Delivery(
        rejections=[exportkit.Rejection(key, reason, column) for key, column in rejected]
    )


@hookimpl
def finish(session: "Session", target: exportkit.Target) -> None:
    with session.writing(target) as options:
        session.commit_draft(int(options["mode"], 8))


class Session:
    """The file in the making: a draft beside the old one, which it replaces in the end."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.draft: Path | None = None

    @contextmanager
    def writing(self, target: exportkit.Target) -> Iterator[dict[str, Any]]:
        """The job's options, once the draft has its header. A disk that fails, fails the run."""
        try:
            if self.draft is None:
                self.open_draft(target)
            yield self.options
        except OSError as error:
            raise exportkit.DestinationError(f"{self.path}: {error.strerror}") from None

    def open_draft(self, target: exportkit.Target) -> None:
        self.options = {**DEFAULTS, **target.options}
        self.path = self.workspace / self.options["path"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.draft"):
            leftover.unlink(missing_ok=True)  # of a run that was killed
        handle, name = tempfile.mkstemp(".draft", f".{self.path.name}.", self.path.parent)
        self.draft, self.file = Path(name), os.fdopen(handle, "wb")
        packed = self.path.suffix == ".gz"  # with no time inside: equal rows give equal bytes
        self.sink: Any = gzip.GzipFile("", "wb", 6, self.file, 0) if packed else self.file
        self.sink.write("".encode(self.options["encoding"]))  # the byte order mark, if any
        try:
            self.append(pa.record_batch([[name] for name in target.names], names=target.names))
        except UnicodeEncodeError:
            message = "this encoding cannot write the names of the fields"
            raise exportkit.JobError(message, field="encoding") from None

    def append(self, rows: pa.RecordBatch) -> None:
        """Raises UnicodeEncodeError, with nothing written, where a character cannot be."""
        data, encoding = render(rows, self.options), self.options["encoding"]
        if encoding != "utf-8":
            data = str(data, "utf-8").encode(encoding).removeprefix("".encode(encoding))
        self.sink.write(data)

    def commit_draft(self, mode: int) -> None:
        """Safe on the disk first, then visible: a crash leaves the old file or the new one."""
        assert self.draft is not None
        if self.sink is not self.file:
            self.sink.close()
        self.file.flush()
        os.fchmod(self.file.fileno(), mode)
        os.fsync(self.file.fileno())
        self.draft.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def discard_draft(self) -> None:
        if self.draft is not None:
            self.draft.unlink(missing_ok=True)  # gone already, if it was committed
            for part in (self.sink, self.file):
                with suppress(OSError):  # a full disk has been told already
                    part.close()


def render(rows: pa.RecordBatch, options: dict[str, Any]) -> Any:
    """The rows as CSV in UTF-8: by Arrow or, ten times slower, by Python's own module."""
    if options["quoting"] == "minimal":
        text = io.StringIO()
        columns = (cells.to_pylist() for cells in rows.columns)
        csv.writer(text, delimiter=options["delimiter"]).writerows(zip(*columns, strict=True))
        return text.getvalue().encode()
    if rows.num_columns == 1:  # a null alone would be a blank line, which readers skip
        rows = pa.record_batch([pc.fill_null(rows[0], "")], names=rows.schema.names)
    style = {"delimiter": options["delimiter"], "quoting_style": "all_valid", "batch_size": 16_384}
    buffer = pa.BufferOutputStream()
    arrow_csv.write_csv(rows, buffer, arrow_csv.WriteOptions(include_header=False, **style))
    return buffer.getvalue()


def guard_formulas(rows: pa.RecordBatch, target: exportkit.Target) -> pa.RecordBatch:
    """Put ' before text that a spreadsheet would compute."""
    columns = []
    for column, cells in zip(target.columns, rows.columns, strict=True):
        if column.kind not in ("number", "phone"):
            first = pc.utf8_slice_codeunits(cells, 0, 1)
            formulas = pc.is_in(first, value_set=pa.array(["=", "+", "-", "@", "\t", "\r"]))
            if pc.any(formulas).as_py():
                cells = pc.if_else(formulas, pc.binary_join_element_wise("'", cells, ""), cells)
        columns.append(cells)
    return pa.record_batch(columns, names=rows.schema.names)


def unencodable(rows: pa.RecordBatch, encoding: str) -> dict[int, str]:
    """By row: the first column with a character that the encoding lacks."""
    found: dict[int, str] = {}
    for name, cells in zip(rows.schema.names, rows.columns, strict=True):
        for row, cell in enumerate(cells.to_pylist()):
            try:
                (cell or "").encode(encoding)
            except UnicodeEncodeError:
                found.setdefault(row, name)
    return found
