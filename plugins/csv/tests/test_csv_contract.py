"""The CSV destination under the contract's own tests."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from exportkit.testing import DestinationContract

if TYPE_CHECKING:
    from exportkit.testing import Rehearsal


class TestCsv(DestinationContract):
    type = "csv"
    job_options = {"path": "out/people.csv", "encoding": "latin-1", "formulas": "keep"}

    def bad_row(self, number: int) -> dict[str, str | None]:
        """Greek has no place in this encoding."""
        name = f"Ἑλένη {number}"
        return {"email": f"h{number}@example.com", "first_name": name, "last_name": name}

    def arrived(self, stand: Rehearsal) -> list[str]:
        path = Path(stand.options["path"])
        if not path.exists():
            return []
        with path.open(encoding="latin-1", newline="") as file:
            return [row["email"] for row in csv.DictReader(file)]
