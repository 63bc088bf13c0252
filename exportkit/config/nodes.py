"""YAML events folded into a tree of nodes, each with its value, its source text and its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import yaml

from exportkit.config.phrases import short
from exportkit.config.scalars import resolve_plain
from exportkit.config.syntax import syntax_error
from exportkit.errors import ConfigError, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DEPTH = 50
MAX_NODES = 50_000

Mark = tuple[int, int]
Steps = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[\w:@/$%#*+-]{1,60}")

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_KINDS = {dict: "a mapping", list: "a list", bool: "a yes/no value", str: "text"}


@dataclass(slots=True)
class Node:
    """A value of the file. `text` is what was written, for scalars; `mark` is (line, column)."""

    value: Any
    mark: Mark
    text: str | None = None
    children: dict[str | int, Node] = field(default_factory=dict)
    key_marks: dict[str | int, Mark] = field(default_factory=dict)
    size: int = 1
    height: int = 0

    @property
    def kind(self) -> str:
        """What it is, in a sentence: `a list`."""
        if self.value is None:
            return "nothing"
        return _KINDS.get(type(self.value), "a number")


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end is still to come."""

    node: Node
    anchor: str | None
    key: str | None = None
    key_mark: Mark = (1, 1)


class Tree:
    """Folds the events of one document. Raises ConfigError with the position of what is wrong."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._root: Node | None = None

    def root(self) -> Node:
        """The top node of the file's only document."""
        try:
            for event in yaml.parse(self._text, Loader=_LOADER):
                self._take(event)
        except yaml.YAMLError as error:
            raise syntax_error(error, self._file, self._text) from None
        if self._root is None:
            raise ConfigError(
                "the file is empty",
                location=Location(self._file),
                hint="a file starts with `version: 1`",
            )
        return self._root

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._start(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
            raise self._error(
                "a second document starts here, expected one document a file",
                _mark(event),
                "take the line `---` out, or move what follows to a file of its own",
            )

    def _scalar(self, event: Any) -> None:
        mark = _mark(event)
        parent = self._open[-1] if self._open else None
        if parent and isinstance(parent.node.value, dict) and parent.key is None:
            self._key(parent, event, mark)
            return
        plain = event.implicit[0]
        tag = event.tag
        if tag not in (None, "!", f"{_TAG}str"):
            raise self._foreign_tag(tag, mark)
        value = resolve_plain(event.value) if plain and tag is None else event.value
        node = Node(value, mark, event.value)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._add(node)

    def _key(self, parent: _Open, event: Any, mark: Mark) -> None:
        key = event.value
        if key == "<<" and event.implicit[0]:
            raise self._error(
                "merge keys (<<) are not read",
                mark,
                "they are no part of YAML 1.2; write the lines out",
            )
        if key in parent.node.key_marks:
            line, column = parent.node.key_marks[key]
            raise self._error(
                f"the key '{short(key)}' is here a second time; the first is at {line}:{column}",
                mark,
                "keep one of the two",
            )
        if event.anchor:
            self._anchors[event.anchor] = Node(key, mark, key)
        parent.key, parent.key_mark = key, mark

    def _start(self, event: Any) -> None:
        mark = _mark(event)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if self._expects_key():
            raise self._error(
                f"found {'a mapping' if is_mapping else 'a list'} as a key, expected text",
                mark,
                "put text that starts with { or [ in quotes",
            )
        if event.tag not in (None, "!", f"{_TAG}map" if is_mapping else f"{_TAG}seq"):
            raise self._foreign_tag(event.tag, mark)
        if len(self._open) >= MAX_DEPTH:
            raise self._too_deep(mark)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(Node({} if is_mapping else [], mark), event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        if done.anchor:
            self._anchors[done.anchor] = done.node
        self._add(done.node)

    def _alias(self, event: Any) -> None:
        mark = _mark(event)
        if self._expects_key():
            raise self._error("found an alias (*) as a key, expected text", mark)
        if event.anchor not in self._anchors:
            raise self._error(
                f"there is no anchor &{event.anchor} before this alias",
                mark,
                "put text that starts with * in quotes",
            )
        node = self._anchors[event.anchor]
        if node is None:
            raise self._error(f"the alias *{event.anchor} contains itself", mark)
        if len(self._open) + node.height > MAX_DEPTH:
            raise self._too_deep(mark)
        self._add(replace(node, mark=mark))

    def _add(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        holder = parent.node
        if isinstance(holder.value, list):
            holder.children[len(holder.value)] = node
            holder.value.append(node.value)
        else:
            key = parent.key
            assert key is not None
            holder.children[key] = node
            holder.key_marks[key] = parent.key_mark
            holder.value[key] = node.value
            parent.key = None
        holder.size += node.size
        holder.height = max(holder.height, node.height + 1)
        if holder.size > MAX_NODES:
            raise self._error(
                f"more than {MAX_NODES:,} values when its aliases are followed", node.mark
            )

    def _expects_key(self) -> bool:
        parent = self._open[-1] if self._open else None
        return bool(parent and isinstance(parent.node.value, dict) and parent.key is None)

    def _too_deep(self, mark: Mark) -> ConfigError:
        # Without its path, which would be longer than anybody reads.
        return ConfigError(
            f"nested more than {MAX_DEPTH} levels deep", location=Location(self._file, *mark)
        )

    def _foreign_tag(self, tag: str, mark: Mark) -> ConfigError:
        shown = tag.replace(_TAG, "!!")
        return self._error(
            f"found the tag {shown}; files hold text, numbers, true/false, lists and mappings only",
            mark,
            "take the tag out; put text that starts with ! in quotes",
        )

    def _error(self, message: str, mark: Mark, hint: str | None = None) -> ConfigError:
        return ConfigError(message, hint=hint, location=Location(self._file, *mark, self._path()))

    def _path(self) -> str:
        """Where the parser is: the keys and indices of everything that is open."""
        steps = [
            len(entry.node.value) if isinstance(entry.node.value, list) else entry.key
            for entry in self._open
        ]
        return dotted([step for step in steps if step is not None])


def dotted(path: Sequence[str | int]) -> str:
    """A YAML path for people: `map.email.transform[0]`, with quotes around odd keys."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _BARE_KEY.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f'["{short(step)}"]')
    return "".join(parts)


def _mark(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1
