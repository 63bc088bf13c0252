"""A workspace: the folder with `exportkit.yaml`, and the files in it by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from exportkit.config.connection import ConnectionFile, read_connection
from exportkit.config.documents import Document, read_document
from exportkit.config.job import Job, check_job, read_job
from exportkit.config.notify import Notify, read_notify
from exportkit.config.retention import Retention, read_retention
from exportkit.config.source import Source, read_source
from exportkit.config.state import read_state
from exportkit.errors import Complaint, ConfigError, Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FILE_NAME = "exportkit.yaml"
SUFFIXES = (".yaml", ".yml")

Kind = Literal["job", "source", "connection"]
Item = TypeVar("Item", Job, Source, ConnectionFile)


@dataclass(frozen=True, slots=True)
class Roles:
    """Operating-system users and %groups. A workspace without roles has none of these.

    `viewer` None: whoever can get at the files.
    """

    admin: tuple[str, ...] = ()
    contributor: tuple[str, ...] = ()
    viewer: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """All files of one kind, by name; broken ones are complaints instead of items."""

    items: tuple[Item, ...]
    complaints: tuple[Complaint, ...]


@dataclass(frozen=True, slots=True)
class _Kind(Generic[Item]):
    name: str
    folder: str
    read: Callable[[Document], Item]
    check: Callable[[Document], Iterable[Complaint]] = lambda _: ()


_JOB = _Kind("job", "jobs", read_job, check_job)
_SOURCE = _Kind("source", "sources", read_source)
_CONNECTION = _Kind("connection", "connections", read_connection)


@dataclass(slots=True)
class _Shelf:
    """The files of one kind as found on disk: read as YAML, not yet checked."""

    by_name: dict[str, list[Document]] = field(default_factory=dict)
    broken: dict[Path, ConfigError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workspace:
    """An open workspace. `root` is absolute; `state` is as written (a folder or a URL).

    `outputs` are absolute folders outside the workspace that destinations may write to. Files are
    read once; `warnings` are complaints about files that nobody asked for by name.
    """

    root: Path
    state: str = field(repr=False)
    outputs: tuple[Path, ...]
    roles: Roles | None
    retention: Retention | None
    notify: tuple[Notify, ...] | None
    document: Document = field(repr=False, compare=False)
    _shelves: dict[str, _Shelf] = field(default_factory=dict, repr=False, compare=False)

    def job(self, name_or_file: str) -> Job:
        """The job of that name, or in that file (relative to the current directory or the root).

        Raises ConfigError if there is none, two, or what is there is wrong.
        """
        if name_or_file.endswith(SUFFIXES) or "/" in name_or_file:
            return self._in_file(_JOB, self._file(name_or_file))
        return self._named(_JOB, name_or_file, None)

    def source(self, name: str, at: Location | None = None) -> Source:
        """The source of that name. `at` is where the name was asked for. Raises ConfigError."""
        return self._named(_SOURCE, name, at)

    def connection(self, name: str, at: Location | None = None) -> ConnectionFile:
        """The connection of that name, unresolved. Raises ConfigError, at `at` if given."""
        return self._named(_CONNECTION, name, at)

    def jobs(self) -> Listing[Job]:
        """Every job, sorted by name, and what is wrong with the files that are none."""
        return self._listing(_JOB)

    def sources(self) -> Listing[Source]:
        """Every source, sorted by name, and what is wrong with the files that are none."""
        return self._listing(_SOURCE)

    def connections(self) -> Listing[ConnectionFile]:
        """Every connection, sorted by name, and what is wrong with the files that are none."""
        return self._listing(_CONNECTION)

    @property
    def job_names(self) -> tuple[str, ...]:
        """The names that the files in jobs/ give themselves, sorted, whatever else is in them."""
        return tuple(sorted(self._shelf(_JOB).by_name))

    @property
    def warnings(self) -> tuple[Complaint, ...]:
        """Files that could not be read while something else was looked for."""
        return tuple(
            complaint
            for shelf in self._shelves.values()
            for error in shelf.broken.values()
            for complaint in error.complaints
        )

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names of all files of a kind that can be read, checked or not; quick."""
        kinds: dict[Kind, _Kind[Any]] = {"job": _JOB, "source": _SOURCE, "connection": _CONNECTION}
        return tuple(sorted(self._shelf(kinds[kind]).by_name))

    def shown(self, path: Path) -> str:
        """A file's name in messages: relative to the current directory, else to the workspace."""
        return _shown(path, self.root)

    def _file(self, given: str) -> Path:
        here = _current_folder()
        path = here / given if here else self.root / given
        return path if _answers(path.exists) else self.root / given

    def _document(self, path: Path) -> Document:
        return read_document(path, self.shown(path))

    def _named(self, kind: _Kind[Item], name: str, at: Location | None) -> Item:
        shelf = self._shelf(kind)
        documents = shelf.by_name.get(name, [])
        if len(documents) > 1:
            raise ConfigError(complaints=[_taken(kind, documents)])
        if documents:
            return self._checked(kind, documents[0])
        for path, error in shelf.broken.items():
            if path.stem == name:
                raise error
        raise self._unknown(kind, name, at)

    def _in_file(self, kind: _Kind[Item], path: Path) -> Item:
        item = self._checked(kind, self._document(path))
        others = [
            document
            for document in self._shelf(kind).by_name.get(item.name, [])
            if document.path.resolve() != path.resolve()
        ]
        if others:
            raise ConfigError(complaints=[_taken(kind, [others[0], item.document])])
        return item

    def _unknown(self, kind: _Kind[Any], name: str, at: Location | None) -> ConfigError:
        from exportkit.config.names import nearest_hint

        known = sorted(self._shelf(kind).by_name)
        hint = nearest_hint(name, known) if known else f"there are no files in {kind.folder}/"
        return ConfigError(f"there is no {kind.name} '{name}'", hint=hint, location=at)

    def _checked(self, kind: _Kind[Item], document: Document) -> Item:
        from exportkit.config.schemas import check

        if complaints := check(document, kind.name) or list(kind.check(document)):
            raise ConfigError(complaints=complaints)
        return kind.read(document)

    def _listing(self, kind: _Kind[Item]) -> Listing[Item]:
        shelf = self._shelf(kind)
        items: list[Item] = []
        complaints = [found for error in shelf.broken.values() for found in error.complaints]
        for _, documents in sorted(shelf.by_name.items()):
            if len(documents) > 1:
                complaints.append(_taken(kind, documents))
            for document in documents:
                try:
                    item = self._checked(kind, document)
                except ConfigError as error:
                    complaints.extend(error.complaints)
                else:
                    items.extend([item] if len(documents) == 1 else [])
        return Listing(tuple(items), tuple(complaints))

    def _shelf(self, kind: _Kind[Any]) -> _Shelf:
        if kind.name not in self._shelves:
            shelf = self._shelves[kind.name] = _Shelf()
            for path in _files(self.root / kind.folder):
                try:
                    document = self._document(path)
                except ConfigError as error:
                    shelf.broken[path] = error
                    continue
                shelf.by_name.setdefault(_name_of(document), []).append(document)
        return self._shelves[kind.name]


