"""References in `connections/` and `sources/`: `${env:NAME}`, `${file:PATH}`, `${keyring:SERVICE/NAME}`.

They are replaced late, just before use, and what they stand for is never quoted in a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from exportkit.config.documents import Document
from exportkit.config.names import nearest
from exportkit.errors import ConfigError, Location

REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_LONGEST = 100_000

Path_ = tuple[str | int, ...]


def has_reference(text: str) -> bool:
    """Whether `${...}` occurs in the text."""
    return REFERENCE.search(text) is not None


def is_reference(text: str) -> bool:
    """Whether the text is one `${...}` and nothing else."""
    return REFERENCE.fullmatch(text.strip()) is not None


def resolve(value: Any, document: Document, at: Path_, *, root: Path | None = None) -> Any:
    """A copy of `value` (found at `at`) with the references in all its text replaced.

    `${file:PATH}` starts at `root`, by default at the workspace: the folder above the one that
    the file lies in. Raises ConfigError, with position, for what cannot be resolved.
    """
    if isinstance(value, str):
        return _replace(value, document, at, root)
    if isinstance(value, Mapping):
        return {k: resolve(v, document, (*at, k), root=root) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(v, document, (*at, i), root=root) for i, v in enumerate(value)]
    return value


def _replace(text: str, document: Document, at: Path_, root: Path | None) -> str:
    def one(match: re.Match[str]) -> str:
        scheme, _, name = match.group(1).partition(":")
        reader = _READERS.get(scheme)
        where = document.locate(at)
        if reader is None or not name:
            raise ConfigError(
                "found a reference of an unknown form",
                location=where,
                hint="expected ${env:NAME}, ${file:PATH} or ${keyring:SERVICE/NAME}",
            )
        return reader(name, where, root or workspace_of(document))

    return REFERENCE.sub(one, text) if "${" in text else text


def workspace_of(document: Document) -> Path:
    """The nearest folder above the file that holds an `exportkit.yaml`, else the file's own."""
    for folder in document.path.absolute().parents:
        if (folder / "exportkit.yaml").exists():
            return folder
    return document.path.absolute().parent


def _from_environment(name: str, where: Location, root: Path) -> str:  # noqa: ARG001 - one signature
    value = os.environ.get(name)
    if value is None:
        guess = nearest(name, os.environ)
        hint = f"did you mean '{guess}'?" if guess else f"set it: export {name}=..."
        raise ConfigError(f"the environment variable {name} is not set", location=where, hint=hint)
    if not value:
        raise ConfigError(
            f"the environment variable {name} is empty",
            location=where,
            hint=f"set it: export {name}=...",
        )
    return value


def _from_file(name: str, where: Location, root: Path) -> str:
    path = root / Path(name).expanduser()
    try:
        with path.open(encoding="utf-8-sig") as file:
            value = file.read(_LONGEST + 1)
    except UnicodeDecodeError:
        raise ConfigError(f"the file {name} is not UTF-8 text", location=where) from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "the name cannot be used"
        raise ConfigError(
            f"the file {name} cannot be read: {reason}",
            location=where,
            hint="relative paths start at the workspace",
        ) from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value or len(value) > _LONGEST:
        what = "empty" if not value else f"longer than {_LONGEST:,} characters"
        raise ConfigError(f"the file {name} is {what}", location=where)
    return value


def _from_keyring(name: str, where: Location, root: Path) -> str:  # noqa: ARG001 - one signature
    service, _, entry = name.rpartition("/")
    if not service or not entry:
        raise ConfigError(
            f"found ${{keyring:{name}}}, expected ${{keyring:SERVICE/NAME}}", location=where
        )
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise ConfigError(
            "${keyring:...} needs the package keyring, which is not installed",
            location=where,
            hint="pip install keyring, or use ${env:NAME}",
        ) from None
    try:
        value = keyring.get_password(service, entry)
    except KeyringError as error:
        raise ConfigError(
            f"the keyring cannot be used ({type(error).__name__})",
            location=where,
            hint="a desktop keyring is not there under cron: use ${env:NAME} or ${file:PATH}",
        ) from None
    if not value:
        raise ConfigError(
            f"the keyring has no entry '{entry}' for '{service}'",
            location=where,
            hint=f"keyring set {service} {entry}",
        )
    return str(value)


_READERS: dict[str, Callable[[str, Location, Path], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
}
