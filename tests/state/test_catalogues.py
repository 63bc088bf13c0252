"""What was last seen at a target comes back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exportkit.errors import UsageError
from exportkit.records import Catalogue, Column
from exportkit.state.catalogues import recall, remember

if TYPE_CHECKING:
    from pathlib import Path


def test_a_catalogue_comes_back(tmp_path: Path) -> None:
    column = Column("cf:tier", kind="number", max_length=7, description="Tier")
    catalogue = Catalogue("VIPs", "list-1", (column,), 12, {"calls_left": 3})
    remember(tmp_path / "known.json", catalogue)
    assert recall(tmp_path / "known.json") == catalogue
    assert (tmp_path / "known.json").stat().st_mode & 0o777 == 0o600


def test_what_was_never_asked_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is known"):
        recall(tmp_path / "known.json")
