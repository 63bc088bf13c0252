"""What destinations were when they were last loaded, so that one nobody asks for is not imported.

A destination concerns those alone who deliver to it; what wraps others or listens has to be loaded
always, and nothing but loading tells one from the other. So it is remembered, under a digest of all
that was installed: whatever changes in the distribution, in Python or in exportkit makes it unknown
again. What is installed in place (editable) changes without a trace, and is never remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit import __version__
from exportkit.durable import Draft
from exportkit.host.inspection import SPECS
from exportkit.host.plugin import Plugin

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint

_MOST = 200
"""So many are kept, of all environments of the account: the latest."""


class Memory:
    """The remembered destinations of this account. Nothing is raised: what fails is not known."""

    def __init__(self) -> None:
        self._path = _path()
        self._known: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            if self._path and isinstance(found := json.loads(self._path.read_bytes()), dict):
                self._known = found

    def recall(self, entry_point: EntryPoint) -> Plugin | None:
        """The destination as it was, if nothing about its installation has changed."""
        facts = self._known.get(_identity(entry_point) or "")
        if not isinstance(facts, dict):
            return None
        try:
            found = Plugin(**{**facts, "hooks": tuple(facts["hooks"]), "wraps": ()})
        except (TypeError, KeyError):  # written by nobody we know
            return None
        ours = found.destination and found.name == entry_point.name
        return found if ours and set(found.hooks) <= {*SPECS} else None

    def keep(self, loaded: Iterable[tuple[EntryPoint, Plugin]]) -> None:
        """Remember destinations that have just been loaded."""
        facts = {
            identity: {**asdict(plugin), "hooks": list(plugin.hooks), "wraps": []}
            for entry_point, plugin in loaded
            if plugin.destination and not plugin.wraps and (identity := _identity(entry_point))
        }
        if self._path is None or all(_same(self._known.get(i), facts[i]) for i in facts):
            return
        self._known = dict([*self._known.items(), *facts.items()][-_MOST:])
        with suppress(OSError), Draft(self._path) as draft:
            draft.file.write(json.dumps(self._known).encode())
            draft.commit()


def _same(known: object, facts: dict[str, Any]) -> bool:
    """Whether nothing differs but the time that loading took."""
    return isinstance(known, dict) and {**known, "seconds": 0} == {**facts, "seconds": 0}


def _path() -> Path | None:
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # an account without a home
        return None
    return folder / "exportkit" / "plugins.json"


def _identity(entry_point: EntryPoint) -> str | None:
    """A digest of all that decides what the plugin is; None if that cannot be known."""
    distribution = entry_point.dist
    if distribution is None:
        return None
    try:
        record = distribution.read_text("RECORD")  # has a digest of every file
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except Exception:  # noqa: BLE001 - damaged metadata: it is loaded, and said there
        return None
    if not record or origin.get("dir_info", {}).get("editable"):
        return None
    parts = [entry_point.name, entry_point.value, record, sys.version, __version__, *SPECS]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
