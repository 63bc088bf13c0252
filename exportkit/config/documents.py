"""One YAML file as plain data that remembers where everything stands.

The file is parsed event by event, without recursion, and only the core rules of YAML 1.2 apply
(`scalars`). Mapping keys are always text. Duplicate keys, tags, merge keys and several documents
are refused; aliases are followed as long as the whole stays small.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exportkit.config.nodes import Node, Steps, Tree, dotted
from exportkit.config.reading import read_text
from exportkit.errors import ConfigError, Location

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Document", "Steps", "dotted", "read_document"]


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
        node, key_mark, depth = self.root, self.root.mark, 0
        for step in path:
            child = node.children.get(step)
            if child is None:
                break
            key_mark = node.key_marks.get(step, child.mark)
            node, depth = child, depth + 1
        line, column = key_mark if key and depth == len(path) else node.mark
        return Location(self.file, line, column, dotted(path[:depth]))

    def part(self, path: Sequence[str | int]) -> Any:
        """The plain data at `path`, None where there is none."""
        node: Node | None = self.root
        for step in path:
            node = node.children.get(step) if node else None
        return node.value if node else None

    def text(self, path: Sequence[str | int]) -> str | None:
        """The scalar at `path` as it was written (`1.50`, not 1.5); None for null or nothing.

        Raises TypeError where a mapping or a list stands.
        """
        node: Node | None = self.root
        for step in path:
            node = node.children.get(step) if node else None
        if node is None or node.value is None:
            return None
        if node.text is None:
            raise TypeError(f"{dotted(path)} holds more than one value")
        return node.text

    def text_or_none(self, path: Sequence[str | int]) -> str | None:
        """The same, but None for a mapping or a list too."""
        try:
            return self.text(path)
        except TypeError:
            return None


def read_document(path: Path, shown_as: str) -> Document:
    """Read one file whose top level is a mapping.

    `shown_as` is the file's name in messages. Raises ConfigError, with position, for a file that
    cannot be read, is too large, is not UTF-8, is not YAML, or is not a mapping.
    """
    root = Tree(shown_as, read_text(path, shown_as)).root()
    if not isinstance(root.value, dict):
        raise ConfigError(
            f"found {root.kind}, expected keys and values",
            location=Location(shown_as, *root.mark),
            hint="a file starts with `version: 1`",
        )
    return Document(shown_as, path, root.value, root)
