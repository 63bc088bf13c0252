"""What a power cut takes besides the process: all that was written and not synced.

A run writes down, as it goes, which entries it makes in the folders of the state and what it syncs.
After its end `cut` undoes every entry whose folder was not synced since, and empties every file
that was not. A file system may keep more than that, never less. SQLite's own files are left
alone: it has tests like this one.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

_WATCHED = """
import json, os, sys
watched, attic = {state!r}, {attic!r}
written = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
busy, synced = False, os.fsync

def note(*what):
    os.write(written, (json.dumps(what) + chr(10)).encode())

def sync(descriptor):
    number = getattr(descriptor, "fileno", lambda: descriptor)()
    synced(number)
    note("sync", os.readlink(f"/proc/self/fd/{{number}}"))

def path_of(given):
    path = "" if isinstance(given, int) else os.path.abspath(os.fsdecode(given))
    known = path.startswith(watched) and "journal.sqlite" not in path and "/locks/" not in path
    return path if known else ""

def kept(path):
    # The content that a rename replaces comes back if the rename is lost.
    if not os.path.exists(path):
        return None
    copy = os.path.join(attic, str(len(os.listdir(attic))))
    os.link(path, copy)
    return copy

def happened(event, arguments):
    global busy
    if busy or event not in ("open", "os.mkdir", "os.link", "os.rename"):
        return
    busy = True
    try:
        if event == "open":
            path = path_of(arguments[0])
            writes = arguments[2] and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if path and writes:
                note("write", path, not os.path.exists(path))
        elif event == "os.mkdir":
            if (path := path_of(arguments[0])) and not os.path.exists(path):
                note("make", path)
        elif path := path_of(arguments[1]):
            note(event, path_of(arguments[0]), path, kept(path))
    finally:
        busy = False

os.makedirs(attic, exist_ok=True)
os.fsync = sync
sys.addaudithook(happened)
"""


def watching(state: Path, log: Path) -> str:
    """What a process runs first, so that `log` tells what it made and synced below `state`."""
    return _WATCHED.format(state=f"{state}/", log=str(log), attic=f"{log}.attic")


@dataclass
class _Disk:
    """Which entries and which contents a power cut would take, in the order they were made."""

    entries: dict[str, str | None] = field(default_factory=dict)
    contents: set[str] = field(default_factory=set)

    def take_in(self, event: str, *about: str | None) -> None:
        name = about[0] or ""
        if event == "sync":
            self.contents.discard(name)
            self.entries = {
                path: before
                for path, before in self.entries.items()
                if str(Path(path).parent) != name
            }
        elif event == "make":
            self.entries[name] = None
        elif event == "write":
            self.contents.add(name)
            if about[1]:
                self.entries[name] = None
        else:
            path, before = about[1] or "", about[2]
            self.contents.discard(path)
            if name in self.contents:
                self.contents.add(path)
            if event == "os.rename":
                self.contents.discard(name)
                self.entries.pop(name, None)
            self.entries.setdefault(path, before)


def cut(log: Path) -> list[str]:
    """Take what a power cut would have taken; answers the paths that lost something."""
    disk = _Disk()
    for line in log.read_text(encoding="utf-8").splitlines():
        disk.take_in(*json.loads(line))
    for name in disk.contents:
        if Path(name).exists():
            os.truncate(name, 0)
    for name, before in reversed(disk.entries.items()):
        _take(Path(name))
        if before is not None and Path(name).parent.exists():
            os.link(before, name)
    return [*disk.entries, *disk.contents]


def _take(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
