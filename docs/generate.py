"""Writes the pages that follow from the code: `python docs/generate.py`. A test finds old ones."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

import exportkit
from exportkit import __version__, hookspecs, records
from exportkit.cli import COMMANDS, cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


ARGUMENTS = {
    "batch": "the rows of one call",
    "batch_of": "reads the batch again that a receipt stands for",
    "cli": "the group to add commands to",
    "columns": "rows that are to be measured, as they will be sent",
    "connection": "the account, with its references resolved",
    "mapping": "the job's `map:`, in its order",
    "options": "the job's `destination:`, with the defaults filled in",
    "planning": "whether only a plan is made: then nothing may change",
    "prompt": "the person at the keyboard",
    "receipts": "those that have no final answer yet",
    "run": "how it went, in counts",
    "session": "what `connect` opened",
    "target": "where the job delivers: its options, its columns, what was found there",
}
"""What is handed over, for every hook that takes it."""


def hooks() -> str:
    """The contract: every hook in the order of the calls, the records, the loans, the errors."""
    specs = [each for each in vars(hookspecs).values() if hasattr(each, "exportkit_spec")]
    public = [getattr(exportkit, name) for name in exportkit.__all__]
    kinds = [each for each in public if inspect.isclass(each)]
    frozen = [each for each in kinds if is_dataclass(each)]
    errors = [each for each in kinds if issubclass(each, Exception)]
    lent = [each for each in public if inspect.isroutine(each) or each in kinds]
    lent = [each for each in lent if each not in (*frozen, *errors)]
    choices = [name for name, each in vars(records).items() if get_origin(each) is Literal]
    return "\n".join(
        [
            "## The hooks, in the order of the calls\n",
            *map(_hook, specs),
            "## The records\n",
            *map(_record, sorted(frozen, key=lambda each: inspect.getsourcelines(each)[1])),
            *map(_choice, choices),
            "\n## What the host lends\n",
            *map(_loan, lent),
            "## The errors\n",
            *map(_error, errors),
            "",
        ]
    )


def _hook(function: Callable[..., Any]) -> str:
    words, _, example = inspect.cleandoc(function.__doc__ or "").partition("\n>>> ")
    code = "\n".join(line[4:] for line in f">>> {example}".splitlines())
    given = [name for name in function.__annotations__ if name != "return"]
    rows = [f"| `{name}` | {_type(function, name)} | {ARGUMENTS[name]} |" for name in given]
    head = ["| argument | type | what it is |", "| --- | --- | --- |"] if rows else []
    return "\n".join(
        [
            f"### {function.__name__}\n",
            f"{words.strip()}\n",
            *head,
            *rows,
            *([""] if rows else []),
            f"Answers {_type(function, 'return')}.\n",
            f"```python\n{textwrap.dedent(code)}\n```\n",
        ]
    )


def _type(thing: Any, name: str) -> str:
    return f"`{thing.__annotations__[name]}`".replace("|", "\\|").replace("`None`", "nothing")


def _record(record: type) -> str:
    rows = [
        f"| `{each.name}` | {_type(record, each.name)} | {_default(each)} |"
        for each in fields(record)
    ]
    below = [
        f"`{name}`: {inspect.cleandoc(each.__doc__).splitlines()[0]}\n"
        for name, each in vars(record).items()
        if name[0] != "_" and (isinstance(each, property) or inspect.isfunction(each))
    ]
    table = ["| field | type | default |", "| --- | --- | --- |", *rows, "", *below]
    return "\n".join([f"### {record.__name__}\n", f"{inspect.getdoc(record)}\n", *table])


def _default(each: Field[Any]) -> str:
    value = each.default
    if each.default_factory is not MISSING:
        value = each.default_factory()
    if value is MISSING:
        return ""
    if inspect.isclass(value):
        return f"`{value.__name__}`"
    plain = isinstance(value, str | int | float | tuple | dict | None)
    return f"`{value!r}`" if plain else f"`{type(value).__name__.removeprefix('Posix')}()`"


def _choice(name: str) -> str:
    values = ", ".join(f"`{value}`" for value in get_args(getattr(records, name)))
    return f"- `{name}` is one of {values}."


def _loan(lent: Any) -> str:
    methods = [
        f"- `{lent.__name__}.{name}{_signature(each)}`: {_line(each)}".replace(".__call__", "")
        for name, each in vars(lent).items()
        if inspect.isfunction(each)
        and each.__qualname__ == f"{lent.__name__}.{name}"
        and each.__doc__
        and (name[0] != "_" or name == "__call__")
    ]
    ends = [*methods, ""] if methods else []
    return "\n".join([f"### {lent.__name__}\n", f"{inspect.getdoc(lent)}\n", *ends])


def _signature(method: Callable[..., Any]) -> str:
    taken = [str(each) for each in list(inspect.signature(method).parameters.values())[1:]]
    return f"({', '.join(taken)})".replace("'", "")


def _line(thing: Any) -> str:
    return " ".join(inspect.cleandoc(thing.__doc__ or "").split())


def _error(error: type) -> str:
    return f"- `{error.__name__}`: {_line(error)}"


WHOLE = {"exportkit.1": man}
PAGES = {"commands.md": commands, "files.md": files, "hooks.md": hooks}


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
