"""What is installed is what was built: each distribution's wheel holds all that it needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = {
    "exportkit": ROOT,
    "exportkit-csv": ROOT / "plugins" / "csv",
    "exportkit-constant-contact": ROOT / "plugins" / "constant_contact",
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    """Each distribution as a wheel that was built out of its sdist, all at once."""
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("wheels")
    builds = {
        name: subprocess.Popen(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", out / name, folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, folder in DISTRIBUTIONS.items()
    }
    for build in builds.values():
        output, _ = build.communicate(timeout=60)
        assert build.returncode == 0, output
    return {name: zipfile.ZipFile(next((out / name).glob("*.whl"))) for name in DISTRIBUTIONS}


def metadata(wheel: zipfile.ZipFile) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def entry_points(wheel: zipfile.ZipFile) -> str:
    found = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    return wheel.read(found[0]).decode() if found else ""


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_metadata_says_what_it_is(wheels: dict[str, zipfile.ZipFile], name: str) -> None:
    about = metadata(wheels[name])
    assert about["Name"] == name
    assert about["Version"].startswith("0.1.0")
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    assert about["Summary"]
    assert about.get_payload()


@pytest.mark.parametrize("name", [name for name in DISTRIBUTIONS if name != "exportkit"])
def test_a_plugin_needs_the_host(wheels: dict[str, zipfile.ZipFile], name: str) -> None:
    assert "exportkit>=0.1" in metadata(wheels[name]).get_all("Requires-Dist", [])


def test_the_host_brings_its_modules_schemas_and_types(
    wheels: dict[str, zipfile.ZipFile],
) -> None:
    built = set(wheels["exportkit"].namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "exportkit").rglob("*")
        if path.suffix in (".py", ".typed")
    }
    assert sources <= built
    assert "exportkit/py.typed" in built
    schemas = {f"exportkit/schemas/{path.name}" for path in (ROOT / "schemas").glob("*.json")}
    assert schemas <= built
    assert {f"exportkit/schemas/{kind}.schema.json" for kind in KINDS} <= built
    assert "exportkit = exportkit.cli:start" in entry_points(wheels["exportkit"])


KINDS = ("workspace", "source", "connection", "job")


def test_the_host_brings_nothing_of_the_tests(wheels: dict[str, zipfile.ZipFile]) -> None:
    names = wheels["exportkit"].namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {"exportkit"}
    shared = [name.partition(".data/")[2] for name in names if ".data/" in name]
    assert shared == ["data/share/man/man1/exportkit.1"]


def test_the_csv_plugin_is_one_module(wheels: dict[str, zipfile.ZipFile]) -> None:
    files = [name for name in wheels["exportkit-csv"].namelist() if ".dist-info/" not in name]
    assert files == ["exportkit_csv.py"]
    assert entry_points(wheels["exportkit-csv"]).strip() == "[exportkit]\ncsv = exportkit_csv"


def test_the_constant_contact_plugin_is_a_typed_package(
    wheels: dict[str, zipfile.ZipFile],
) -> None:
    built = wheels["exportkit-constant-contact"].namelist()
    assert "exportkit_constant_contact/__init__.py" in built
    assert "exportkit_constant_contact/py.typed" in built
