"""One call of a job, made ready: its address, headers and body for any row or list of rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from exportkit import JobError

from . import template
from .template import ROWS, Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exportkit import Column, FieldMapping

    from .template import Row, Way

OURS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade")
)
SECRET = frozenset(("authorization", "proxy-authorization", "cookie"))
GONE = (404, 410)
"""What says, by default, that somebody who is to be removed is not there."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent: `target` is the path below the connection's url. `repr` shows no body."""

    method: str
    target: str
    headers: dict[str, str | bytes]
    body: bytes | None

    def __repr__(self) -> str:
        return f"<Call {self.method}>"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a call of a row, or of a list of rows if there is a `batch`.

    `personal` says that a row's values are in the address. `digest` tells this recipe from others.
    """

    method: str
    batch: int | None
    already: frozenset[int]
    personal: bool
    digest: str
    fields: frozenset[str]
    _target: Callable[[Row], str]
    _headers: tuple[tuple[str, Callable[[Row], bytes | None]], ...]
    _content: Callable[[Row], Any] | None
    _around: Callable[[Row], Any]

    def content(self, row: Row) -> Any:
        """One row as it stands in the list of a batch. Raises UnfitError."""
        return self._content(row) if self._content else None

    def single(self, row: Row) -> Call:
        """The call for one row. Raises UnfitError where a value cannot stand where it is wanted."""
        content = None if self._content is None else self._content(row)
        return self._call(row, content, empty=self._content is None)

    def together(self, contents: Sequence[Any]) -> Call:
        """The call for these rows, each as `content` made it."""
        return self._call({}, self._around({ROWS: list(contents)}), empty=False)

    def _call(self, row: Row, content: Any, *, empty: bool) -> Call:
        headers: dict[str, str | bytes] = {}
        for name, make in self._headers:
            if (value := make(row)) is not None:
                headers[name] = value
        if empty:
            return Call(self.method, self._target(row), headers, None)
        headers.setdefault("Content-Type", "application/json")
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return Call(self.method, self._target(row), headers, text.encode())


def recipe(options: Mapping[str, Any], columns: Sequence[Column], *, removal: bool) -> Recipe:
    """What is sent for each row of a job with these options, or to remove it."""
    part, way = part_of(options, removal=removal)
    kinds = {column.name: column.kind for column in columns}
    leave_out = options["nulls"] == "leave_out"
    method, batch = part["method"], part.get("batch")
    path = template.parse(part.get("path", ""), (*way, "path"))
    shape = _content(part, tuple(kinds))
    content = None
    if shape is not None:
        content = template.body(shape, kinds, leave_out=leave_out, way=way)
    around = template.body(part.get("body", "{rows}"), {}, leave_out=False, way=way)
    headers = part.get("headers", {})
    used = {slot.field for _, slot in (*_slots(part, way), *template.slots(shape, way))}
    used -= {ROWS} if batch else set()
    described = [method, part.get("path", ""), headers, part.get("body"), part.get("row"), batch]
    return Recipe(
        method=method,
        batch=batch,
        already=frozenset(part.get("already", GONE if removal else ())),
        personal=any(isinstance(piece, Slot) for piece in path),
        digest=sha256(json.dumps([described, leave_out]).encode()).hexdigest(),
        fields=frozenset(used),
        _target=template.address(path),
        _headers=tuple(
            (name, template.header(name, template.parse(text, (*way, "headers", name))))
            for name, text in headers.items()
        ),
        _content=content,
        _around=around,
    )


def part_of(options: Mapping[str, Any], *, removal: bool) -> tuple[dict[str, Any], Way]:
    """The options of one of the two calls, and the way to them."""
    if removal:
        return {"method": "DELETE", **options["remove"]}, ("remove",)
    return dict(options), ()


def _content(part: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The template of one row; None where nothing is sent but an address."""
    given = part.get("row" if part.get("batch") else "body")
    if given is None and not part.get("batch") and part["method"] == "DELETE":
        return None
    return {name: Slot(name) for name in names} if given is None else given


