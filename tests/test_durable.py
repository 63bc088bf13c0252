"""The old file or the new one, whatever happens to the process that writes it."""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exportkit import Draft, durable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is there already, alone in its folder."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    return path


def write(path: Path, text: str = "new", mode: int = 0o600) -> None:
    with Draft(path, mode) as draft:
        draft.file.write(text.encode())
        draft.commit()


def names(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir())


def test_the_draft_takes_the_place_of_the_file_at_commit(path: Path) -> None:
    with Draft(path) as draft:
        draft.file.write(b"new")
        assert path.read_text() == "old"
        draft.commit()
        assert path.read_text() == "new"
    assert path.read_text() == "new"
    assert names(path) == ["file.txt"]


def test_what_is_not_committed_is_discarded(path: Path) -> None:
    with Draft(path) as draft:
        draft.file.write(b"new")
    assert path.read_text() == "old"
    assert names(path) == ["file.txt"]


def test_an_error_is_raised_on_and_discards(path: Path) -> None:
    def fail() -> None:
        with Draft(path) as draft:
            draft.file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(path) == ["file.txt"]


def test_nothing_written_is_an_empty_file(path: Path) -> None:
    write(path, "")
    assert path.read_bytes() == b""


def test_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write(path)
    assert path.read_text() == "new"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o400])
