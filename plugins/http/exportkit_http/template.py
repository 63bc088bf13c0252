"""Templates: what a job's YAML says of a call, with a row's values in the place of `{field}`.

A text that is one placeholder and nothing else becomes the value itself, of its type; inside of a
longer text the value is written out. `{{` and `}}` are braces. `{field|number}` is the value as a
number; there is text, number, boolean, json.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from exportkit import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Row = dict[str, Any]
Way = tuple[str | int, ...]

TYPES = ("text", "number", "boolean", "json")
ROWS = "rows"
"""The placeholder for the list of rows, in the body of a batch."""

_PIECES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_WHOLE = re.compile(r"-?[0-9]{1,300}")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UnfitError(Exception):
    """A row whose value cannot stand where the template wants it: `column`, and why not."""

    def __init__(self, column: str | None, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


@dataclass(frozen=True, slots=True)
class Slot:
    """A placeholder: the field whose value goes here, and as what, if the template says it."""

    field: str
    kind: str | None = None


Part = str | Slot


def parse(text: str, way: Way) -> list[Part]:
    """The literal texts and placeholders of a template. Raises JobError for stray braces."""
    parts: list[Part] = []
    for match in _PIECES.finditer(text):
        piece = match.group()
        if match[1] is not None:
            parts.append(_slot(match[1], way))
        elif piece in ("{", "}"):
            raise JobError(
                f"there is a single {piece} in it",
                field=way,
                hint=f"write {piece * 2} for a brace, and {{field}} for a field of the map",
            )
        else:
            literal = piece[0] if piece in ("{{", "}}") else piece
            if parts and isinstance(parts[-1], str):
                parts[-1] += literal
            else:
                parts.append(literal)
    return parts


def _slot(inside: str, way: Way) -> Slot:
    name, bar, kind = inside.rpartition("|")
    if not bar:
        return Slot(inside)
    if kind not in TYPES:
        raise JobError(
            f"a value can be no '{kind}'", field=way, hint=f"it can be {', '.join(TYPES)}"
        )
    return Slot(name, kind)


def slots(template: Any, way: Way) -> Iterator[tuple[Way, Slot]]:
    """Every placeholder in a template of any shape, with its way.

    Raises JobError for what looks like a placeholder that lost its quotes, or stands in a key.
    """
    if isinstance(template, Slot):
        yield way, template
    elif isinstance(template, str):
        yield from ((way, part) for part in parse(template, way) if isinstance(part, Slot))
    elif isinstance(template, dict):
        for name, inner in template.items():
            # Beside a slot that no YAML can hold, the name is a field's, whatever is in it.
            plain = isinstance(inner, Slot) or not isinstance(name, str)
            if not plain and any(isinstance(part, Slot) for part in parse(name, way)):
                raise JobError(
                    f"the name {name!r} has a placeholder in it: only values can",
                    field=(*way, name),
                    hint="write the name as the service has it",
                )
            yield from slots(inner, (*way, name))
    elif isinstance(template, list):
        for number, inner in enumerate(template):
            yield from slots(inner, (*way, number))


def unquoted(template: Any, fields: Mapping[str, Any] | set[str], way: Way) -> Iterator[Way]:
    """Ways to what YAML reads as a mapping, where a placeholder was meant: `{email}`, unquoted."""
    if isinstance(template, dict):
        if len(template) == 1:
            ((name, inner),) = template.items()
            if inner is None and name in fields:
                yield way
        for name, inner in template.items():
            yield from unquoted(inner, fields, (*way, name))
    elif isinstance(template, list):
        for number, inner in enumerate(template):
            yield from unquoted(inner, fields, (*way, number))


_LEFT_OUT = object()


def body(
    template: Any, kinds: Mapping[str, str], *, leave_out: bool, way: Way
) -> Callable[[Row], Any]:
    """What makes plain JSON values out of a row. It raises UnfitError.

    `kinds` are the kinds of the columns: a number stays one. With `leave_out`, what is null in the
    row is not there; else it is null.
    """
    make = _made(template, kinds, way, leave_out=leave_out)

    def made(row: Row) -> Any:
        value = make(row)
        return None if value is _LEFT_OUT else value

    return made


def _made(
    template: Any, kinds: Mapping[str, str], way: Way, *, leave_out: bool
) -> Callable[[Row], Any]:
    if isinstance(template, str | Slot):
        parts: list[Part] = [template]
        if isinstance(template, str):
            parts = parse(template, way)
        return _value(parts, kinds, leave_out=leave_out)
    if isinstance(template, dict):
        members = [
            (literal(name, inner), _made(inner, kinds, (*way, name), leave_out=leave_out))
            for name, inner in template.items()
        ]
        return lambda row: {
            name: value for name, make in members if (value := make(row)) is not _LEFT_OUT
        }
    if isinstance(template, list):
        items = [
            _made(inner, kinds, (*way, number), leave_out=leave_out)
            for number, inner in enumerate(template)
        ]
        return lambda row: [value for make in items if (value := make(row)) is not _LEFT_OUT]
    return lambda _row: template


def literal(name: Any, beside: Any) -> str:
    """A member's name as it is sent; beside a slot it is a field's, as it is."""
    if isinstance(beside, Slot) or not isinstance(name, str):
        return str(name)
    return name.replace("{{", "{").replace("}}", "}")


def _value(parts: list[Part], kinds: Mapping[str, str], *, leave_out: bool) -> Callable[[Row], Any]:
    if len(parts) == 1 and isinstance(slot := parts[0], Slot):
        convert = _CONVERT[slot.kind or ("number" if kinds.get(slot.field) == "number" else "text")]
        name, missing = slot.field, _LEFT_OUT if leave_out else None

        def value(row: Row) -> Any:
            text = row[name]
            return missing if text is None else convert(name, text)

        return value
    return written(parts)


def written(parts: list[Part]) -> Callable[[Row], str]:
    """What writes a row's values into a text; null is nothing."""
    if not any(isinstance(part, Slot) for part in parts):
        constant = "".join(part for part in parts if isinstance(part, str))
        return lambda _row: constant
    return lambda row: "".join(
        part if isinstance(part, str) else (row[part.field] or "") for part in parts
    )


