"""The file that comes out, read back by others than the one that wrote it."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import exportkit_csv
import jsonschema
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportkit import (
    Batch,
    Catalogue,
    Column,
    Connection,
    Delivery,
    DestinationError,
    JobError,
    Rejection,
    Target,
)
from exportkit.host import Destination, load_plugins

NAMES = ("email", "first_name")
Rows = list[tuple[str | None, ...]]
QUOTING = st.sampled_from(["all", "minimal"])


@pytest.fixture(scope="module")
def destination() -> Destination:
    return load_plugins().destination("csv")


class Job:
    """One job that writes into a workspace, through the same facade as the host's."""

    def __init__(self, destination: Destination, workspace: Path) -> None:
        self.destination = destination
        self.workspace = workspace
        self.connection = Connection("files", "csv", "Files", {}, workspace)

    def target(self, options: dict[str, Any], columns: tuple[Column, ...]) -> Target:
        return Target({"path": "out.csv", **options}, Catalogue("out.csv"), self.workspace, columns)

    def run(
        self,
        *batches: Rows,
        columns: tuple[Column, ...] = tuple(map(Column, NAMES)),
        finish: bool = True,
        **options: Any,
    ) -> list[Delivery]:
        """Push the batches and finish; the key of a row is `BATCH-ROW`."""
        target = self.target(options, columns)
        with self.destination.connect(self.connection) as session:
            self.destination.describe_target(session, target.options)
            deliveries = [
                self.destination.push(session, make_batch(rows, target.names, str(number)), target)
                for number, rows in enumerate(batches)
            ]
            if finish:
                self.destination.finish(session, target)
        return deliveries

    @property
    def file(self) -> Path:
        return self.workspace / "out.csv"

    def left(self) -> list[str]:
        return sorted(path.name for path in self.workspace.iterdir())


def make_batch(rows: Rows, names: tuple[str, ...], number: str = "0") -> Batch:
    columns = [pa.array([row[index] for row in rows], pa.string()) for index in range(len(names))]
    keys = pa.array([f"{number}-{row}" for row in range(len(rows))], pa.string())
    data = pa.record_batch(columns, names=list(names))
    return Batch(f"r1-{number}", "r1", "add", data, keys)


@pytest.fixture
def job(destination: Destination, tmp_path: Path) -> Job:
    return Job(destination, tmp_path)


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


NASTY: Rows = [
    ("ann@example.com", 'O"Hara, Ann'),
    ("bob@example.com", "two\nlines"),
    ("cyd@example.com", None),
    ("dee@example.com", "Αθήνα 🏛"),
    ("eve@example.com", "a\rb;c\td'e"),
    (None, " spaced "),
]


@pytest.mark.parametrize("quoting", ["all", "minimal"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_goes_in_comes_out(job: Job, quoting: str, delimiter: str) -> None:
    assert job.run(NASTY[:3], NASTY[3:], quoting=quoting, delimiter=delimiter) == [
        Delivery(),
        Delivery(),
    ]
    text = job.file.read_bytes().decode()
    assert read(text, delimiter) == [list(NAMES), *([cell or "" for cell in row] for row in NASTY)]
    assert job.left() == ["out.csv"]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(cells, st.none() | cells), max_size=8), quoting=QUOTING)
