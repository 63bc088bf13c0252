"""Writes the pages that follow from the code: `python docs/generate.py`. A test finds old ones."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exportkit import __version__, hookspecs
from exportkit.cli import COMMANDS, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parent
SCHEMAS = DOCS.parent / "schemas"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"


def commands() -> str:
    """Every command as its own help has it."""
    parts = [_help(cli, "exportkit")]
    context = click.Context(cli, info_name="exportkit")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        parts.append(_help(command, f"exportkit {name}"))
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                inner = command.get_command(context, below)
                assert inner is not None
                parts.append(_help(inner, f"exportkit {name} {below}"))
    return "\n".join(parts)


def man() -> str:
    """The same as a manual page, in the macros of man(7)."""
    one_line = (cli.help or "").splitlines()[0].rstrip(".")
    parts = [
        f'.TH EXPORTKIT 1 "" "exportkit {__version__}" "User Commands"',
        f".SH NAME\nexportkit \\- {_roff(one_line)}",
        ".SH SYNOPSIS\n.B exportkit\n[OPTIONS] COMMAND [ARGS]...",
        ".SH DESCRIPTION",
    ]
    for section in re.split(r"^## ", commands(), flags=re.MULTILINE)[1:]:
        title, text = section.split("\n", 1)
        body = text.replace("```text\n", "").replace("```", "").strip("\n")
        parts.append(f".SS {_roff(title)}\n.nf\n{_roff(body)}\n.fi")
    return "\n".join(parts) + "\n"


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(
        f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.splitlines()
    )


def _help(command: click.Command, name: str) -> str:
    context = click.Context(
        command,
        info_name=name,
        max_content_width=96,
        terminal_width=96,
        help_option_names=["-h", "--help"],
    )
    return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"


def files() -> str:
    """Every key of the four kinds of files, from the schemas that check them."""
    parts = []
    for kind, title in (
        ("workspace", "exportkit.yaml"),
        ("source", "sources/*.yaml"),
        ("connection", "connections/*.yaml"),
        ("job", "jobs/*.yaml"),
    ):
        schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))
        parts.append(f"### {title}\n\n{schema['description']}\n")
        # A key of two forms of one thing, such as an entry and a list of entries, is said once.
        parts.append("\n".join(dict.fromkeys(_keys(schema, schema, ""))) + "\n")
    return "\n".join(parts)


def _keys(schema: dict[str, Any], whole: dict[str, Any], path: str) -> Iterator[str]:
    """A line for each key below `path`, in whichever of its forms it is written."""
    properties = schema.get("properties", {})
    # The only key of a form is what makes it that form, so there is nothing to require.
    required = set(schema.get("required", ())) if len(properties) > 1 else set()
    for name, part in properties.items():
        found = _resolved(part, whole)
        mark = " (required)" if name in required else ""
        said = [" ".join(found.get("description", "").split()), *_choices(found)]
        yield f"- `{path}{name}`{mark}: {' '.join(said)}"
        yield from _keys(found, whole, f"{path}{name}.")
    for form in (*schema.get("anyOf", ()), schema.get("items")):
        if isinstance(form, dict):
            yield from _keys(_resolved(form, whole), whole, path)
    if isinstance(free := schema.get("additionalProperties"), dict):
        placeholder = {"map.": "FIELD", "segments.": "SEGMENT"}.get(path, "NAME")
        yield from _keys(_resolved(free, whole), whole, f"{path}{placeholder}.")


def _choices(schema: dict[str, Any]) -> Iterator[str]:
    """The values that are allowed, where they are few and not said in words."""
    words = schema.get("description", "")
    values = [str(value) for value in schema.get("enum", ())]
    if values and not all(value in words for value in values):
        yield f"One of {', '.join(f'`{value}`' for value in values)}."


def _resolved(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    target: Any = whole
    if "$ref" not in part:
        return part
    for step in part["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    found: dict[str, Any] = target
    return {**found, **{k: v for k, v in part.items() if k != "$ref"}}


def hooks() -> str:
    """Every hook in the order of the calls, as its specification says it."""
    parts = []
    for name, function in vars(hookspecs).items():
        if hasattr(function, "exportkit_spec"):
            said = inspect.cleandoc(function.__doc__ or "")
            words, _, example = said.partition("\n>>> ")
            code = "\n".join(line[4:] for line in f">>> {example}".splitlines())
            arguments = ", ".join(inspect.signature(function).parameters)
            parts.append(
                f"### {name}({arguments})\n\n{words.strip()}\n\n```python\n"
                f"{textwrap.dedent(code)}\n```\n"
            )
    return "\n".join(parts)


WHOLE = {"exportkit.1": man}
PAGES = {"commands.md": commands, "files.md": files, "plugins.md": hooks}


def page(name: str) -> str:
    """The page as it should be: what is written by hand stays, what is generated is new."""
    if name in WHOLE:
        return WHOLE[name]()
    text = (DOCS / name).read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + PAGES[name]() + END + after


if __name__ == "__main__":
    for page_name in (*PAGES, *WHOLE):
        (DOCS / page_name).write_text(page(page_name), encoding="utf-8")
