"""A connection and a job for a destination, made of what it says of itself: they validate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exportkit.config.examples import options_that_fit

if TYPE_CHECKING:
    from exportkit.host.destination import Destination
    from exportkit.records import Column, Description

SOURCE, SEGMENT = "customers", "everyone"
_FREE = ("email", "first_name")
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """Two files of a workspace. `columns` are what its source has to have."""

    connection: str
    job: str
    columns: tuple[str, ...]


def sample_of(destination: Destination) -> Sample:
    """The sample files. The job reads the segment `everyone` of a source `customers`."""
    facts = destination.describe()
    name = f"my-{destination.type}"
    connection: dict[str, Any] = {
        "version": 1,
        "name": name,
        "display_name": facts.title,
        "type": destination.type,
    }
    if options := options_that_fit(facts.connection_options):
        connection["options"] = options
    options = options_that_fit(facts.job_options)
    facts = destination.for_job(_with_defaults(facts, options)).describe()
    fields, key = _fields(facts)
    columns = {field: re.sub(r"\W+", "_", field).strip("_").lower() for field in fields}
    job: dict[str, Any] = {
        "version": 1,
        "name": f"{SEGMENT}-to-{destination.type}",
        "source": SOURCE,
        "segments": [SEGMENT],
        "connection": name,
        **({"destination": options} if options else {}),
        "map": columns,
        **({"key": key} if key else {}),
        "mode": facts.modes[0],
    }
    return Sample(_yaml(connection), _yaml(job), tuple(dict.fromkeys(columns.values())))


def _with_defaults(facts: Description, options: dict[str, Any]) -> dict[str, Any]:
    known = facts.job_options.get("properties", {})
    defaults = {name: part["default"] for name, part in known.items() if "default" in part}
    return {**defaults, **options}


def _fields(facts: Description) -> tuple[list[str], str]:
    """What the sample maps, and what it says the key is: nothing where the destination does."""
    if not facts.fields:
        return list(_FREE), _FREE[0]
    needed = [column.name for column in facts.fields if column.key or column.required]
    others = [column.name for column in facts.fields if column.name not in needed]
    chosen = [*needed, *others[: max(0, _FIELDS - len(needed))]]
    if any(column.key for column in facts.fields):
        return chosen, ""
    return chosen, min((c for c in facts.fields if c.name in chosen), key=_unlike_a_key).name


def _unlike_a_key(column: Column) -> tuple[bool, bool]:
    return column.kind != "email", not column.required


def _yaml(data: dict[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return text
