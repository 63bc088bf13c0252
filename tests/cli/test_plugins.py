"""`exportkit plugins` and `schema`: what is installed, what it takes, what failed to load."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from exportkit.host import load_plugins
from tests.host.conftest import Site

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


def test_the_list_says_what_each_is_and_can(exportkit: Command) -> None:
    listing = exportkit("plugins", "--json").json
    (csv,) = [plugin for plugin in listing["plugins"] if plugin["name"] == "csv"]
    assert (csv["title"], csv["modes"], csv["wraps"]) == ("CSV file", ["full"], [])
    assert csv["limits"]["batch_rows"] == 20_480
    assert csv["hooks"] == ["describe_destination", "connect", "push", "finish"]
    lines = exportkit("plugins").out.splitlines()
    at = lines.index(f"csv: CSV file (exportkit-csv {csv['version']})")
    assert lines[at + 1 : at + 4] == [
        "  hooks: describe_destination, connect, push, finish",
        "  modes: full",
        "  limits: 20,480 rows a batch",
    ]


def test_what_is_no_destination_and_what_is_odd_are_listed_too(
    exportkit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    source = """
        import time
        from exportkit import hookimpl
        time.sleep(1)
        @hookimpl(wrapper=True)
        def push(session, batch): return (yield)
        @hookimpl
        def register_commands(cli): pass
    """
    site.install(source, name="status", module="exportkit_wrap")
    try:
        lines = exportkit("plugins").out.splitlines()
    finally:
        sys.modules.pop("exportkit_wrap", None)
    at = lines.index("status: no destination (exportkit-status 1.2.3)")
    assert lines[at + 1] == "  hooks: register_commands"
    assert lines[at + 2] == "  wraps: push"
    assert re.fullmatch(r"  note: takes 1\.\d s to load, whatever .*", lines[at + 3])
    assert lines[at + 4] == (
        "  note: its commands cannot be reached: `exportkit status` is exportkit's own"
    )


def test_options_are_shown_with_all_that_is_known_of_them(exportkit: Command) -> None:
    lines = [
        re.sub(" +", " ", line.strip())
        for line in exportkit("plugins", "show", "constant_contact").out.splitlines()
    ]
    for line in (
        "client_id string required The API key of the application that you registered with the "
        "service.",
        "client_secret string, secret The application's secret; left out, sign-in uses PKCE.",
        "import_format auto | csv | json default 'auto' auto is CSV, unless a mapped field has no "
        "CSV column.",
        "exactly one of: list_id, list_name",
        "email email up to 50 key, required",
    ):
        assert line in lines


@pytest.mark.parametrize("destination", load_plugins().destinations)
def test_the_sample_of_every_destination_validates(
    destination: str, exportkit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it does not, the plugin's schemas of options lack `examples`."""
    sample = exportkit("plugins", "show", destination, "--json").json["sample"]
    job = yaml.safe_load(sample["job"])
    columns = ["id", *dict.fromkeys(job["map"].values())]
    files = {
        "exportkit.yaml": "version: 1\n",
        "sources/customers.yaml": "version: 1\nname: customers\nfile: people.csv\nkey: id\n"
        "segments: {everyone: {}}\n",
        f"connections/{job['connection']}.yaml": sample["connection"],
        f"jobs/{job['name']}.yaml": sample["job"],
        "people.csv": f"{','.join(columns)}\n{','.join('1' for _ in columns)}\n",
    }
    for name, text in files.items():
        (tmp_path / "made" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "made" / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "made")
    said = exportkit("validate")
    assert said.code == 0, said.err
    shown = exportkit("plugins", "show", destination).out
    for line in (sample["job"] + sample["connection"]).splitlines():
        assert f"    {line}\n" in shown


@pytest.mark.parametrize("kind", ["workspace", "source", "connection", "job"])
def test_the_schema_of_each_kind(kind: str, exportkit: Command) -> None:
    schema = exportkit("schema", kind).json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "version" in schema["properties"]


def test_a_source_has_no_type(exportkit: Command) -> None:
    said = exportkit("schema", "source", "--type", "csv")
    assert said.code == 2
    assert "a source has no type" in said.err