def address(parts: list[Part]) -> Callable[[Row], str]:
    """What writes a row's values into the path of a call, so that each stays in its place.

    It raises UnfitError for a value that is not there, or that a server reads as a step upwards.
    """
    fields = [part.field for part in parts if isinstance(part, Slot)]

    def written_out(row: Row) -> str:
        for field in fields:
            if row[field] is None:
                raise UnfitError(field, "is empty, and the address of the call needs it")
        path = "".join(
            part if isinstance(part, str) else quote(row[part.field], safe="") for part in parts
        )
        if fields and climbs(path):
            raise UnfitError(fields[0], "cannot stand in an address: servers read it as a step up")
        return path

    return written_out


def climbs(path: str) -> bool:
    """Whether a part of the path is `.` or `..`, which are no names."""
    return any(part in (".", "..") for part in path.partition("?")[0].split("/"))


def header(name: str, parts: list[Part]) -> Callable[[Row], bytes | None]:
    """What writes a row's values into a header; None where there is nothing to say.

    It raises UnfitError for line breaks and the like, which would begin another header.
    """
    write = written(parts)
    fields = [part.field for part in parts if isinstance(part, Slot)]

    def value(row: Row) -> bytes | None:
        text = write(row)
        if _CONTROL.search(text):
            odd = next((f for f in fields if row[f] and _CONTROL.search(row[f])), None)
            raise UnfitError(odd, f"has a line break or a tab, which the header {name} cannot have")
        return text.strip().encode() or None

    return value


def is_clean(text: str) -> bool:
    """Whether a text can be a header's value."""
    return not _CONTROL.search(text)


def _number(column: str, text: str) -> int | float:
    text = text.strip().removeprefix("+")
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in text:
        raise UnfitError(column, "is no number that JSON can hold")
    return number


def _boolean(column: str, text: str) -> bool:
    found = _TRUTH.get(text.strip().lower())
    if found is None:
        raise UnfitError(column, "is neither true nor false")
    return found


def _json(column: str, text: str) -> Any:
    def refuse(_constant: str) -> None:
        raise ValueError

    try:
        found = json.loads(text, parse_constant=refuse)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
        return found
    except (ValueError, RecursionError):
        raise UnfitError(column, "is no JSON") from None


_CONVERT: dict[str, Callable[[str, str], Any]] = {
    "text": lambda _column, text: text,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
}
