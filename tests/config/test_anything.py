"""Whatever stands where: complaints with positions, never an exception, and what passes is read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from exportkit.config.connection import read_connection
from exportkit.config.job import check_job, read_job
from exportkit.config.retention import read_retention
from exportkit.config.schemas import check
from exportkit.config.source import read_source

from .samples import ANYTHING, VALID, places, replaced

READ = {
    "workspace": read_retention,
    "source": read_source,
    "connection": read_connection,
    "job": read_job,
}


@pytest.mark.parametrize("kind", VALID)
def test_what_it_starts_from_is_valid(read, kind: str) -> None:
    document = read(yaml.safe_dump(VALID[kind], sort_keys=False))
    assert check(document, kind) == []
    READ[kind](document)


@pytest.mark.parametrize(
    ("kind", "path"), [(kind, path) for kind, data in VALID.items() for path in places(data)]
)
def test_anything_anywhere(read, kind: str, path: tuple[Any, ...]) -> None:
    for value in ANYTHING:
        document = read(yaml.safe_dump(replaced(VALID[kind], path, value), sort_keys=False))
        found = check(document, kind)
        for complaint in found:
            assert complaint.location is not None
            assert "Unset" not in str(complaint)
        if not found:
            READ[kind](document)
            if kind == "job":
                list(check_job(document))
