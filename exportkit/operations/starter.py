"""A starter workspace: the project's own sample, with schemas for the editor beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit.config.documents import read_document
from exportkit.config.schemas import compose
from exportkit.errors import PluginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit.host.loader import Host

PARTS = ("exportkit.yaml", "sources", "connections", "jobs", "data")
SCHEMAS = ".schemas"
_GITIGNORE = (
    "# What runs remember and what they write: personal data, not for git.\n.exportkit/\nout/\n"
)
# In the wheel the sample lies in the package, in a checkout beside it.
_FOLDERS = (Path(__file__).parents[1] / "starter", Path(__file__).parents[2] / "configs")


def write_starter(directory: Path, host: Host) -> list[Path]:
    """Write the workspace; answers its files. Raises UsageError rather than replace a file."""
    origin = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    if origin is None:
        raise PluginError("the starter workspace is missing", hint="install exportkit again")
    files = {directory / path.relative_to(origin): path.read_bytes() for path in _parts(origin)}
    files = {path: _with_schema(path, directory, content) for path, content in files.items()}
    files[directory / ".gitignore"] = _GITIGNORE.encode()
    files |= {
        directory / SCHEMAS / name: text.encode() for name, text in _schemas(origin, host).items()
    }
    _refuse_to_replace(files)
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(files)


def _parts(origin: Path) -> Iterator[Path]:
    """The sample's files, without those that need a service to be started before they run."""
    left_out = _needing_a_service(origin)
    for part in PARTS:
        path = origin / part
        files = sorted(filter(Path.is_file, path.rglob("*"))) if path.is_dir() else [path]
        yield from (file for file in files if file not in left_out)


def _needing_a_service(origin: Path) -> set[Path]:
    """Connections that ask for consent, since data leaves by them, and the jobs over them."""
    connections = {file: _data(file) for file in (origin / "connections").glob("*.yaml")}
    away = {file: data["name"] for file, data in connections.items() if "consent" in data}
    jobs = (origin / "jobs").glob("*.yaml")
    return {*away, *(file for file in jobs if _data(file)["connection"] in away.values())}


def _data(file: Path) -> dict[str, Any]:
    return read_document(file, file.name).data


def _refuse_to_replace(files: dict[Path, bytes]) -> None:
    there = [path for path in files if path.exists() and path.name != ".gitignore"]
    if there:
        raise UsageError(
            f"{there[0]} exists already", hint="choose an empty folder: exportkit init DIR"
        )
    files.update(
        {
            path: path.read_bytes().rstrip(b"\n") + b"\n" + content
            for path, content in files.items()
            if path.name == ".gitignore" and path.exists()
        }
    )


def _schemas(origin: Path, host: Host) -> dict[str, str]:
    """The schemas, those of jobs and connections with the sample destination's options inside."""
    file = next(part for part in _parts(origin) if part.parent.name == "connections")
    name = _data(file)["type"]
    facts = host.destination(name).describe()
    composed = {
        "workspace": compose("workspace"),
        "source": compose("source"),
        "connection": compose("connection", type=name, connection_options=facts.connection_options),
        "job": compose("job", type=name, job_options=facts.job_options),
    }
    return {
        f"{kind}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for kind, schema in composed.items()
    }


def _with_schema(path: Path, directory: Path, content: bytes) -> bytes:
    """The file with its editor line pointing at the schemas of the new workspace."""
    if path.suffix != ".yaml":
        return content
    up = "../" * (len(path.relative_to(directory).parts) - 1)
    return re.sub(rb"\$schema=\S*/", f"$schema={up}{SCHEMAS}/".encode(), content, count=1)