def test_the_mode_is_the_asked_one_whatever_was_there_and_whatever_the_umask(
    path: Path, mode: int
) -> None:
    path.chmod(0o666)
    before = os.umask(0o077)
    try:
        write(path, mode=mode)
        write(path, mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_draft_is_private_until_it_is_committed(path: Path) -> None:
    before = os.umask(0)
    try:
        with Draft(path, 0o666):
            (draft,) = set(path.parent.iterdir()) - {path}
            assert stat.S_IMODE(draft.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_link_is_replaced_not_followed(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    write(link)
    assert path.read_text() == "old"
    assert not link.is_symlink()


def test_who_reads_the_old_file_reads_it_to_its_end(path: Path) -> None:
    with path.open() as reader:
        write(path)
        assert reader.read() == "old"


def test_everything_is_on_the_disk_before_it_shows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content before the name, the name before `commit` returns: else a crash loses it."""
    seen: list[tuple[str, str]] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        sync(descriptor)
        what = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        size = os.fstat(descriptor).st_size
        assert what == "folder" or size == len("new"), "flushed before it is synced"
        seen.append((what, path.read_text()))

    monkeypatch.setattr(os, "fsync", watched)
    write(path)
    assert seen == [("file", "old"), ("folder", "new")]


def test_a_large_draft_is_synced_while_it_grows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(durable, "_sync_data", lambda file: sizes.append(os.fstat(file).st_size))
    mebibyte = bytes(2**20)
    with Draft(path) as draft:
        for _ in range(40):
            draft.file.write(mebibyte)
            time.sleep(0.001)
        draft.commit()
    assert sizes, "nothing was synced ahead"
    assert min(sizes) < 40 * 2**20 == path.stat().st_size


def test_a_disk_that_fails_ahead_of_the_end_is_told_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells of it once: whoever syncs again hears that all is well."""

    def fails(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(durable, "_sync_data", fails)
    with Draft(path) as draft:
        draft.file.write(bytes(2**24))
        with pytest.raises(OSError, match="Input/output error"):
            draft.commit()
    assert path.read_text() == "old"
    assert names(path) == ["file.txt"]


def test_something_may_write_into_the_draft_s_file(path: Path) -> None:
    with Draft(path) as draft:
        draft.file = gzip.GzipFile("", "wb", fileobj=draft.file)
        draft.file.write(b"new")
        draft.commit()
    assert gzip.decompress(path.read_bytes()) == b"new"


def test_something_that_wrote_into_a_discarded_draft_is_closed(path: Path) -> None:
    with Draft(path) as draft:
        draft.file = gzip.GzipFile("", "wb", fileobj=draft.file)
        draft.file.write(b"new")
    assert draft.file.closed
    assert names(path) == ["file.txt"]


def test_a_writer_may_close_the_file_before_the_commit(path: Path) -> None:
    with Draft(path) as draft:
        draft.file.write(b"new")
        draft.file.close()
        write(path, "quicker")
        draft.commit()
    assert path.read_text() == "new"
    assert names(path) == ["file.txt"]


def test_without_a_context_it_works_too(path: Path) -> None:
    draft = Draft(path)
    draft.file.write(b"new")
    draft.commit()
    assert path.read_text() == "new"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_at_commit_leaves_the_old_file(path: Path) -> None:
    with files_of_at_most(100), pytest.raises(OSError, match="File too large"):
        write(path, "x" * 200)
    assert path.read_text() == "old"
    assert names(path) == ["file.txt"]


def test_discarding_on_a_full_disk_raises_nothing(path: Path) -> None:
    with files_of_at_most(100), Draft(path) as draft:
        draft.file.write(b"x" * 200)
    assert names(path) == ["file.txt"]


def test_a_folder_in_the_file_s_place_is_an_error_and_stays(path: Path) -> None:
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write(path)
    assert names(path) == ["file.txt"]


def test_a_file_in_a_folder_s_place_is_an_error(path: Path) -> None:
    with pytest.raises((FileExistsError, NotADirectoryError)):
        Draft(path / "deeper" / "file")


KILLED = """
import sys, time
from pathlib import Path
from exportkit import Draft

with Draft(Path(sys.argv[1])) as draft:
    draft.file.write(b"half")
    draft.file.flush()
    print("written", flush=True)
    time.sleep(60)
"""


@contextmanager
def another_writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a draft of this file; killed at the end."""
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        try:
            yield process
        finally:
            process.kill()


def test_what_a_killed_process_left_is_discarded_by_the_next(path: Path) -> None:
    with another_writer(path):
        pass
    assert path.read_text() == "old"
    assert len(names(path)) == 2, "the draft is left"
    write(path)
    assert path.read_text() == "new"
    assert names(path) == ["file.txt"]


def test_the_draft_of_a_living_process_is_left_alone(path: Path) -> None:
    with another_writer(path):
        write(path)
        assert len(names(path)) == 2
    assert path.read_text() == "new"


def test_leftovers_are_told_from_other_files(path: Path) -> None:
    others = [
        ".file.txt.draft",
        ".file.txt.notes.draft",
        ".file.txt.old.0123abcd.draft",
        ".other.txt.0123abcd.draft",
        "file.txt.0123abcd.draft",
    ]
    for name in others:
        (path.parent / name).touch()
    (path.parent / ".file.txt.0123abcd.draft").touch()
    write(path)
    assert names(path) == sorted([*others, "file.txt"])


def test_a_leftover_that_is_no_file_disturbs_nobody(path: Path) -> None:
    (path.parent / ".file.txt.0123abcd.draft").symlink_to(path)
    (path.parent / ".file.txt.00000000.draft").mkdir()
    write(path)
    assert path.read_text() == "new"


def test_names_with_patterns_in_them_are_names(tmp_path: Path) -> None:
    path, other = tmp_path / "[ab]*.csv", tmp_path / ".a.csv.0123abcd.draft"
    other.touch()
    (tmp_path / ".[ab]*.csv.0123abcd.draft").touch()
    write(path)
    assert names(path) == sorted([path.name, other.name])


def test_many_at_once_leave_one_whole_file_and_no_draft(path: Path) -> None:
    failures: list[OSError] = []

    def many(text: str) -> None:
        try:
            for _ in range(50):
                write(path, text * 1000)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=many, args=[text]) for text in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert path.read_text() in {"old", *(text * 1000 for text in "abcd")}
    for thread in threads:
        thread.join()
    assert failures == []
    assert names(path) == ["file.txt"]


def test_a_draft_that_is_discarded_before_it_is_locked_is_made_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instant between making a file and locking it belongs to whoever cleans up."""
    taken: list[Path] = []
    lock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        if not taken:
            (draft,) = set(path.parent.iterdir()) - {path}
            taken.append(draft)
            draft.unlink()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write(path)
    assert taken
    assert path.read_text() == "new"


def test_where_there_are_no_locks_drafts_work_and_nothing_is_discarded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    (path.parent / ".file.txt.0123abcd.draft").touch()
    monkeypatch.setattr(fcntl, "flock", none)
    write(path)
    assert path.read_text() == "new"
    assert names(path) == [".file.txt.0123abcd.draft", "file.txt"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are listed on Linux")
def test_no_descriptor_is_left_open(path: Path) -> None:
    folder = Path("/proc/self/fd")
    before = len(list(folder.iterdir()))
    for _ in range(5):
        write(path)
        with Draft(path):
            pass
    assert len(list(folder.iterdir())) == before
