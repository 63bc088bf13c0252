"""References: `${env:NAME}`, `${file:PATH}`, `${keyring:SERVICE/NAME}`.

Connections and sources may hold them. They are replaced late, just before use, and what they stand
for is never quoted in a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportkit.config.names import nearest
from exportkit.errors import ConfigError, Location
from exportkit.redaction import conceal

if TYPE_CHECKING:
    from exportkit.config.documents import Document, Steps

REFERENCE = re.compile(r"\$\{([^{}]*)\}")
FORMS = "${env:NAME}, ${file:PATH} or ${keyring:SERVICE/NAME}"

_FORM = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+|keyring:.+/.+", re.DOTALL)
_LONGEST = 100_000
_PLAIN_URL = re.compile(r"https?://[^\s@?#]*", re.I)
"""Where something is, without a password in it: people have to read it in messages."""


def has_reference(text: str) -> bool:
    """Whether `${...}` occurs in the text."""
    return REFERENCE.search(text) is not None


def malformed(text: str) -> str | None:
    """The first reference in the text that is of no known form, if there is one."""
    return next((m.group() for m in REFERENCE.finditer(text) if not _FORM.fullmatch(m[1])), None)


def resolve(value: Any, document: Document, at: Steps, *, root: Path | None = None) -> Any:
    """A copy of `value` (found at `at`) with the references in all its text replaced.

    `${file:PATH}` starts at `root`, by default at the workspace that the document lies in. Raises
    ConfigError, with position, for what cannot be replaced.
    """
    if isinstance(value, str):
        return _replace(value, document, at, root) if "${" in value else value
    if isinstance(value, Mapping):
        return {k: resolve(v, document, (*at, k), root=root) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(v, document, (*at, i), root=root) for i, v in enumerate(value)]
    return value


def _replace(text: str, document: Document, at: Steps, root: Path | None) -> str:
    where = document.locate(at)
    if (odd := malformed(text)) is not None:
        raise ConfigError(f"found {odd}, expected {FORMS}", location=where)

    def one(match: re.Match[str]) -> str:
        scheme, _, name = match[1].partition(":")
        value = _READERS[scheme](name, where, root or _workspace_of(document))
        if not _PLAIN_URL.fullmatch(value):
            conceal(value)
        return value

    return REFERENCE.sub(one, text)


def _workspace_of(document: Document) -> Path:
    parents = document.path.absolute().parents
    return next((up for up in parents if (up / "exportkit.yaml").exists()), parents[0])


def _from_environment(name: str, where: Location, _root: Path) -> str:
    value = os.environ.get(name)
    if value:
        return value
    guess = nearest(name, (key for key in os.environ if key != name))
    is_near = guess is not None and value is None
    raise ConfigError(
        f"the environment variable {name} is {'not set' if value is None else 'empty'}",
        location=where,
        hint=f"did you mean {guess}?" if is_near else f"set it: export {name}=...",
    )


def _from_file(name: str, where: Location, root: Path) -> str:
    try:
        with (root / Path(name).expanduser()).open(encoding="utf-8-sig") as file:
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


def _from_keyring(name: str, where: Location, _root: Path) -> str:
    service, _, entry = name.rpartition("/")
    try:
        keyring, failures = import_module("keyring"), import_module("keyring.errors")
    except ImportError:
        raise ConfigError(
            "${keyring:...} needs the package keyring, which is not installed",
            location=where,
            hint="pip install keyring, or use ${env:NAME}",
        ) from None
    try:
        value = keyring.get_password(service, entry)
    except failures.KeyringError as error:
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
