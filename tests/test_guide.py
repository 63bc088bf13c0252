"""docs/guide.md is true: its files are written and its commands run, in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "8025"


class Reader:
    """Somebody with a folder, a shell, and a virtual environment with exportkit in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = self.here = folder
        self.port = str(free_port())
        self.bin = folder.parent / "environment" / "bin"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "XDG_STATE_HOME": str(folder.parent / "state"),
            "XDG_CACHE_HOME": str(folder.parent / "cache"),
            "COLUMNS": "200",
        }
        self.servers: list[subprocess.Popen[str]] = []
        self.written: set[Path] = set()
        make_environment(self.bin.parent)

    def write(self, name: str, text: str) -> None:
        """Python grows block by block; every other file is as its last block has it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grown = path.suffix == ".py" and path in self.written
        before = f"{path.read_text(encoding='utf-8')}\n\n" if grown else ""
        path.write_text(before + text.replace(PORT, self.port), encoding="utf-8")
        self.written.add(path)

    def type(self, command: str) -> str:
        """What a command says, both streams, as a terminal has it."""
        command = command.replace(PORT, self.port)
        words = command.split()
        if words[0] == "cd":
            self.here = (self.here / words[1]).resolve()
            return ""
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.environment[name] = value
            return ""
        if words[0] == "pip":
            command += " --quiet --no-deps --no-index --no-build-isolation"
            command = f"{sys.executable} -m pip --python {self.bin / 'python'} {command[4:]}"
        if words[-1] == "&":
            return self.start(words[:-1])
        done = subprocess.run(
            command.split(),
            cwd=self.here,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout.replace(self.port, PORT)

    def start(self, words: list[str]) -> str:
        words[0] = str(self.bin / words[0])
        server = subprocess.Popen(
            words, cwd=self.here, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        self.servers.append(server)
        assert server.stdout is not None
        return server.stdout.readline().replace(self.port, PORT)

    def leave(self) -> None:
        for server in self.servers:
            server.kill()
            server.communicate()


def make_environment(folder: Path) -> None:
    """A virtual environment that lends what is installed here, for nothing may be downloaded."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    lent = [sysconfig.get_path("purelib"), ROOT, *sorted(ROOT.glob("plugins/*/"))]
    (site / "lent.pth").write_text("".join(f"{path}\n" for path in lent), encoding="utf-8")
    for name, call in (
        ("exportkit", "from exportkit.cli import start; start()"),
        ("pytest", "import pytest; raise SystemExit(pytest.main())"),
    ):
        script = folder / "bin" / name
        script.write_text(f"#!{folder / 'bin' / 'python'}\n{call}\n", encoding="utf-8")
        script.chmod(0o755)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder = tmp_path / "desk"
    folder.mkdir()
    reader = Reader(folder)
    yield reader
    reader.leave()


def as_pattern(expected: str) -> re.Pattern[str]:
    """`...` alone on a line stands for any lines, within one for any text."""
    lines = [re.escape(line.rstrip()).replace(r"\.\.\.", ".*") for line in expected.splitlines()]
    pattern = "".join("(?:.*\n)*" if line == ".*" else rf"{line} *\n" for line in lines)
    return re.compile(pattern)


def test_the_guide_from_its_first_block_to_its_last(reader: Reader) -> None:
    for language, name, text in BLOCK.findall(GUIDE):
        if language == "text":
            said = what_is_said_of_a_broken_one(reader)
            assert text in "".join(f"{line}\n" for line in said.split("\n") if line.strip()), said
            continue
        if language != "console":
            reader.write(name, text)
            continue
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            said = reader.type(command)
            if os.environ.get("EXPORTKIT_REWRITE"):
                print(f"$ {command}\n{said}")
            assert as_pattern(expected).fullmatch(said), f"$ {command}\n{said}"


def what_is_said_of_a_broken_one(reader: Reader) -> str:
    """The contract's own words when refusals are dropped, as the guide invites to."""
    module = reader.folder / "pigeon" / "exportkit_pigeon.py"
    sound = module.read_text(encoding="utf-8")
    broken = re.sub(r"return Delivery\(rejections=.*", "return Delivery()", sound)
    assert broken != sound
    module.write_text(broken, encoding="utf-8")
    said = reader.type("pytest -q -k bad_rows")
    module.write_text(sound, encoding="utf-8")
    return said
