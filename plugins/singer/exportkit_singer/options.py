"""What a connection and a job may say, as JSON Schemas, and the numbers that belong to it."""

from __future__ import annotations

from typing import Any, Final

BATCH_ROWS: Final = 50_000
"""A program starts within a second, and loads some thousand rows in one."""
MOST_ROWS: Final = 1_000_000

TYPES: Final = ("string", "integer", "number", "boolean", "date", "date-time")

CONNECTION: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["target"],
    "properties": {
        "target": {
            "type": "string",
            "minLength": 1,
            "description": "The program, by its name or (with a slash in it) by its path, "
            "which starts at the workspace.",
        },
        "config": {
            "type": "object",
            "default": {},
            "description": "The target's own configuration. Secrets are references.",
            "additionalProperties": True,
        },
        "timeout": {
            "type": "integer",
            "minimum": 1,
            "default": 600,
            "description": "Seconds without any progress after which the program is ended.",
        },
    },
}

JOB: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["stream"],
    "properties": {
        "stream": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "description": "What the target calls a table, a file or an index.",
        },
        "key_properties": {
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": True,
            "description": "The fields that tell one row from another; the job's key if left out. "
            "An empty list has every row added, also one that is there already.",
        },
        "types": {
            "type": "object",
            "additionalProperties": {"enum": list(TYPES)},
            "default": {},
            "description": "What a field holds, where that is not text.",
        },
        "sync": {
            "enum": ["batch", "run"],
            "default": "batch",
            "description": "Whether the target runs once for each batch, or once for all of them: "
            "one that replaces what is there needs `run`.",
        },
        "batch_rows": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_ROWS,
            "default": BATCH_ROWS,
            "description": "How many rows are handed over at most at a time.",
        },
    },
}
