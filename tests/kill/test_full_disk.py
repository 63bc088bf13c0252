"""A disk that is full, or may not be written: said so, nothing lost, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exportkit.testing import Difference, Ended

from .conftest import settled, undisturbed, write_people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import MakeTrial, Trial

FEW = 300
PAGE = 4096


class Disk:
    """A small file system that holds the state folder of a trial."""

    def __init__(self, trial: Trial) -> None:
        self.state = trial.runner.workspace / ".exportkit"
        elsewhere = self.state.with_name("moved")
        shutil.move(self.state, elsewhere)
        self.state.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=3m", "tmpfs")
        shutil.copytree(elsewhere, self.state, dirs_exist_ok=True)

    def _mount(self, *arguments: str) -> None:
        command = ["mount", *arguments, str(self.state)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def leave(self, pages: int) -> None:
        """Fill the disk until only so many pages are free."""
        free = os.statvfs(self.state).f_bavail
        with (self.state / "ballast").open("wb") as ballast:
            ballast.write(b"\0" * PAGE * max(free - pages, 0))
        assert os.statvfs(self.state).f_bavail == pages

    def free(self) -> None:
        (self.state / "ballast").unlink()

    def may_be_written(self, yes: bool) -> None:
        self._mount("-o", f"remount,{'rw' if yes else 'ro'}")


@pytest.fixture
def disk(trial: MakeTrial) -> Iterator[tuple[Trial, Disk]]:
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    subject = trial("mirror", FEW, begun=True)
    mounted = Disk(subject)
    yield subject, mounted
    subprocess.run(["umount", "-l", str(mounted.state)], check=True)


def failed(done: Ended) -> str:
    """What a run said that could not write its state."""
    assert done.code == 1, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stdout
    error = done.error
    assert error["kind"] == "journal", error
    assert error["hint"]
    return f"{error['message']} ({error['hint']})"


@pytest.mark.parametrize("pages", [0, 3, 9, 12, 16, 20, 26, 32, 40])
def test_a_full_disk(disk: tuple[Trial, Disk], pages: int) -> None:
    subject, small = disk
    small.leave(pages)
    done = subject.runner.run()
    if done.code or pages < 9:  # the more there is, the further it comes
        said = failed(done)
        assert "disk is full" in said or "no space left" in said, said
    small.free()
    undisturbed(subject.runner)
    assert subject.difference() == Difference()
    settled(subject)


def test_a_disk_that_may_not_be_written(disk: tuple[Trial, Disk]) -> None:
    subject, small = disk
    small.may_be_written(False)
    said = failed(subject.runner.run())
    assert str(small.state) in said
    assert "write" in said
    small.may_be_written(True)
    counts = undisturbed(subject.runner)
    assert counts["added"] == 45
    assert subject.difference() == Difference()


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from exportkit.cli import main
main()
"""


def test_a_file_that_grows_too_large(trial: MakeTrial) -> None:
    subject = trial("upsert", 20_000)
    write_people(subject.runner.workspace, 20_000, 0)
    said = failed(replace(subject.runner, command=LIMITED).run())
    assert "file too large" in said or "full" in said, said
    with subject.runner.ledger() as ledger:
        assert ledger.calls("push") == []
    undisturbed(subject.runner)


def unwritable(path: Path) -> bool:
    return not os.access(path, os.W_OK)


def test_a_state_folder_of_somebody_else(trial: MakeTrial) -> None:
    subject = trial("mirror", FEW, begun=True)
    state = subject.runner.workspace / ".exportkit"
    (state / "runs").chmod(0o500)
    try:
        if not unwritable(state / "runs"):
            pytest.skip("root may write everywhere")
        assert str(state / "runs") in failed(subject.runner.run())
    finally:
        (state / "runs").chmod(0o700)
    undisturbed(subject.runner)
