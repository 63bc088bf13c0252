"""What is installed is what was built: the same bytes twice, whole, and in any order."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parent.parent
HOST = "exportkit"
DISTRIBUTIONS = {
    tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"]: file.parent
    for file in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml")))
}
PLUGINS = [name for name in DISTRIBUTIONS if name != HOST]
BUILT_OF = (
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    ".gitignore",
    "docs/exportkit.1",
    "schemas",
    "configs",
    "exportkit",
    "plugins",
)
BUILD = ["-m", "build", "--no-isolation", "--outdir"]
NOON = "1767268800"


def build(root: Path, out: Path, **environment: str) -> None:
    """Build every wheel out of its sdist, all at once, from the project at `root`."""
    builds = [
        subprocess.Popen(
            [sys.executable, *BUILD, out / name, root / folder.relative_to(ROOT)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": NOON, **environment},
        )
        for name, folder in DISTRIBUTIONS.items()
    ]
    for each in builds:
        output, _ = each.communicate(timeout=60)
        assert each.returncode == 0, output


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each distribution, with its wheel and its sdist."""
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("built")
    build(ROOT, out)
    return out


@pytest.fixture(scope="module")
def wheels(built: Path) -> dict[str, zipfile.ZipFile]:
    return {name: zipfile.ZipFile(next((built / name).glob("*.whl"))) for name in DISTRIBUTIONS}


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


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_needs_the_host(wheels: dict[str, zipfile.ZipFile], name: str) -> None:
    wanted = metadata(wheels[name]).get_all("Requires-Dist", [])
    assert [line for line in wanted if line.startswith("exportkit>=0.")]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_licence_is_in_both_archives(built: Path, name: str) -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    wheel = zipfile.ZipFile(next((built / name).glob("*.whl")))
    (inside,) = [each for each in wheel.namelist() if each.endswith("licenses/LICENSE")]
    assert wheel.read(inside) == licence
    with tarfile.open(next((built / name).glob("*.tar.gz"))) as sdist:
        top = sdist.getnames()[0].split("/")[0]
        file = sdist.extractfile(f"{top}/LICENSE")
        assert file is not None
        assert file.read() == licence


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_package_brings_its_types(wheels: dict[str, zipfile.ZipFile], name: str) -> None:
    built = wheels[name].namelist()
    packages = {each.split("/")[0] for each in built if each.endswith("/__init__.py")}
    assert [each for each in packages if f"{each}/py.typed" not in built] == []


def test_the_host_brings_its_modules_schemas_and_types(
    wheels: dict[str, zipfile.ZipFile],
) -> None:
    built = set(wheels[HOST].namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "exportkit").rglob("*")
        if path.suffix in (".py", ".typed", ".jinja", ".html", ".css")
    }
    assert sources <= built
    assert "exportkit/py.typed" in built
    schemas = {f"exportkit/schemas/{path.name}" for path in (ROOT / "schemas").glob("*.json")}
    assert schemas <= built
    assert {f"exportkit/schemas/{kind}.schema.json" for kind in KINDS} <= built
    assert "exportkit = exportkit.cli:start" in entry_points(wheels[HOST])


KINDS = ("workspace", "source", "connection", "job")


def test_the_host_brings_nothing_of_the_tests(wheels: dict[str, zipfile.ZipFile]) -> None:
    names = wheels[HOST].namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {"exportkit"}
    shared = [name.partition(".data/")[2] for name in names if ".data/" in name]
    assert shared == ["data/share/man/man1/exportkit.1"]


def test_the_csv_plugin_is_one_module(wheels: dict[str, zipfile.ZipFile]) -> None:
    files = [name for name in wheels["exportkit-csv"].namelist() if ".dist-info/" not in name]
    assert files == ["exportkit_csv.py"]
    assert entry_points(wheels["exportkit-csv"]).strip() == "[exportkit]\ncsv = exportkit_csv"


def test_the_same_sources_make_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """Elsewhere, later, under another umask, locale, zone and hash seed."""
    copy, again = tmp_path / "elsewhere" / "project", tmp_path / "again"
    leave = shutil.ignore_patterns("__pycache__", ".*_cache", ".exportkit", "out")
    for part in BUILT_OF:
        (copy / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=leave, copy_function=as_others_have_it)
        else:
            as_others_have_it(ROOT / part, copy / part)
    build(copy, again, TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="7")
    first = {file.relative_to(built): file.read_bytes() for file in archives(built)}
    second = {file.relative_to(again): file.read_bytes() for file in archives(again)}
    assert len(first) == 2 * len(DISTRIBUTIONS)
    assert [name for name in first if second.get(name) != first[name]] == []


def as_others_have_it(file: str | Path, to: str | Path) -> None:
    """As git writes it for somebody with a umask of 077, now."""
    shutil.copyfile(file, to)
    Path(to).chmod(Path(file).stat().st_mode & 0o700)


def archives(folder: Path) -> list[Path]:
    return [*folder.glob("*/*.whl"), *folder.glob("*/*.tar.gz")]


def test_a_release_is_built_as_it_is_here() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"python {' '.join(BUILD)} dist" in makefile
    page = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    for name, folder in DISTRIBUTIONS.items():
        assert f"| {name} | `{version_file(folder)}` |" in page


def version_file(folder: Path) -> str:
    """The file of a project in which its version stands."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    dynamic = project["tool"]["hatch"].get("version", {}).get("path", "pyproject.toml")
    return (folder / dynamic).relative_to(ROOT).as_posix()


class Environment:
    """A clean environment. What the distributions need from elsewhere is lent by this one."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.bin = folder / "bin"
        lent = folder / "lent"
        lent.mkdir()
        for path in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
            for package in path.iterdir():
                if "exportkit" not in package.name:
                    (lent / package.name).symlink_to(package)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "lent.pth").write_text(f"{lent}\n", encoding="utf-8")

    def pip(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "pip", "--python", self.bin / "python", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        command = [self.bin / "exportkit", *arguments]
        cache = {**os.environ, "XDG_CACHE_HOME": str(self.bin.parent / "cache")}
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=cwd, env=cache, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.parametrize("order", [[HOST, *PLUGINS], [*reversed(PLUGINS), HOST]], ids="-".join)
def test_wheels_install_in_any_order_and_work(
    built: Path, tmp_path: Path, order: list[str]
) -> None:
    pytest.importorskip("pip")
    environment = Environment(tmp_path / "environment")
    for name in order:
        wheel = next((built / name).glob("*.whl"))
        environment.pip("install", "--quiet", "--no-deps", "--no-index", wheel)
    environment.pip("check")
    listing = json.loads(environment.run("plugins", "--json"))
    assert listing["broken"] == []
    assert sorted(plugin["distribution"] for plugin in listing["plugins"]) == sorted(PLUGINS)
    environment.run("init", "demo", cwd=tmp_path)
    environment.run("run", "vip-newsletter", cwd=tmp_path / "demo")
    for kind in KINDS:
        assert json.loads(environment.run("schema", kind))["properties"]