def open_workspace(directory: Path | None = None) -> Workspace:
    """The workspace that `directory` (or the current one) lies in, found by walking up, like git.

    Raises ConfigError if there is none, or if its `exportkit.yaml` is wrong.
    """
    from exportkit.config.schemas import check

    root = _find_root(directory)
    path = root / FILE_NAME
    document = read_document(path, _shown(path, root))
    if complaints := check(document, "workspace"):
        raise ConfigError(complaints=complaints)
    data = document.data
    roles = data.get("roles")
    outputs = range(len(data.get("outputs") or []))
    return Workspace(
        root=root,
        state=read_state(document),
        outputs=tuple((root / (document.text(("outputs", i)) or "")).resolve() for i in outputs),
        roles=None
        if roles is None
        else Roles(
            _names(document, "admin"),
            _names(document, "contributor"),
            _names(document, "viewer") if "viewer" in roles else None,
        ),
        retention=read_retention(document),
        notify=read_notify(document),
        document=document,
    )


def _names(document: Document, role: str) -> tuple[str, ...]:
    names = document.data["roles"].get(role) or []
    return tuple(document.text(("roles", role, index)) or "" for index in range(len(names)))


def _find_root(directory: Path | None) -> Path:
    here = _current_folder()
    if directory is None and here is None:
        raise ConfigError("the current folder is gone", hint="change to one that is there")
    start = (here or Path("/")) / (directory or ".")
    if not _answers(start.is_dir):
        raise ConfigError(f"there is no folder {start}", hint="--workspace names a folder")
    for folder in (start.resolve(), *start.resolve().parents):
        if _answers((folder / FILE_NAME).exists):
            return folder
    misnamed = start / "exportkit.yml"
    raise ConfigError(
        f"there is no {FILE_NAME} in {start} or any folder above it",
        hint=f"rename {misnamed.name} to {FILE_NAME}"
        if _answers(misnamed.exists)
        else "`exportkit init` writes a workspace; --workspace DIR names one elsewhere",
    )


def _answers(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a folder that may not be searched holds nothing for us
        return False


def _current_folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed under our feet
        return None


def _shown(path: Path, root: Path) -> str:
    for folder in (_current_folder(), root):
        if folder and path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.as_posix()


def _files(folder: Path) -> Iterator[Path]:
    if not _answers(folder.is_dir):
        return
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden:
            yield path


def _name_of(document: Document) -> str:
    """The name that a file gives itself, or its own where it fails to."""
    try:
        return document.text(("name",)) or document.path.stem
    except TypeError:
        return document.path.stem


def _taken(kind: _Kind[Any], documents: list[Document]) -> Complaint:
    first, second = documents[0].locate(("name",)), documents[1].locate(("name",))
    return Complaint(
        f"the {kind.name} '{_name_of(documents[1])}' is in {first} as well",
        second,
        "give one of the two another name",
    )