def _slots(part: Mapping[str, Any], way: Way) -> Iterator[tuple[Way, Slot]]:
    yield from template.slots(part.get("path", ""), (*way, "path"))
    for name in ("headers", "body", "row"):
        yield from template.slots(part.get(name), (*way, name))


def check_call(options: Mapping[str, Any], *, removal: bool) -> None:
    """What can be known to be wrong with a call without the map. Raises JobError."""
    part, way = part_of(options, removal=removal)
    found = list(_slots(part, way))
    _check_place(part, way, found)
    if template.climbs(part.get("path", "")):
        raise JobError(
            "'.' and '..' are no places below the url", field=(*way, "path"), hint="take them out"
        )
    for name, text in part.get("headers", {}).items():
        at = (*way, "headers", name)
        if name.lower() in SECRET:
            raise JobError(
                f"{name} belongs in the connection",
                field=at,
                hint="write it under `auth:` or `headers:` there, as a reference",
            )
        if name.lower() in OURS:
            raise JobError(f"{name} is made for each call", field=at, hint="take it out")
        if not template.is_clean(text):
            raise JobError(f"the header {name} has a line break or a tab in it", field=at)


def _check_place(part: Mapping[str, Any], way: Way, found: Sequence[tuple[Way, Slot]]) -> None:
    """Whether the list of rows has its place, where there is one, and nothing else has."""
    if not part.get("batch"):
        if "row" in part:
            raise JobError(
                "`row` is for calls of several rows",
                field=(*way, "row"),
                hint="call it `body`, or say how many rows: `batch: 500`",
            )
        return
    depth = len(way)
    outside = [(at, slot) for at, slot in found if at[depth] != "row"]
    for at, slot in outside:
        if at[depth] != "body" or slot.field != ROWS:
            raise JobError(
                f"a call of several rows has no single '{slot.field}'",
                field=at,
                hint='what is of a row goes under `row:`; `body` has "{rows}" where they go',
            )
    whole = sum(_at(part, at[depth:]) == "{rows}" for at, _ in outside)
    if "body" in part and (len(outside), whole) != (1, 1):
        raise JobError(
            "the list of rows has to have one place",
            field=(*way, "body"),
            hint='write it where the list goes, alone and once: contacts: "{rows}"',
        )


def _at(part: Any, way: Way) -> Any:
    for step in way:
        part = part[step]
    return part


def check_fields(options: Mapping[str, Any], mapping: FieldMapping) -> frozenset[str]:
    """Hold the placeholders against the map; answers the fields that an address needs.

    Raises JobError for a name that is not mapped, and for a field that is mapped and sent nowhere.
    """
    names = set(mapping.names)
    needed: set[str] = set()
    used = {mapping.key} if mapping.key else set()
    for removal in (False, True) if "remove" in options else (False,):
        part, way = part_of(options, removal=removal)
        for name in ("body", "row"):
            for at in template.unquoted(part.get(name), names, (*way, name)):
                raise JobError(
                    "this is a mapping in YAML, not a placeholder",
                    field=at,
                    hint='write it in quotes: "{field}"',
                )
        for at, slot in _slots(part, way):
            if slot.field not in names and not (part.get("batch") and at[len(way)] == "body"):
                raise JobError(
                    f"the map has no field '{slot.field}'",
                    field=at,
                    known=mapping.names,
                    name=slot.field,
                )
            used.add(slot.field)
            if at[len(way)] == "path" and not removal:
                needed.add(slot.field)
        if isinstance(_content(part, ()), dict) and part.get(_own(part)) is None:
            used |= names
    for name in mapping.names:
        if name not in used:
            raise JobError(
                f"'{name}' is mapped and sent nowhere",
                field=name,
                hint=f'put "{{{name}}}" where it goes under `destination:`, or take it out',
            )
    return frozenset(needed)


def _own(part: Mapping[str, Any]) -> str:
    """Where the template of one row stands."""
    return "row" if part.get("batch") else "body"
