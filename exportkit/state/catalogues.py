"""What was last seen at a target, so that a plan can be made without asking again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from exportkit.errors import UsageError
from exportkit.records import Catalogue, Column
from exportkit.state.folder import read_json, write_durably

if TYPE_CHECKING:
    from pathlib import Path


def remember(path: Path, catalogue: Catalogue) -> None:
    """Keep a catalogue. It holds nothing personal, and no expressions."""
    fields = [_plain(column) for column in catalogue.fields]
    document = {
        "name": catalogue.name,
        "identity": catalogue.identity,
        "members": catalogue.members,
        "details": dict(catalogue.details),
        "fields": fields,
    }
    write_durably(path, json.dumps(document, indent=1).encode())


def recall(path: Path) -> Catalogue:
    """The last known catalogue. Raises UsageError if the target was never asked."""
    document = read_json(path)
    if document is None:
        raise UsageError(
            "nothing is known of this target yet", hint="plan once without --offline: it is asked"
        )
    fields = tuple(Column(**column) for column in document.pop("fields"))
    return Catalogue(**document, fields=fields)


def _plain(column: Column) -> dict[str, object]:
    expressions = ("expression", "match", "accepts")
    return {name: value for name, value in asdict(column).items() if name not in expressions}
