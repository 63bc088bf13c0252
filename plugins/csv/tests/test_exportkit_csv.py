"""The file that comes out, read back by others than the one that wrote it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import exportkit_csv
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
from exportkit.config.documents import read_document
from exportkit.config.schemas import check_options
from exportkit.host import Destination, load_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exportkit.errors import Complaint

NAMES = ("email", "first_name")
Rows = list[tuple[str | None, ...]]
DEFAULTS = {
    name: option["default"] for name, option in exportkit_csv.OPTIONS.items() if "default" in option
}
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
        """As the host prepares it: defaults filled in, the path absolute."""
        options = {**DEFAULTS, "path": "out.csv", **options}
        options["path"] = str(self.workspace / options["path"])
        return Target(options, Catalogue("CSV file"), self.workspace, columns)

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
    """Readers skip blank lines, or end there."""
    job.run([("a",), (None,), ("b",)], columns=(Column("email"),), quoting=quoting)
    assert read(job.file.read_text()) == [["email"], ["a"], [""], ["b"]]
    sql = "select count(*) from read_csv(?, header=true, all_varchar=true)"
    assert duckdb.execute(sql, [str(job.file)]).fetchall() == [(3,)]


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


@pytest.mark.parametrize("encoding", exportkit_csv.OPTIONS["encoding"]["enum"])
@pytest.mark.parametrize("quoting", ["all", "minimal"])
def test_every_encoding(job: Job, encoding: str, quoting: str) -> None:
    job.run([("a", "Zoë")], [("b", "x")], encoding=encoding, quoting=quoting)
    data = job.file.read_bytes()
    mark = "".encode(encoding)
    assert mark == (b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b"")
    assert data.startswith(mark)
    assert "\ufeff" not in data.decode(encoding)
    assert read(data.decode(encoding)) == [list(NAMES), ["a", "Zoë"], ["b", "x"]]


def test_an_empty_file_for_excel_has_its_mark(job: Job) -> None:
    job.run(encoding="utf-8-sig")
    assert job.file.read_bytes() == b'\xef\xbb\xbf"email","first_name"\n'


@pytest.mark.parametrize("quoting", ["all", "minimal"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_a_row_that_the_encoding_cannot_write_is_rejected(
    job: Job, encoding: str, quoting: str
) -> None:
    rows: Rows = [("a", "Zoë"), ("b", "Αθήνα"), ("c", None), ("Ω", "Ω"), ("=d", "d")]
    unfit, fit = job.run(rows, [("e", "e")], encoding=encoding, quoting=quoting)
    reason = f"does not fit {encoding}"
    assert unfit == Delivery(rejections=(Rejection("0-1", reason), Rejection("0-3", reason)))
    assert fit == Delivery()
    assert read(job.file.read_text(encoding=encoding))[1:] == [
        ["a", "Zoë"],
        ["c", ""],
        ["'=d", "d"],
        ["e", "e"],
    ]


def test_a_batch_of_which_nothing_fits_leaves_a_header(job: Job) -> None:
    (delivery,) = job.run([("Ω", "Ω")], encoding="latin-1")
    assert [rejection.key for rejection in delivery.rejections] == ["0-0"]
    assert job.file.read_bytes() == b'"email","first_name"\n'


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.tuples(cells, st.none() | cells), max_size=8), quoting=QUOTING)
def test_each_row_is_written_or_rejected(
    destination: Destination, rows: Rows, quoting: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        job = Job(destination, Path(folder))
        (delivery,) = job.run(rows, quoting=quoting, formulas="keep", encoding="cp1252")
        found = read(job.file.read_bytes().decode("cp1252"))
    refused = {rejection.key for rejection in delivery.rejections}
    kept = [row for number, row in enumerate(rows) if f"0-{number}" not in refused]
    assert found[1:] == [[cell or "" for cell in row] for row in kept]
    for number, row in enumerate(rows):
        if f"0-{number}" in refused:
            with pytest.raises(UnicodeEncodeError):
                "".join(cell or "" for cell in row).encode("cp1252")


@pytest.mark.parametrize("quoting", ["all", "minimal"])
@pytest.mark.parametrize("rows", [[], [[("a",)]]])
def test_field_names_that_the_encoding_cannot_write_are_an_error_in_the_job(
    job: Job, quoting: str, rows: list[Rows]
) -> None:
    with pytest.raises(JobError, match="field names do not fit") as caught:
        job.run(*rows, columns=(Column("πόλη"),), encoding="latin-1", quoting=quoting)
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


def test_a_compressed_run_that_does_not_finish_leaves_nothing(job: Job) -> None:
    target = job.target({"path": "out.csv.gz"}, tuple(map(Column, NAMES)))
    with job.destination.connect(job.connection) as session:
        job.destination.push(session, make_batch(NASTY, NAMES), target)
    assert session.draft.file.closed, "it would complain when it is collected"
    assert job.left() == []


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o600), ("0644", 0o644), ("0640", 0o640)])
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


@pytest.fixture
def complaints(
    destination: Destination, tmp_path: Path
) -> Callable[[dict[str, Any]], list[Complaint]]:
    """What the host says to a job's `destination:`."""

    def check(options: dict[str, Any]) -> list[Complaint]:
        file = tmp_path / "job.yaml"
        file.write_text(json.dumps({"destination": options}))
        document = read_document(file, "job.yaml")
        return check_options(document, ("destination",), destination.describe().job_options)

    return check


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({}, ""),
        ({"path": 7}, ".path"),
        ({"path": ""}, ".path"),
        ({"path": "a", "delimiter": '"'}, ".delimiter"),
        ({"path": "a", "delimiter": "\n"}, ".delimiter"),
        ({"path": "a", "delimiter": ";;"}, ".delimiter"),
        ({"path": "a", "delimiter": ""}, ".delimiter"),
        ({"path": "a", "delimiter": ",\n"}, ".delimiter"),
        ({"path": "a", "delimiter": "·"}, ".delimiter"),
        ({"path": "a", "quoting": "none"}, ".quoting"),
        ({"path": "a", "encoding": "utf-9"}, ".encoding"),
        ({"path": "a", "encoding": "UTF-8"}, ".encoding"),
        ({"path": "a", "formulas": False}, ".formulas"),
        ({"path": "a", "mode": 600}, ".mode"),
        ({"path": "a", "mode": "0800"}, ".mode"),
        ({"path": "a", "mode": "600"}, ".mode"),
        ({"path": "a", "mode": "u+r"}, ".mode"),
        ({"path": "a", "append": True}, ".append"),
    ],
)
def test_the_schema_refuses_what_cannot_work(
    complaints: Callable[[dict[str, Any]], list[Complaint]], options: dict[str, Any], at: str
) -> None:
    (complaint,) = complaints(options)
    assert complaint.location is not None
    assert complaint.location.path == f"destination{at}"


