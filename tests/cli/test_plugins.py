"""`exportkit plugins` and `schema`: what is installed, what it takes, what failed to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin is installed that cannot be imported."""
    site = tmp_path / "site"
    info = site / "exportkit_ruin-0.3.dist-info"
    info.mkdir(parents=True)
    (site / "exportkit_ruin.py").write_text("import no_such_module\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: exportkit-ruin\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[exportkit]\nruin = exportkit_ruin\n")
    monkeypatch.syspath_prepend(str(site))


@pytest.mark.usefixtures("broken")
def test_what_failed_to_load_is_listed_with_why(exportkit: Command) -> None:
    listing = exportkit("plugins", "--json").json
    assert "csv" in [plugin["name"] for plugin in listing["plugins"]]
    (ruin,) = [plugin for plugin in listing["broken"] if plugin["name"] == "ruin"]
    assert (ruin["distribution"], ruin["version"]) == ("exportkit-ruin", "0.3")
    assert "no_such_module" in ruin["reason"]
    said = exportkit("plugins")
    assert said.code == 0
    assert "ruin (exportkit-ruin 0.3) is not used: " in said.err
    assert "csv" in said.out


@pytest.mark.usefixtures("broken")
def test_it_stops_no_job_of_others(exportkit: Command) -> None:
    assert exportkit("run", "vip-newsletter").code == 0


def test_show_says_what_a_destination_takes(exportkit: Command) -> None:
    said = exportkit("plugins", "show", "csv")
    assert "personal data stays on this machine" in said.out
    assert "rows a batch" in said.out
    assert "None" not in said.out
    facts = exportkit("plugins", "show", "csv", "--json").json
    assert facts["third_party"] is False
    assert "path" in facts["job_options"]["properties"]


@pytest.mark.parametrize("kind", ["workspace", "source", "connection", "job"])
def test_the_schema_of_each_kind(kind: str, exportkit: Command) -> None:
    schema = exportkit("schema", kind).json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "version" in schema["properties"]


def test_a_source_has_no_type(exportkit: Command) -> None:
    said = exportkit("schema", "source", "--type", "csv")
    assert said.code == 2
    assert "a source has no type" in said.err
