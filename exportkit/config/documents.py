"""One YAML file as plain data that remembers where everything stands.

The file is parsed event by event, without recursion, and only the core rules of YAML 1.2 apply
(`scalars`). Mapping keys are always text. Duplicate keys, tags, merge keys and several documents
are refused; aliases are followed as long as the whole stays small.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exportkit.config.nodes import Node, Tree
from exportkit.config.reading import read_text
from exportkit.errors import ConfigError, Location

_BARE_KEY = re.compile(r"[^\s.\[\]\"']+")


@dataclass(frozen=True, slots=True)
class Document:
    """A file of the workspace. `file` is its name in messages, `data` what it holds.

    `repr` shows no values: a connection's file may hold something that should not be seen.
    """

    file: str
    path: Path
    data: dict[str, Any] = field(repr=False)
    root: Node = field(repr=False, compare=False)

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> Location:
        """Where the value at `path` stands, or its key with `key=True`.

        Where the path leads nowhere, the nearest ancestor that exists.
        """
        node, found, mark = self.root, 0, self.root.key_mark
        for step in path:
            child = node.child(step)
            if child is None:
                key = False
                break
            mark = node.key_mark_of(step) or child.mark
            node, found = child, found + 1
        line, column = mark if key and found else node.mark
        return Location(self.file, line, column, dotted(path[:found] if not key else path))

    def text(self, path: Sequence[str | int]) -> str | None:
        """The scalar at `path` as it was written (`1.50`, not 1.5); None for null or nothing.

        Raises TypeError where a mapping or a list stands.
        """
        node: Node | None = self.root
        for step in path:
            node = node.child(step) if node else None
        if node is None or node.value is None:
            return None
        if node.text is None:
            raise TypeError(f"{dotted(path)} holds more than one value")
        return node.text


def dotted(path: Sequence[str | int]) -> str:
    """A YAML path for people: `map.email.transform[0]`, with quotes around odd keys."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _BARE_KEY.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f'["{step}"]')
    return "".join(parts)


def read_document(path: Path, shown_as: str) -> Document:
    """Read one file whose top level is a mapping.

    `shown_as` is the file's name in messages. Raises ConfigError, with position, for a file that
    cannot be read, is too large, is not UTF-8, is not YAML, or is not a mapping.
    """
    text = read_text(path, shown_as)
    root = Tree(shown_as, text).root()
    if not isinstance(root.value, dict):
        raise ConfigError(
            f"found {root.kind}, expected keys and values",
            location=Location(shown_as, *root.mark),
            hint="a file starts with `version: 1`",
        )
    return Document(shown_as, path, root.value, root)