def test_any_text_comes_out_as_it_went_in(
    destination: Destination, rows: Rows, quoting: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        job = Job(destination, Path(folder))
        job.run(rows, quoting=quoting, formulas="keep")
        found = read(job.file.read_bytes().decode())
    assert found[1:] == [[cell or "" for cell in row] for row in rows]


@pytest.mark.parametrize("quoting", ["all", "minimal"])
def test_a_database_reads_it_too(job: Job, quoting: str) -> None:
    job.run(NASTY, quoting=quoting)
    sql = "from read_csv(?, header=true, all_varchar=true, quote='\"', escape='\"')"
    found = duckdb.execute(sql, [str(job.file)]).fetchall()
    assert found == NASTY


def test_the_bytes_are_as_documented(job: Job) -> None:
    rows: Rows = [("ann@example.com", 'a"b'), ("bob@example.com", None)]
    job.run(rows)
    assert job.file.read_bytes() == (
        b'"email","first_name"\n"ann@example.com","a""b"\n"bob@example.com",\n'
    )
    job.run(rows, quoting="minimal")
    assert job.file.read_bytes() == (
        b'email,first_name\r\nann@example.com,"a""b"\r\nbob@example.com,\r\n'
    )


@pytest.mark.parametrize("quoting", ["all", "minimal"])
def test_a_null_alone_is_still_a_row(job: Job, quoting: str) -> None:
    job.run([("a",), (None,), ("b",)], columns=(Column("email"),), quoting=quoting)
    assert read(job.file.read_text()) == [["email"], ["a"], [""], ["b"]]


def test_the_header_keeps_the_order_of_the_map(job: Job) -> None:
    names = ("z", "a", "with, comma", 'with "quotes"')
    job.run([("1", "2", "3", "4")], columns=tuple(map(Column, names)))
    assert read(job.file.read_text()) == [list(names), ["1", "2", "3", "4"]]


def test_a_complete_run_without_rows_writes_the_header(job: Job) -> None:
    job.run()
    assert job.file.read_bytes() == b'"email","first_name"\n'


def test_the_file_is_replaced_not_appended_to(job: Job) -> None:
    job.run([("ann@example.com", "Ann")])
    job.run([("bob@example.com", "Bob")])
    assert "ann@example.com" not in job.file.read_text()


def test_missing_folders_are_made(job: Job) -> None:
    job.run([("a", "b")], path="deep/er/out.csv")
    assert (job.workspace / "deep/er/out.csv").exists()


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x","y")']
)
@pytest.mark.parametrize("quoting", ["all", "minimal"])
def test_formulas_are_guarded(job: Job, cell: str, quoting: str) -> None:
    job.run([("ann@example.com", cell), ("bob@example.com", "a=b")], quoting=quoting)
    text = job.file.read_bytes().decode()
    assert [row[1] for row in read(text)[1:]] == ["'" + cell, "a=b"]


@pytest.mark.parametrize("kind", ["number", "phone"])
def test_numbers_and_phones_are_no_formulas(job: Job, kind: Any) -> None:
    columns = (Column("email"), Column("value", kind=kind))
    job.run([("=a", "-12.50"), ("b", "+30 210")], columns=columns)
    assert read(job.file.read_text())[1:] == [["'=a", "-12.50"], ["b", "+30 210"]]


def test_formulas_are_kept_for_machines(job: Job) -> None:
    job.run([("ann@example.com", "=1+1")], formulas="keep")
    assert read(job.file.read_text())[1][1] == "=1+1"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16", "cp1253", "utf-16-le"]
)
@pytest.mark.parametrize("quoting", ["all", "minimal"])
def test_any_encoding_of_python_s(job: Job, encoding: str, quoting: str) -> None:
    job.run([("a", "Αθήνα")], [("b", "x")], encoding=encoding, quoting=quoting)
    data = job.file.read_bytes()
    mark = "".encode(encoding)
    assert data.startswith(mark)
    assert data.count(mark) == 1 or not mark
    assert read(data.decode(encoding)) == [list(NAMES), ["a", "Αθήνα"], ["b", "x"]]


@pytest.mark.parametrize("quoting", ["all", "minimal"])
def test_a_row_that_the_encoding_cannot_write_is_rejected(job: Job, quoting: str) -> None:
    rows: Rows = [("a", "Zoë"), ("b", "Αθήνα"), ("c", None), ("Ω", "Ω")]
    (delivery,) = job.run(rows, encoding="latin-1", quoting=quoting)
    reason = "has a character that latin-1 lacks"
    assert set(delivery.rejections) == {
        Rejection("0-1", reason, "first_name"),
        Rejection("0-3", reason, "email"),
    }
    text = job.file.read_text(encoding="latin-1")
    assert read(text) == [list(NAMES), ["a", "Zoë"], ["c", ""]]


