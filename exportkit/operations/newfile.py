"""The file of a new connection: what somebody said of it, and the plugin's options to fill in."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from exportkit.config.editing import scalar
from exportkit.config.examples import reference
from exportkit.config.names import nearest_hint
from exportkit.config.references import has_reference
from exportkit.config.secrets import is_secret
from exportkit.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from exportkit.config.workspace import Workspace

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def check_name(workspace: Workspace, name: str) -> Path:
    """The file for a connection of that name. Raises UsageError if it cannot be, or is taken."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be a connection's name",
            hint="lower-case letters, digits, '-' and '_', beginning with a letter or digit",
        )
    path = workspace.root / "connections" / f"{name}.yaml"
    if name in (known.name for known in workspace.connections().items) or path.exists():
        raise UsageError(
            f"there is a connection '{name}' already", hint=f"exportkit connection show {name}"
        )
    return path


def check_option(schema: Mapping[str, Any], name: str, value: str) -> None:
    """Raise UsageError for an option that there is not, or a secret in plain text."""
    known = schema.get("properties", {})
    if name not in known:
        raise UsageError(f"there is no option '{name}'", hint=nearest_hint(name, known))
    if is_secret(name, known[name]) and not has_reference(value):
        raise UsageError(
            f"the option '{name}' is a secret, which does not belong in a file",
            hint=f"say where it is to be found instead: {reference(name)}, ${{file:PATH}} or "
            "${keyring:SERVICE/NAME}",
        )


def missing(schema: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    """The options that have to be there and are not."""
    known = schema.get("properties", {})
    return [
        name
        for name in schema.get("required", ())
        if name not in given and "default" not in known.get(name, {})
    ]


def write(
    workspace: Workspace,
    path: Path,
    facts: Mapping[str, str],
    use: Sequence[str],
    options: Sequence[str],
) -> None:
    """Write the file; `facts` and `options` are its lines. Raises ConfigError if that fails."""
    lines = [
        "version: 1",
        *(f"{key}: {scalar(text)}" for key, text in facts.items()),
        f"use: [{', '.join(use)}]",
        *options,
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except OSError as error:
        raise ConfigError(
            f"{workspace.shown(path)} cannot be written: {(error.strerror or 'failed').lower()}",
            hint="the user who runs exportkit has to be able to write there",
        ) from None


def option_lines(type: str, schema: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:  # noqa: A002
    """The options that were given, and the others as comments: what each is, with an example."""
    options = schema.get("properties", {})
    if not options:
        return
    required = schema.get("required", ())
    yield f"# Take the # away where you fill something in; more: exportkit plugins show {type}"
    off, on = "#   ", "#   "
    if given:
        off, on = "  # ", "  "
    yield "options:" if given else "# options:"
    for name, option in options.items():
        if name in given:
            yield f"{on}{name}: {_value(given[name], option)}"
            continue
        said = " ".join(str(option.get("description", "")).split())
        need = "Required." if name in required else ""
        if comment := " ".join(filter(None, (said, need))):
            yield f"{off}# {comment}"
        yield f"{off}{name}: {_example(name, option)}"


def _value(text: str, option: Mapping[str, Any]) -> str:
    """What was said, as YAML: a number where the option is one, else text."""
    kind = option.get("type", "string")
    if kind == "string" or has_reference(text):
        return scalar(text)
    try:
        json.loads(text)  # numbers, true and false, lists and objects are YAML as well
    except ValueError:
        return scalar(text)
    return text


def _example(name: str, option: Mapping[str, Any]) -> str:
    if is_secret(name, option):
        return reference(name)
    for found in (option.get("default"), *option.get("examples", ()), *option.get("enum", ())):
        if isinstance(found, str):
            return scalar(found)
        if isinstance(found, bool | int | float):
            return str(found).lower()
    kind = option.get("type", "text")
    return {"array": "[]", "object": "{}", "boolean": "false"}.get(str(kind), "...")
