"""Which exportkit a distribution asks for; damaged distributions hide no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exportkit import __version__
from exportkit.host import load_plugins

from .conftest import SOUND, Site

if TYPE_CHECKING:
    from pathlib import Path

UNMET = {
    "exportkit>=99": "it needs exportkit>=99",
    "exportkit >= 99.1": "it needs exportkit>=99.1",
    "Exportkit[notify]~=99.0": "it needs exportkit~=99.0",
    "exportkit<0.1": "it needs exportkit<0.1",
    "exportkit>=0.1,!=0.1.*": "it needs exportkit!=0.1.*,>=0.1",
}


@pytest.mark.parametrize("requirement", UNMET)
def test_a_plugin_for_another_host_is_not_even_imported(site: Site, requirement: str) -> None:
    site.install("raise RuntimeError('imported')", requires=["pyarrow>=1", requirement])
    (broken,) = site.load().broken
    assert broken.reason == f"{UNMET[requirement]}, and this is exportkit {__version__}"
    assert broken.hint == "install that exportkit, or another exportkit-mill than 1.2.3"


@pytest.mark.parametrize(
    "requirement",
    [
        "exportkit>=0.1",
        "exportkit>=0.1.0",
        "exportkit",
        "exportkit[notify]>=0.1",
        "exportkit>=99; python_version < '3'",
        "exportkit>=99; extra == 'later'",
        "exportkit-csv>=99",
        "exportkit is what we need",
    ],
)
def test_a_plugin_for_this_host_is_used(site: Site, requirement: str) -> None:
    site.install(SOUND, requires=[requirement])
    assert site.load().destinations == ("mill",)


def test_a_name_that_this_exportkit_lacks_is_no_broken_installation(site: Site) -> None:
    site.install("from exportkit import Telepathy")
    site.install("import exportkit.telepathy", name="paper", module="exportkit_paper")
    for broken in site.load().broken:
        assert broken.hint == (
            f"it is written for another exportkit than {__version__}: update {broken.distribution}"
        )


DAMAGED = {
    "entry_points.txt": b"\xff\xfe\x00",
    "entry_points.txt ": b"[exportkit]\nruin\n",
    "METADATA": b"\xff\xfe",
}


@pytest.mark.parametrize("file", DAMAGED)
def test_a_damaged_distribution_hides_no_other(site: Site, file: str) -> None:
    site.install(SOUND)
    site.install(SOUND, name="ruin", module="exportkit_ruin", version="0.3")
    info: Path = site.folder / "exportkit_ruin-0.3.dist-info"
    (info / file.strip()).write_bytes(DAMAGED[file])
    host = load_plugins()
    assert {"csv", "mill"} <= set(host.destinations)
    (broken,) = [each for each in host.broken if each.distribution == "exportkit-ruin"]
    assert broken.version == "0.3"
    assert "its metadata cannot be read" in broken.reason


def test_a_distribution_without_metadata_is_in_one_list_or_the_other(site: Site) -> None:
    """Which one is for `importlib.metadata` to say; its versions differ."""
    site.install(SOUND)
    (site.folder / "exportkit_mill-1.2.3.dist-info" / "METADATA").unlink()
    host = site.load()
    assert [each.name for each in (*host.plugins, *host.broken)] == ["mill"]
