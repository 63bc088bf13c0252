"""Scenario files: YAML, checked before anything is served, with the place of what is wrong."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

import yaml

from .activities import ENDS, Fate
from .scenario import Body, Effects, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Steps = tuple[str | int, ...]
_SPAN = re.compile(r"(\d+)(?:(-)(\d+)?)?")
_FATE = ("activity", "applied", "line_errors", "errors")
_DEEPEST = 8
_WHEN = ("method", "path", "call")


class ScenarioError(ValueError):
    """A scenario that cannot be: `file:line:column` where it is known, what, and what would do."""


class _WrongError(Exception):
    def __init__(self, at: Steps, message: str) -> None:
        super().__init__(message)
        self.at = at


def read_scenario(path: Path) -> list[Rule]:
    """The rules of a file. Raises `ScenarioError`."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ScenarioError(f"{path}{place}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: {error}") from None
    marks: dict[Steps, tuple[int, int]] = {}
    try:
        return rules_of(_plain(root, (), marks))
    except _WrongError as wrong:
        at = wrong.at
        while at not in marks and at:
            at = at[:-1]
        line, column = marks.get(at, (1, 1))
        raise ScenarioError(f"{path}:{line}:{column}: {wrong}") from None


def rule_of(when: Mapping[str, Any], then: Mapping[str, Any]) -> Rule:
    """One rule, as a file would have it. Raises `ScenarioError`."""
    try:
        return _rule({"when": when, "then": then}, ())
    except _WrongError as wrong:
        path = ".".join(map(str, wrong.at))
        raise ScenarioError(f"{path}: {wrong}") from None


def rules_of(data: Any) -> list[Rule]:
    """The rules of a file's data."""
    _check_names(data, (), ("version", "rules"))
    if data.get("version") != 1:
        raise _WrongError(("version",), "'version: 1' is expected")
    rules = data.get("rules")
    if not isinstance(rules, list) or not rules:
        raise _WrongError(("rules",), "'rules' must be a list with at least one rule")
    return [_rule(each, ("rules", at)) for at, each in enumerate(rules)]


def _rule(data: Any, at: Steps) -> Rule:
    _check_names(data, at, ("when", "then"))
    when, then = data.get("when", {}), data.get("then")
    _check_names(when, (*at, "when"), _WHEN)
    method, path = when.get("method"), when.get("path", "*")
    if method is not None and method not in ("GET", "POST", "PUT", "DELETE"):
        raise _WrongError((*at, "when", "method"), "one of GET, POST, PUT, DELETE is expected")
    if not isinstance(path, str) or path[:1] not in ("/", "*"):
        raise _WrongError(
            (*at, "when", "path"), "a path like /contact_lists or /activities/* is expected"
        )
    calls = _calls(when.get("call"), (*at, "when", "call"))
    return Rule(_effects(then, (*at, "then")), method, path, calls)


def _calls(value: Any, at: Steps) -> tuple[tuple[int, int | None], ...]:
    if value is None:
        return ()
    spans = []
    for each in value if isinstance(value, list) else [value]:
        found = _SPAN.fullmatch(str(each))
        if isinstance(each, bool) or not found or int(found[1]) < 1:
            raise _WrongError(at, "a call is 2, '2-4', '3-' or a list of these, counted from 1")
        first = int(found[1])
        last = first if found[2] is None else int(found[3]) if found[3] else None
        spans.append((first, last))
    return tuple(spans)


def _effects(data: Any, at: Steps) -> Effects:
    names = [each.name for each in fields(Effects) if each.name != "fate"]
    _check_names(data, at, [*names, *_FATE])
    if not data:
        raise _WrongError(at, f"at least one effect is expected: {', '.join([*names, *_FATE])}")
    for name, value in data.items():
        test, expected = _TESTS[name]
        if not test(value):
            raise _WrongError((*at, name), f"{name}: {expected} is expected")
    given = {name: value for name, value in data.items() if name not in _FATE}
    for name in ("unsubscribe", "delete_list"):
        if name in given:
            given[name] = _several(given[name])
    if "headers" in given:
        given["headers"] = {name: str(value) for name, value in given["headers"].items()}
    return Effects(**given, fate=_fate(data))


def _fate(data: Mapping[str, Any]) -> Fate:
    state = data.get("activity", "completed")
    return Fate(
        state,
        float(data.get("applied", state == "completed")),
        tuple((int(line), str(why)) for line, why in data.get("line_errors", {}).items()),
        _several(data.get("errors", ())),
    )


def _several(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
    )


def _is_lines(value: Any) -> bool:
    return isinstance(value, dict) and all(
        str(line).isdigit() and int(line) >= 2 and isinstance(why, str)
        for line, why in value.items()
    )


def _one_of(*values: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: isinstance(value, str) and value in values), "one of " + ", ".join(values)


_TEXT: tuple[Callable[[Any], bool], str] = (lambda value: isinstance(value, str)), "a text"
_FLAG: tuple[Callable[[Any], bool], str] = (lambda value: isinstance(value, bool)), "true or false"
_TESTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "status": (lambda value: isinstance(value, int) and 200 <= value <= 599, "200 to 599"),
    "body": _one_of(*get_args(Body)),
    "error_key": _TEXT,
    "message": _TEXT,
    "headers": (lambda value: isinstance(value, dict), "names and values"),
    "processed": _FLAG,
    "reset": _one_of("before", "after"),
    "delay": (_is_number, "a number of seconds"),
    "delay_after": (_is_number, "a number of seconds"),
    "expire_tokens": _FLAG,
    "revoke_tokens": _FLAG,
    "spend_quota": _FLAG,
    "unsubscribe": (_is_texts, "an address, or a list of them"),
    "delete_list": (_is_texts, "the name or id of a list, or several"),
    "next_host": _TEXT,
    "activity": _one_of(*ENDS, "stuck"),
    "applied": (lambda value: _is_number(value) and value <= 1, "a share from 0 to 1"),
    "line_errors": (_is_lines, "line numbers from 2 on, each with a reason,"),
    "errors": (_is_texts, "a text, or several"),
}


def _check_names(data: Any, at: Steps, known: Iterable[str]) -> None:
    names = list(known)
    if not isinstance(data, dict):
        raise _WrongError(at, f"a mapping with some of {', '.join(names)} is expected")
    for name in data:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names)}"
            raise _WrongError((*at, name), f"there is no '{name}' here ({hint})")


def _plain(node: yaml.Node | None, at: Steps, marks: dict[Steps, tuple[int, int]]) -> Any:
    """The data below a node; `marks` learns where each part of it stands."""
    if node is None:
        return None
    marks.setdefault(at, (node.start_mark.line + 1, node.start_mark.column + 1))
    if len(at) > _DEEPEST:
        raise _WrongError(at, "this is nested too deeply")
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key, value in node.value:
            name = str(key.value) if at[-1:] != ("line_errors",) else _scalar(key)
            step = (*at, name)
            if name in found:
                marks[step] = (key.start_mark.line + 1, key.start_mark.column + 1)
                raise _WrongError(step, f"'{name}' stands here twice")
            marks[step] = (key.start_mark.line + 1, key.start_mark.column + 1)
            found[name] = _plain(value, step, marks)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, (*at, i), marks) for i, each in enumerate(node.value)]
    try:
        return _scalar(node)
    except (yaml.YAMLError, ValueError):
        raise _WrongError(at, "this is no plain value") from None


def _scalar(node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        return str(node.value)
    return yaml.SafeLoader("").construct_object(node)