def test_the_schema_accepts_what_works(
    complaints: Callable[[dict[str, Any]], list[Complaint]],
) -> None:
    for delimiter in ",;|\t :":
        assert complaints({"path": "a.csv", "delimiter": delimiter}) == []
    assert complaints({"path": "a.csv", **DEFAULTS}) == []


def test_every_delimiter_that_the_schema_accepts_works(job: Job) -> None:
    pattern = re.compile(exportkit_csv.OPTIONS["delimiter"]["pattern"])
    accepted = [chr(code) for code in range(256) if pattern.search(chr(code))]
    assert len(accepted) == 95
    rows: Rows = [("".join(accepted), None), (" ", '"')]
    for delimiter in accepted:
        for quoting in ("all", "minimal"):
            job.run(rows, delimiter=delimiter, quoting=quoting, formulas="keep")
            found = read(job.file.read_bytes().decode(), delimiter)
            assert found == [list(NAMES), *([cell or "" for cell in row] for row in rows)]


def test_the_readme_lists_every_option_with_its_default() -> None:
    page = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r'^\| `(\w+)` \| (?:`"?([^`"]+)"?`)? ?\|', page, flags=re.MULTILINE)
    options = exportkit_csv.OPTIONS.items()
    assert listed == [(name, option.get("default", "")) for name, option in options]


def test_nothing_leaves_the_machine(destination: Destination) -> None:
    description = destination.describe()
    assert not description.third_party
    assert description.whole
    assert description.modes == ("full",)
    assert description.fields == ()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As if the disk had no more room than that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("out.csv", [("x" * 1000, "y")] * 200),  # fails in push
        ("out.csv", [("x" * 100, "y")] * 10),  # fails in finish: until then it was in memory
        ("out.csv.gz", [(os.urandom(2000).hex(), "y") for _ in range(200)]),
    ],
)
def test_a_full_disk_is_told_and_leaves_what_was_there(
    job: Job, path: str, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    (job.workspace / path).write_text("old")
    with files_of_at_most(500), pytest.raises(DestinationError, match=r"^csv: file too large"):
        job.run(rows, path=path)
    assert (job.workspace / path).read_text() == "old"
    assert job.left() == [path]
    assert caplog.messages == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told(job: Job) -> None:
    job.workspace.chmod(0o500)
    try:
        with pytest.raises(DestinationError, match=r"^csv: permission denied"):
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


def test_two_jobs_with_one_file_leave_the_whole_file_of_the_last(job: Job) -> None:
    target = job.target({}, tuple(map(Column, NAMES)))
    with job.destination.connect(job.connection) as session:
        job.destination.push(session, make_batch([("slow", "1")], NAMES), target)
        job.run([("quick", "2")])
        assert read(job.file.read_text())[1:] == [["quick", "2"]]
        job.destination.push(session, make_batch([("slow", "3")], NAMES, "1"), target)
        job.destination.finish(session, target)
    assert read(job.file.read_text())[1:] == [["slow", "1"], ["slow", "3"]]
    assert job.left() == ["out.csv"]


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


def test_it_is_short_enough_to_read_at_once() -> None:
    assert len(Path(exportkit_csv.__file__).read_text().splitlines()) < 100
