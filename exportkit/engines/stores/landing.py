"""Bringing objects of a store here, in pieces, several at a time, into a private folder."""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from exportkit.engines import failures
from exportkit.engines.stores.chunks import Span, cut, joined, without
from exportkit.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from exportkit.engines.stores.store import Store, StoredObject

PIECE = 8 * 1024 * 1024
"""What one request asks for; THREADS of them at a time is what fetching takes of memory."""
THREADS = 6

_PARTITION = re.compile(r"[^/=]+=[^/]*")
_AWKWARD = re.compile(r"[^\w.+=-]")
_LONGEST_NAME = 100


class Landing:
    """Where the objects of one source come to lie, and how much of them is here.

    Files have mode 0600 and names that end as the objects' do; folders that name a partition
    (`country=GR`) keep their names too.
    """

    def __init__(self, store: Store, objects: Sequence[StoredObject], folder: Path) -> None:
        self.store = store
        self.objects = tuple(objects)
        self._folder = folder
        self._here: dict[int, list[Span]] = {}

    def path(self, number: int) -> Path:
        """Where the object of that number lies, or will."""
        *folders, name = self.objects[number].shown_as.partition("://")[2].split("/")[1:]
        partitions = [each for each in folders if _PARTITION.fullmatch(each)]
        plain = _AWKWARD.sub("_", name)[-_LONGEST_NAME:]
        return self._folder.joinpath(f"{number:06d}", *partitions, plain)

    def bring(self, wanted: Mapping[int, Sequence[Span]]) -> None:
        """Bring these bytes of the objects of these numbers, as far as they are not here yet.

        Raises SourceError where the store does not give them, JournalError without room for them.
        """
        missing = {
            number: without(joined(spans, 0), self._here.get(number, []))
            for number, spans in wanted.items()
            if self.objects[number].in_parts
        }
        try:
            self._check_room(missing)
            for number in wanted:
                self._make(number)
                if not self.objects[number].in_parts and number not in self._here:
                    self._stream(number)
            pieces = ((n, *piece) for n, spans in missing.items() for piece in cut(spans, PIECE))
            self._fetch(pieces)
        except OSError as error:
            raise failures.unwritable("files of the source", error) from error
        for number, spans in missing.items():
            self._here[number] = joined([*self._here.get(number, []), *spans], 0)

    def bring_all(self) -> None:
        """Bring every object as a whole."""
        self.bring({n: [(0, found.size or 0)] for n, found in enumerate(self.objects)})

    def beginning(self, number: int, size: int) -> bytes:
        """The first bytes of an object, which do not count as being here."""
        found = self.objects[number]
        if found.in_parts:
            return self.store.read(found, 0, size)
        data = bytearray()
        with closing(self.store.stream(found)) as pieces:
            while len(data) < size and (piece := next(pieces, b"")):
                data += piece
        return bytes(data[:size])

    def _check_room(self, missing: Mapping[int, Sequence[Span]]) -> None:
        needed = sum(stop - start for spans in missing.values() for start, stop in spans)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise JournalError(
                f"the source's files need {_shown(needed)} on the disk of the state folder, "
                f"and {_shown(free)} are free",
                hint="make room, or name another folder as `state:` in exportkit.yaml",
            )

    def _make(self, number: int) -> None:
        """The file, as long as the object is: what is not fetched of it is a hole."""
        path = self.path(number)
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            os.truncate(descriptor, self.objects[number].size or 0)
            os.close(descriptor)

    def _stream(self, number: int) -> None:
        found = self.objects[number]
        with self.path(number).open("wb") as file:
            for piece in self.store.stream(found):
                file.write(piece)
            self._here[number] = [(0, file.tell())]

    def _fetch(self, pieces: Iterable[tuple[int, int, int]]) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            coming = [threads.submit(self._piece, *piece) for piece in pieces]
            try:
                for each in coming:
                    each.result()
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise

    def _piece(self, number: int, start: int, stop: int) -> None:
        data = self.store.read(self.objects[number], start, stop)
        descriptor = os.open(self.path(number), os.O_WRONLY)
        try:
            os.pwrite(descriptor, data, start)
        finally:
            os.close(descriptor)


def _shown(size: int) -> str:
    return f"{size / 1024**2:,.0f} MiB"
