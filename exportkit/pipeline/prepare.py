"""Before the first stage: the files that a job names belong together, or it says where not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exportkit.access.credentials import kept_credentials
from exportkit.config.names import nearest_hint
from exportkit.config.references import resolve
from exportkit.config.schemas import check_options
from exportkit.errors import Complaint, ConfigError
from exportkit.records import Connection, Description, Mode
from exportkit.state.calls import counted_calls, user_of
from exportkit.state.folder import state_folder, state_home

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from exportkit.config.connection import ConnectionFile
    from exportkit.config.documents import Document
    from exportkit.config.job import Job
    from exportkit.config.source import Source
    from exportkit.config.workspace import Workspace
    from exportkit.host.destination import Destination
    from exportkit.host.loader import Host


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job with everything that it names. `options` are the job's, with paths made absolute."""

    workspace: Workspace
    job: Job
    source: Source
    connection: ConnectionFile
    destination: Destination
    description: Description
    options: Mapping[str, Any]
    mode: Mode

    def target_identity(self, named: str, key: str | None) -> list[object]:
        """What the snapshot of a target is kept under: its name, if it has one, and the key."""
        if named:
            return [self.connection.type, named, key]
        return [self.connection.type, self.connection.name, dict(self.job.destination), key]

    def resolved_connection(self) -> Connection:
        """The connection as its plugin gets it. Raises ConfigError if a reference is unset."""
        return resolved(self.workspace, self.connection, self.description)


def resolved_options(workspace: Workspace, file: ConnectionFile) -> Mapping[str, Any]:
    """What a connection's file says, references filled in. Raises ConfigError if one is unset."""
    options: dict[str, Any] = resolve(
        file.options, file.document, ("options",), root=workspace.root
    )
    return options


def resolved(workspace: Workspace, file: ConnectionFile, facts: Description) -> Connection:
    """A connection with defaults and references filled in, its credentials, its calls counted.

    Opens nothing yet. Raises ConfigError if a reference is unset.
    """
    options = resolved_options(workspace, file)
    state = state_folder(workspace.root, workspace.state)
    return Connection(
        file.name,
        file.type,
        file.display_name,
        {**_defaults(facts.connection_options), **options},
        workspace.root,
        kept_credentials(state, file.name),
        counted_calls(facts.limits, user_of(workspace.root, file.name, state), state),
    )


def prepare(workspace: Workspace, host: Host, job: Job) -> Prepared:
    """Bring together what the job names. Raises ConfigError with everything that is wrong."""
    at = job.document.locate
    if job.connection is None:
        raise ConfigError(
            f"job '{job.name}' has no connection, so it is inactive",
            location=at(()),
            hint="add `connection:` with the name of one",
        )
    source = workspace.source(job.source, at(("source",)))
    connection = workspace.connection(job.connection, at(("connection",)))
    destination = check_connection(host, connection, job)
    description = destination.describe()
    complaints = [
        *_options(job.document, ("destination",), description.job_options, connection.type),
        *_unknown_segments(job, source),
    ]
    if not complaints:
        options = {**_defaults(description.job_options), **job.destination}
        destination = destination.for_job(options)
        description = destination.describe()
    complaints += _wrong_mode(job, destination, description)
    if complaints:
        raise ConfigError(complaints=complaints)
    return Prepared(
        workspace,
        job,
        source,
        connection,
        destination,
        description,
        _with_paths(workspace, job, description),
        job.mode or description.modes[0],
    )


def check_connection(host: Host, connection: ConnectionFile, job: Job | None = None) -> Destination:
    """The destination of a connection whose options fit it. Raises ConfigError if they do not."""
    document = connection.document
    place = document.locate(("type",))
    destination = host.destination(connection.type, place, job=job.document if job else None)
    options = destination.describe().connection_options
    if complaints := _options(document, ("options",), options, connection.type):
        raise ConfigError(complaints=complaints)
    return destination


def _options(
    document: Document, at: tuple[str, ...], schema: Mapping[str, Any], destination: str
) -> list[Complaint]:
    """What is wrong with a plugin's options; where there is no better hint, where they are said."""
    hint = f"`exportkit plugins show {destination}` says what there is"
    found = check_options(document, at, schema)
    return [replace(complaint, hint=complaint.hint or hint) for complaint in found]


def _unknown_segments(job: Job, source: Source) -> Iterator[Complaint]:
    known = [segment.name for segment in source.segments]
    for part, names in (("segments", job.segments), ("suppress", job.suppress)):
        for number, name in enumerate(names):
            if name not in known:
                hint = nearest_hint(name, known) if known else "the source names no segments"
                yield Complaint(
                    f"source '{source.name}' has no segment '{name}'",
                    job.document.locate((part, number)),
                    hint,
                )


def _wrong_mode(job: Job, destination: Destination, facts: Description) -> Iterator[Complaint]:
    at = job.document.locate(("mode",))
    if job.mode is not None and job.mode not in facts.modes:
        yield Complaint(
            f"{facts.title} cannot work in mode '{job.mode}'",
            at,
            f"it has: {', '.join(facts.modes)}",
        )
    elif (job.mode or facts.modes[0]) == "mirror" and not destination.can("remove"):
        yield Complaint(
            f"{facts.title} cannot remove anybody, which mirror needs",
            at,
            "the job's options do not say how" if "remove" in facts.without else None,
        )


def _with_paths(workspace: Workspace, job: Job, facts: Description) -> dict[str, Any]:
    """The job's options with defaults, each output path absolute and kept where it may be."""
    known = facts.job_options.get("properties", {})
    options = {**_defaults(facts.job_options), **job.destination}
    for name, schema in known.items():
        if schema.get("format") == "output-path" and isinstance(options.get(name), str):
            options[name] = str(_output(workspace, job, name, options[name]))
    return options


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    known = schema.get("properties", {})
    return {name: part["default"] for name, part in known.items() if "default" in part}


def _output(workspace: Workspace, job: Job, option: str, given: str) -> Path:
    path = (workspace.root / given).resolve()
    state = state_home(workspace.root, workspace.state)
    allowed = (workspace.root.resolve(), *workspace.outputs)
    wrong = hint = ""
    if not any(path.is_relative_to(folder) for folder in allowed):
        wrong = "this path leaves the workspace"
        hint = "write below the workspace, or list the folder under `outputs:` in exportkit.yaml"
    elif path.is_relative_to(state):
        wrong, hint = "this path lies in the state folder", "choose another folder, such as out/"
    elif path.is_dir():
        wrong, hint = "this is a folder, not a file", f"name a file in it: {given}/{job.name}.csv"
    elif any(folder.is_file() for folder in path.parents):
        wrong, hint = "a part of this path is a file, so nothing can lie below it", "rename it"
    if wrong:
        place = job.document.locate(("destination", option))
        raise ConfigError(wrong, location=place, hint=hint)
    return path
