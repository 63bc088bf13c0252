"""A new plugin: a distribution that installs, passes its tests and delivers to a file at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from exportkit import __version__
from exportkit.config.names import unusable
from exportkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

Auth = Literal["api-key", "oauth", "none"]
AUTHS: tuple[Auth, ...] = ("api-key", "oauth", "none")

TEMPLATES = Path(__file__).with_name("templates") / "plugin"
LONGEST_NAME = 40
_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PEOPLE = (
    ("Ann", "Archer", "ann.archer@example.com"),
    ("Bob", "Baker", "bob.baker@example.com"),
    ("Cid", "Cooper", "cid.cooper@example.org"),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the plugin is to be: its `type`, the field that tells people apart, a call a batch
    (`bulk`) or a row, and how one signs in."""

    name: str
    key: str = "email"
    bulk: bool = True
    auth: Auth = "api-key"

    @property
    def distribution(self) -> str:
        """What is installed: `exportkit-paper-mill`."""
        return f"exportkit-{self.name.replace('_', '-')}"

    @property
    def module(self) -> str:
        """What is imported: `exportkit_paper_mill`."""
        return f"exportkit_{self.name.replace('-', '_')}"

    @property
    def variable(self) -> str:
        """The environment variable that the sample reads its secret from; '' if it has none."""
        ending = {"api-key": "API_KEY", "oauth": "REFRESH_TOKEN", "none": ""}[self.auth]
        return f"{self.name.replace('-', '_').upper()}_{ending}" if ending else ""


def check_name(name: str, taken: Collection[str]) -> None:
    """Raise UsageError for a name that no plugin can have, or that is `taken` by one."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_NAME].strip("-")
        instead = f"such as '{better}': " if better else ""
        raise UsageError(
            f"'{name}' cannot be a plugin's name",
            hint=f"{instead}lower-case letters and digits, with single '-' or '_' between them, "
            f"{LONGEST_NAME} at most",
        )
    if name.split("-")[0].split("_")[0] == "exportkit":
        bare = name.removeprefix("exportkit")[1:] or "mill"
        raise UsageError(f"'{name}' begins like exportkit itself", hint=f"say '{bare}'")
    if name in taken:
        raise UsageError(
            f"a plugin '{name}' is installed already", hint="`exportkit plugins` lists the names"
        )


def check_key(key: str) -> None:
    """Raise UsageError for a name that no field can have."""
    if not _FIELD.fullmatch(key) or unusable(key):
        hint = "a letter, then letters, digits and '_', such as email or customer_id"
        raise UsageError(f"'{key}' cannot be a field's name", hint=hint)


def write_plugin(wishes: Wishes, folder: Path, taken: Collection[str]) -> list[Path]:
    """Write the distribution into the folder; answers its files.

    Raises UsageError for a name that cannot be, a folder that is not empty or cannot be written.
    """
    check_name(wishes.name, taken)
    check_key(wishes.key)
    files = {folder / name: text for name, text in _rendered(wishes).items()}
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"{folder} is there already", hint="nothing is replaced: choose another, --into DIR"
            )
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {(error.strerror or 'failed').lower()}",
            hint="choose another folder: --into DIR",
        ) from None
    return list(files)


def _rendered(wishes: Wishes) -> dict[str, str]:
    """The text of each file, by its path in the folder."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    render = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python, YAML and Markdown, of names that were checked
    )
    facts, name, module = _facts(wishes), wishes.name, wishes.module
    origins = {
        f"{module}.py": "module.py.jinja",
        "pyproject.toml": "pyproject.toml.jinja",
        "README.md": "README.md.jinja",
        f"tests/test_{module}.py": "tests/test_module.py.jinja",
        "sample/sources/people.yaml": "sample/source.yaml.jinja",
        f"sample/connections/{name}.yaml": "sample/connection.yaml.jinja",
        f"sample/jobs/{name}.yaml": "sample/job.yaml.jinja",
    }
    made = {path: render.get_template(origin).render(facts) for path, origin in origins.items()}
    return {
        **made,
        "sample/exportkit.yaml": "version: 1\n",
        "sample/data/people.csv": _people(facts["names"]),
        ".gitignore": ".exportkit/\nsample/out/\n__pycache__/\n",
    }


def _facts(wishes: Wishes) -> dict[str, Any]:
    """What the templates are filled with."""
    names = list(dict.fromkeys([wishes.key, "email", "first_name", "last_name"]))
    words = re.split("[-_]", wishes.name)
    values = {
        "email": 'f"gone.{number}@example.org"',
        "first_name": '"Gone"',
        "last_name": 'f"Wanderer {number}"',
    }
    return {
        "name": wishes.name,
        "title": " ".join(word.title() for word in words),
        "class_name": "".join(word.title() for word in words),
        "distribution": wishes.distribution,
        "module": wishes.module,
        "variable": wishes.variable,
        "key": wishes.key,
        "bulk": wishes.bulk,
        "auth": wishes.auth,
        "least": ".".join(__version__.split(".")[:2]),
        "names": names,
        "fields": [_column(name, is_key=name == wishes.key) for name in names],
        "bad_row": [f'"{name}": ' + values.get(name, 'f"gone-{number}"') for name in names],
    }


def _column(name: str, *, is_key: bool) -> str:
    kind = ', kind="email"' if "email" in name else ""
    return f'Column("{name}"{kind}{", key=True, required=True" if is_key else ""})'


def _people(names: list[str]) -> str:
    """Three invented people, of whom the last is refused."""
    rows = [",".join(["id", *(name for name in names if name != "id")])]
    for number, (first, last, email) in enumerate(_PEOPLE, 1):
        values = {"email": email, "first_name": first, "last_name": last}
        made = [values.get(name, f"P-{number}") for name in names if name != "id"]
        rows.append(",".join([f"P-{number}", *made]))
    return "\n".join(rows) + "\n"
