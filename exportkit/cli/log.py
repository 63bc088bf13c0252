"""What is said beside the results, on stderr: lines for people, or JSON, one document a line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import click

from exportkit.redaction import without_secrets

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")

_chosen: Format | None = None


def choose(log_format: Format | None) -> None:
    """Write so from now on. None: lines for people, who may see a live bar instead of some."""
    global _chosen
    _chosen = log_format
    _install(logging.getLogger("exportkit"), _Own())
    _install(logging.getLogger(), _Foreign() if log_format == "json" else None)


def _install(logger: logging.Logger, handler: logging.Handler | None) -> None:
    """Let this one of ours handle what is logged; handlers of others stay."""
    for old in [each for each in logger.handlers if isinstance(each, _Own | _Foreign)]:
        logger.removeHandler(old)
    if handler is not None:
        logger.addHandler(handler)


def chosen() -> Format | None:
    """The format that was asked for; None where nobody did."""
    return _chosen


def say(message: str, *, level: str = "info", run_id: str | None = None, **facts: object) -> None:
    """Write a line. `facts` and the run that is on are fields of the JSON; people don't need them.

    A line that cannot be written is lost: nothing that is being done may end for it.
    """
    message = without_secrets(message)
    try:
        if _chosen != "json":
            click.echo(message, err=True)
            return
        known = {name: fact for name, fact in facts.items() if fact is not None}
        document = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "run_id": run_id or _current_run(),
            **known,
            "message": message.strip(),
        }
        click.echo(json.dumps(document, ensure_ascii=False, default=str), err=True)
    except OSError:
        return


def _current_run() -> str | None:
    # No run is on where its module was not loaded.
    module = sys.modules.get("exportkit.pipeline.record")
    return module.current_run.get() if module else None


class _Own(logging.Handler):
    """What our own modules note."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's message; of an exception no more than its kind and place."""
        from exportkit.redaction import describe

        message = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            message = f"{message}: {describe(record.exc_info[1])}"
        level = record.levelname.lower()
        label = "" if _chosen == "json" or level == "info" else f"{level}: "
        say(f"{label}{message}", level=level, logger=record.name)


class _Foreign(logging.Handler):
    """What libraries note: it may quote an address or a token, so these are taken out."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's message, redacted."""
        from exportkit.redaction import redact

        if record.levelno < logging.WARNING or record.name.partition(".")[0] == "exportkit":
            return
        say(redact(record.getMessage()), level=record.levelname.lower(), logger=record.name)
