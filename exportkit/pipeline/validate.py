"""Everything that can be known to be wrong before a run, without asking a destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from exportkit.access.roles import require_job, standing_in, unknown_people
from exportkit.engines.databases.servers import FILES, is_file, scheme_resolved
from exportkit.engines.databases.unopened import complaints_unopened, misplaced_keys, untranslatable
from exportkit.engines.sources import open_source
from exportkit.engines.stores.unfetched import complaints_unfetched, is_elsewhere, unreadable
from exportkit.errors import Complaint, ExportkitError
from exportkit.pipeline.mapping import map_job
from exportkit.pipeline.prepare import check_connection, prepare, resolved_options
from exportkit.pipeline.source import column_complaints
from exportkit.records import Catalogue, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exportkit.config.connection import ConnectionFile
    from exportkit.config.job import FieldRule, Job
    from exportkit.config.source import Source
    from exportkit.config.workspace import Workspace
    from exportkit.host.loader import Host
    from exportkit.pipeline.prepare import Prepared

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Findings:
    """What `validate` found: the files it read, what is wrong, what is only odd."""

    checked: list[str] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    warnings: list[Complaint] = field(default_factory=list)

    def attempt(self, call: Callable[[], Answer]) -> Answer | None:
        """The answer of the call; what it raises is noted, once, and there is none."""
        try:
            return call()
        except ExportkitError as error:
            self.complaints += [c for c in error.complaints if c not in self.complaints]
            return None

    def read(self, name: str) -> None:
        """Note that a file was checked."""
        if name not in self.checked:
            self.checked.append(name)


def validate_workspace(
    workspace: Workspace, host: Host, names: Sequence[str] = (), *, connect: bool = False
) -> Findings:
    """Check the whole workspace, or only the named jobs and what they need.

    Database servers and stores are asked only with `connect`; without it, their sources and what
    jobs say of them are checked as far as the files alone can tell.
    """
    found = Findings()
    found.read(workspace.document.file)
    found.complaints += unknown_people(workspace)
    sources: dict[str, Source] = {}
    if names:
        jobs = [job for name in names if (job := found.attempt(partial(workspace.job, name)))]
        for job in jobs:
            require_job(workspace, job)
        found.warnings += workspace.warnings
    else:
        jobs = list(workspace.jobs().items)
        sources = {source.name: source for source in workspace.sources().items}
        for listing in (workspace.jobs(), workspace.sources(), workspace.connections()):
            found.complaints += listing.complaints
        mine, others = _connections(workspace)
        found.warnings += [_not_checked(connection) for connection in others]
        theirs = [connection.name for connection in others]
        jobs = [job for job in jobs if job.connection not in theirs]
        for connection in mine:
            found.read(connection.document.file)
            found.attempt(partial(check_connection, host, connection))
    prepared = [done for job in jobs if (done := _prepared(found, workspace, host, job))]
    sources |= {each.source.name: each.source for each in prepared}
    for source in sources.values():
        found.read(source.document.file)
        users = [each for each in prepared if each.source.name == source.name]
        is_server = source.database is not None and not is_file(source)
        is_far = source.spark or is_server or is_elsewhere(source)
        offline = not connect and is_far
        check = _check_unopened if offline else _check_source
        found.attempt(partial(check, found, workspace, source, users))
    return found


def _connections(workspace: Workspace) -> tuple[list[ConnectionFile], list[ConnectionFile]]:
    """The connections that the user may use, and those that they may not."""
    standing, connections = standing_in(workspace), workspace.connections().items
    mine = [connection for connection in connections if standing.may_use(connection)]
    return mine, [connection for connection in connections if connection not in mine]


def _not_checked(connection: ConnectionFile) -> Complaint:
    return Complaint(
        f"the connection '{connection.name}' is not yours to use: it and its jobs are not checked",
        connection.document.locate(("use",)),
    )


def _prepared(found: Findings, workspace: Workspace, host: Host, job: Job) -> Prepared | None:
    """The job with all that it names, if nothing is wrong with it; a detached one is only odd."""
    found.read(job.document.file)
    if job.connection is None:
        message = f"job '{job.name}' has no connection, so it is inactive"
        found.warnings.append(Complaint(message, job.document.locate(())))
        return None
    prepared = found.attempt(partial(prepare, workspace, host, job))
    if prepared is None:
        return None
    found.read(prepared.connection.document.file)
    _check_references(found, prepared)
    if not prepared.description.fields or not prepared.destination.can("describe_target"):
        # Field names are free, or all declared: nothing that only the target knows is missing.
        target = Target(prepared.options, Catalogue(prepared.description.title), workspace.root)
        fields, map_fields = prepared.description.fields, prepared.destination.map_fields
        found.attempt(partial(map_job, job, target, fields, map_fields))
    return prepared


def _check_references(found: Findings, prepared: Prepared) -> None:
    """A secret that is not here is only odd: files are checked where no secret should be."""
    secret = set(_secrets(prepared.description.connection_options, "options"))
    try:
        resolved_options(prepared.workspace, prepared.connection)
    except ExportkitError as error:
        for complaint in error.complaints:
            at = complaint.location.path if complaint.location else ""
            there = found.warnings if at in secret else found.complaints
            if complaint not in there:
                there.append(complaint)


def _secrets(schema: Mapping[str, Any], at: str) -> Iterator[str]:
    """Where secrets stand, as YAML paths."""
    for name, part in schema.get("properties", {}).items():
        if part.get("writeOnly"):
            yield f"{at}.{name}"
        yield from _secrets(part, f"{at}.{name}")


def _check_unopened(
    found: Findings, workspace: Workspace, source: Source, jobs: Sequence[Prepared]
) -> None:
    if source.spark is not None:
        found.complaints += misplaced_keys(source)
        return None
    if source.database is None:
        found.complaints += complaints_unfetched(source)
        for job, rule in _sql_of(jobs):
            found.complaints += unreadable(job.document, ("map", rule.field, "sql"), rule.sql or "")
        return None
    scheme = scheme_resolved(source, workspace.root)
    if scheme in FILES:
        return _check_source(found, workspace, source, jobs)
    found.complaints += complaints_unopened(source, scheme)
    for job, rule in _sql_of(jobs):
        path = ("map", rule.field, "sql")
        found.complaints += untranslatable(job.document, path, rule.sql or "", scheme)
    return None


def _sql_of(jobs: Sequence[Prepared]) -> list[tuple[Job, FieldRule]]:
    """The fields of the jobs that are computed, each with its job."""
    return [(e.job, rule) for e in jobs for rule in e.job.fields if rule.sql is not None]


def _check_source(
    found: Findings, workspace: Workspace, source: Source, jobs: Sequence[Prepared]
) -> None:
    with open_source(source, workspace.root) as opened:
        found.complaints += opened.complaints()
        for each in jobs:
            found.complaints += column_complaints(each.job, opened)
        if opened.is_empty:
            what = "database" if source.database else "file"
            has = "no rows" if source.database else "a header and no rows"
            place = source.document.locate((what,))
            found.warnings.append(Complaint(f"source '{source.name}' has {has}", place))
