"""Notices on their way: to the addresses that `notify:` names, by the library apprise."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from exportkit.config.references import resolve
from exportkit.errors import ConfigError
from exportkit.operations.notices import BAD, GOOD, notice_of, occasions_of
from exportkit.redaction import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from exportkit.config.notify import Notify
    from exportkit.operations.notices import Notice
    from exportkit.records import Run
    from exportkit.state.journal import Journal

LONGEST = 20
"""Seconds that one address may take; the library's own limits are shorter for most."""

_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_ANSWERED = re.compile(r"error[ =:]*(\d{3})\b")


def notify(journal: Journal, entries: Iterable[Notify], done: Run, root: Path) -> list[str]:
    """Tell whoever wants to know how a run ended; answers a line for each who was not told.

    `root` is the workspace. No address is in a line: it may hold a token.
    """
    entries = list(entries)
    if not entries:
        return []
    occasions = occasions_of(done, _status_before(journal, done))
    wanted = [entry for entry in entries if occasions & set(entry.on)]
    notice = notice_of(done, occasions)
    return [line for entry in wanted for line in _tell(entry, notice, root)]


def _status_before(journal: Journal, done: Run) -> str | None:
    latest = journal.runs(done.job, limit=2, statuses=(*GOOD, *BAD))
    return next((run.status for run in latest if run.run_id != done.run_id), None)


def _tell(entry: Notify, notice: Notice, root: Path) -> Iterator[str]:
    assert entry.document is not None
    where = entry.document.locate(entry.at)
    try:
        text = resolve(entry.to, entry.document, entry.at, root=root)
    except ConfigError as error:
        yield f"nobody was told: {error}"
        return
    try:
        import apprise
    except ImportError:
        yield (
            f"{where}: {where.path}: nobody was told: the package apprise is not installed "
            "(pip install 'exportkit[notify]')"
        )
        return
    for address in _BETWEEN.split(text.strip()):
        if reason := _send(apprise, address, notice):
            yield f"{where}: {where.path}: the notification was not delivered: {reason}"


def _send(apprise: Any, address: str, notice: Notice) -> str | None:
    """Why the notice did not reach the address; None if it did."""
    scheme = address.partition("://")[0] if "://" in address else "it"
    heard: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the library's own code
            messenger = _messenger(apprise)
            if not messenger.add(address):
                where = "https://github.com/caronc/apprise/wiki lists them"
                return f"{scheme} is no address that Apprise knows ({where})"
            told = messenger.notify(
                body=notice.body,
                title=notice.title,
                notify_type=notice.tone,
                body_format=apprise.NotifyFormat.TEXT,
                timeout=LONGEST,
                log_callback=lambda entry, _plugin: heard.append(str(entry.message)),
            )
    except Exception as error:  # noqa: BLE001 - a notifier never fails a run, whatever it does
        return f"{scheme} failed ({describe(error)})"
    if told:
        return None
    answers = [match[1] for line in heard if (match := _ANSWERED.search(line))]
    said = f"answered {answers[-1]}" if answers else "could not be reached, or refused it"
    return f"{scheme} {said}"


def _messenger(apprise: Any) -> Any:
    """One that leaves nothing on the disk."""
    asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY)
    return apprise.Apprise(asset=asset)