def test_field_names_that_the_encoding_cannot_write_are_an_error_in_the_job(job: Job) -> None:
    with pytest.raises(JobError, match="names of the fields") as caught:
        job.run([("a",)], columns=(Column("πόλη"),), encoding="ascii")
    assert caught.value.field == "encoding"
    assert job.left() == []


def test_gzip_by_name_gives_the_same_bytes_each_time(job: Job) -> None:
    file = job.workspace / "out.csv.gz"
    job.run(NASTY, path=file.name)
    first = file.read_bytes()
    assert read(gzip.decompress(first).decode())[0] == list(NAMES)
    time.sleep(1.1)  # gzip keeps seconds
    job.run(NASTY, path=file.name)
    assert file.read_bytes() == first


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o600), ("0644", 0o644), ("640", 0o640)])
def test_the_file_is_its_owner_s_unless_the_job_says_otherwise(
    job: Job, mode: str | None, expected: int
) -> None:
    job.file.write_text("old")
    job.file.chmod(0o666)
    job.run([("a", "b")], **({"mode": mode} if mode else {}))
    assert stat.S_IMODE(job.file.stat().st_mode) == expected


def test_a_run_that_does_not_finish_leaves_what_was_there(job: Job) -> None:
    job.file.write_text("old")
    job.run([("a", "b")], finish=False)
    assert job.file.read_text() == "old"
    assert job.left() == ["out.csv"]


def test_until_it_is_finished_only_a_private_draft_is_there(job: Job) -> None:
    target = job.target({"mode": "0644"}, tuple(map(Column, NAMES)))
    with job.destination.connect(job.connection) as session:
        job.destination.push(session, make_batch(NASTY, NAMES), target)
        (draft,) = job.workspace.iterdir()
        assert draft.name.startswith(".out.csv.")
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
    assert job.left() == []


def test_a_link_is_replaced_not_followed(
    job: Job, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "precious"
    elsewhere.write_text("precious")
    job.file.symlink_to(elsewhere)
    job.run([("a", "b")])
    assert elsewhere.read_text() == "precious"
    assert not job.file.is_symlink()


def test_what_cannot_be_a_file_is_refused(job: Job) -> None:
    (job.workspace / "folder").mkdir()
    (job.workspace / "file").touch()
    for path in ("folder", "file/out.csv", "file/deeper/out.csv"):
        with pytest.raises(JobError, match="cannot be a file") as caught:
            job.run(path=path)
        assert caught.value.field == "path"


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "undefined", "a\0b", ""])
def test_an_unknown_encoding_is_refused(job: Job, encoding: str) -> None:
    with pytest.raises(JobError, match="no such encoding"):
        job.run(encoding=encoding)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"path": 7},
        {"path": "a", "delimiter": '"'},
        {"path": "a", "delimiter": "\n"},
        {"path": "a", "delimiter": ";;"},
        {"path": "a", "delimiter": ""},
        {"path": "a", "delimiter": ",\n"},
        {"path": "a", "quoting": "none"},
        {"path": "a", "formulas": False},
        {"path": "a", "mode": 600},
        {"path": "a", "mode": "0800"},
        {"path": "a", "mode": "u+r"},
        {"path": "a", "append": True},
    ],
)
def test_the_schema_refuses_what_cannot_work(
    destination: Destination, options: dict[str, Any]
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(options, dict(destination.describe().job_options))


def test_the_schema_accepts_what_works(destination: Destination) -> None:
    description = destination.describe()
    schema = dict(description.job_options)
    for delimiter in ",;|\t :":
        jsonschema.validate({"path": "a.csv", "delimiter": delimiter}, schema)
    jsonschema.validate({"path": "a.csv", **exportkit_csv.DEFAULTS}, schema)
    jsonschema.validate({}, dict(description.connection_options))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"password": "x"}, dict(description.connection_options))


def test_the_readme_lists_every_option_with_its_default() -> None:
    page = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r'^\| `(\w+)` \| (?:`"?([^`"]+)"?`)? ?\|', page, flags=re.MULTILINE)
    options = exportkit_csv.OPTIONS.items()
    assert listed == [(name, option.get("default", "")) for name, option in options]


