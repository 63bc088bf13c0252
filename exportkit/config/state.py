"""Where a workspace keeps its state: a folder, or a PostgreSQL that several runners share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from exportkit.errors import ConfigError

if TYPE_CHECKING:
    from exportkit.config.documents import Document

DEFAULT = ".exportkit"
SCHEMA = "exportkit"
"""The schema of the database, where the URL names none."""


def read_state(document: Document) -> str:
    """The folder or the URL as it is written. Raises ConfigError for a URL that is none."""
    state = document.text(("state",)) or DEFAULT
    if "://" not in state:
        return state
    where = document.locate(("state",))
    try:
        schema = schema_of(state)
    except ValueError:
        raise ConfigError(
            "found a URL that cannot be taken apart",
            location=where,
            hint="write postgresql://user@host:port/database",
        ) from None
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise ConfigError(
            f"found the schema '{schema}', expected small letters, digits and _",
            location=where,
            hint="write postgresql://user@host/database?schema=name",
        )
    return state


def schema_of(url: str) -> str:
    """The schema that a state's URL names. Raises ValueError for what is no URL."""
    query = urlsplit(url).query
    return dict(parse_qsl(query, keep_blank_values=True)).get("schema", SCHEMA)
