"""A workspace with one source; the tests write the files that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exportkit.config.documents import read_document
from exportkit.config.source import Source, read_source
from exportkit.engines.sources import OpenSource, open_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path


@dataclass
class Workspace:
    root: Path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def source(self, **keys: Any) -> Source:
        """A source of these keys; `key` and one segment `all` where they are left out."""
        data = {"version": 1, "name": "people", "key": "id", "segments": {"all": {}}, **keys}
        path = self.write("sources/people.yaml", yaml.safe_dump(data, sort_keys=False))
        return read_source(read_document(path, "sources/people.yaml"))

    def open(self, **keys: Any) -> AbstractContextManager[OpenSource]:
        return open_source(self.source(**keys), self.root)

    def texts(self, **keys: Any) -> list[dict[str, Any]]:
        """Every row of the source as text."""
        with self.open(**keys) as opened:
            columns = {name: name for name in opened.names}
            frame = opened.select(texts=columns, segments=["all"])
            with opened.explained():
                return rows(frame)

    def answers(
        self, place: Mapping[str, str], conditions: Sequence[str], *, by: str = "id", **asked: Any
    ) -> dict[str, list[Any]]:
        """Everybody of a source, in the order of a column, and under `? CONDITION` who meets it.

        What is `asked` besides goes to `select`. Counting has to come to the same.
        """
        segments = {f"s{n}": {"where": where} for n, where in enumerate(conditions)}
        flags = {f"? {where}": [name] for name, where in zip(segments, conditions, strict=True)}
        with self.open(**place, segments={**segments, "all": {}}) as opened:
            assert opened.complaints() == []
            counts = opened.count(list(segments))
            frame = opened.select(flags=flags, segments=["all"], **asked)
            with opened.explained():
                found: dict[str, list[Any]] = (
                    frame.sort(by).collect("pyarrow").to_native().to_pydict()
                )
        assert list(counts.values()) == [sum(found[f"? {where}"]) for where in conditions]
        return found


def rows(frame: Any) -> list[dict[str, Any]]:
    return frame.collect("pyarrow").to_native().to_pylist()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def read_rows() -> Any:
    return rows
