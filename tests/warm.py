"""Processes that begin with everything imported: a short command's time is mostly its imports.

Each is a real process, forked from a server (the standard library's) that has imported exportkit
and its libraries and done nothing else; it can be stopped and killed like any other. It runs what
`python -c` would run, with an environment, a folder and streams of its own. Tests of how a command
starts, or that change a module before others import it, use `subprocess`.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from contextlib import ExitStack, suppress
from functools import cache
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import exportkit
from exportkit.testing import Runner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from multiprocessing.context import ForkServerContext

EXPORTKIT = "from exportkit.cli import main; main()"
LIBRARIES = (
    "duckdb",
    "jsonschema",
    "numpy",
    "pandas",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "sqlglot.dialects.duckdb",
)


class Process:
    """A running `python -c code words`, with the methods of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        code: str,
        words: Iterable[object] = (),
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        typed: str = "",
    ) -> None:
        with ExitStack() as opened:
            self._streams = [
                opened.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
                for _ in range(3)
            ]
            self._streams[0].write(typed)
            self._streams[0].seek(0)
            weakref.finalize(self, opened.pop_all().close)
        start = {
            "code": code,
            "words": [str(word) for word in words],
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
            "path": _path(),
        }
        self._process = _server().Process(target=_Begin(start, self._streams), daemon=True)
        self._process.start()
        assert self._process.pid
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send it SIGKILL, if it still runs."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has said on stdout and stderr, at its end. Raises TimeoutExpired."""
        self.wait(timeout)
        for stream in self._streams[1:]:
            stream.seek(0)
        return self._streams[1].read(), self._streams[2].read()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.join()


class WarmRunner(Runner):
    """A job to be run again and again, each time in a process that begins with its imports done."""

    def start(self, *options: str) -> Process:  # type: ignore[override]
        """Begin to run the job, to be signalled or killed; `ended` waits for its end, as ever."""
        paths = [str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])]
        return Process(
            self.command,
            ["--workspace", self.workspace, "run", self.job, "--json", *options],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )


class _Begin:
    """What a new process does: become what `python -c` would be, then run the code."""

    def __init__(self, start: dict[str, Any], streams: Iterable[Any]) -> None:
        self._start = start
        self._streams = list(streams)

    def __getstate__(self) -> dict[str, Any]:
        return {"_start": self._start, "_streams": [DupFd(each.fileno()) for each in self._streams]}

    def __call__(self) -> None:
        start = self._start
        for number, stream in enumerate(self._streams):
            os.dup2(stream.detach(), number)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, encoding="utf-8", closefd=False)
            for number, mode in enumerate(("r", "w", "w"))
        )
        os.chdir(start["cwd"])
        os.environ.clear()
        os.environ.update(start["env"])
        time.tzset()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["-c", *start["words"]]
        sys.orig_argv = [sys.executable, "-c", start["code"], *start["words"]]
        sys.path[:] = start["path"]
        sys.path[1:1] = filter(None, start["env"].get("PYTHONPATH", "").split(os.pathsep))
        importlib.invalidate_caches()
        sys.modules.pop("sitecustomize", None)
        try:
            with suppress(ModuleNotFoundError):
                importlib.import_module("sitecustomize")
            exec(compile(start["code"], "<string>", "exec"), {"__name__": "__main__"})
        finally:
            atexit._run_exitfuncs()


@cache
def _path() -> list[str]:
    """Where a Python that is started anew finds its modules; tests have more of them."""
    code = "import json, sys; print(json.dumps(sys.path))"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@cache
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    ours = [found.name for found in pkgutil.walk_packages(exportkit.__path__, "exportkit.")]
    context.set_forkserver_preload([*ours, *LIBRARIES])
    return context