def test_the_target_is_known_by_its_path_in_the_workspace(job: Job) -> None:
    with job.destination.connect(job.connection) as session:
        for path in ("out/vip.csv", str(job.workspace / "out" / "vip.csv")):
            found = job.destination.describe_target(session, {"path": path})
            assert found == Catalogue("vip.csv", identity="out/vip.csv")


def test_nothing_leaves_the_machine(destination: Destination) -> None:
    description = destination.describe()
    assert not description.third_party
    assert description.whole
    assert description.modes == ("full",)
    assert description.fields == ()


def test_a_full_disk_is_told_and_leaves_nothing(job: Job) -> None:
    job.file.write_text("old")
    rows: Rows = [("x" * 1000, "y")] * 200
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(DestinationError, match=r"out\.csv: File too large"):
            job.run(rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert job.file.read_text() == "old"
    assert job.left() == ["out.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told(job: Job) -> None:
    job.workspace.chmod(0o500)
    try:
        with pytest.raises(DestinationError, match="Permission denied"):
            job.run([("a", "b")])
    finally:
        job.workspace.chmod(0o700)


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_exportkit_csv import NAMES, Column, Job, load_plugins, make_batch

job = Job(load_plugins().destination("csv"), Path({workspace!r}))
target = job.target({{}}, tuple(map(Column, NAMES)))
with job.destination.connect(job.connection) as session:
    for number in range(20):
        rows = [(f"new{{row}}@example.com", "x" * 100) for row in range(1000)]
        job.destination.push(session, make_batch(rows, NAMES, str(number)), target)
    print("pushed", flush=True)
    time.sleep(60)
"""


def test_a_killed_run_leaves_the_old_file_and_the_next_one_cleans_up(job: Job) -> None:
    job.run([("old@example.com", "Old")])
    old = job.file.read_bytes()
    code = KILLED.format(tests=str(Path(__file__).parent), workspace=str(job.workspace))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "pushed\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert job.file.read_bytes() == old
    assert len(job.left()) == 2, "the killed run has left a draft"
    job.run([("new@example.com", "New")])
    assert read(job.file.read_text())[1:] == [["new@example.com", "New"]]
    assert job.left() == ["out.csv"]


def test_the_drafts_of_other_files_are_left_alone(job: Job) -> None:
    other = job.workspace / ".other.csv.x.draft"
    other.touch()
    (job.workspace / ".[o]ut.csv.x.draft").touch()
    job.run([("a", "b")])
    assert job.left() == [".[o]ut.csv.x.draft", ".other.csv.x.draft", "out.csv"]


def test_a_million_rows_take_no_time_and_no_memory(job: Job) -> None:
    count, step = 1_000_000, 100_000
    names = ("email", "first_name", "last_name", "tier")
    emails = pa.array([f"user{number}@example.com" for number in range(count)])
    texts = [pa.array([text]).take(pa.array([0] * count)) for text in ("Ann", "Lee", "gold")]
    data = pa.record_batch([emails, *texts], names=list(names))
    target = job.target({}, tuple(map(Column, names)))
    memory = pa.total_allocated_bytes()
    started = time.perf_counter()
    with job.destination.connect(job.connection) as session:
        for start in range(0, count, step):
            part = data.slice(start, step)
            batch = Batch(str(start), "r1", "add", part, part["email"])
            job.destination.push(session, batch, target)
            assert pa.total_allocated_bytes() - memory < 32_000_000
        job.destination.finish(session, target)
    took = time.perf_counter() - started
    with job.file.open() as lines:
        assert sum(1 for _ in lines) == count + 1
    assert took < 2.5, f"{took:.2f} s; about 0.15 s on an idle machine"


def test_only_public_names_of_the_host_are_used() -> None:
    import ast

    import exportkit

    tree = ast.parse(Path(exportkit_csv.__file__).read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "exportkit"
    }
    imported = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "exportkit"
        for name in node.names
    }
    assert used | imported <= set(exportkit.__all__)
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    assert not any(module.startswith("exportkit.") for module in modules)
