"""Connections as people manage them: what there is, whether it works, and how one ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exportkit.access.audit import note
from exportkit.access.credentials import KeptCredentials, kept_credentials
from exportkit.config.editing import remove_key
from exportkit.config.secrets import is_secret
from exportkit.errors import Complaint, ConfigError, ExportkitError, UsageError
from exportkit.pipeline.prepare import check_connection, prepare, resolved

if TYPE_CHECKING:
    from datetime import datetime

    from exportkit.config.connection import ConnectionFile
    from exportkit.config.job import Job
    from exportkit.config.workspace import Workspace
    from exportkit.host.loader import Host
    from exportkit.records import Catalogue
    from exportkit.state.house import House

ADDED = "connection add"
_UNREVOKED = "nothing was removed; --unrevoked removes it without signing out"


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """A connection as it is listed: `store` says where its credentials are, if it has any."""

    file: ConnectionFile
    created_at: datetime | None
    store: str | None
    jobs: tuple[Job, ...]

    def as_dict(self) -> dict[str, Any]:
        """One entry of `connection list --json`."""
        consent = self.file.consent
        return {
            "name": self.file.name,
            "display_name": self.file.display_name,
            "type": self.file.type,
            "file": self.file.document.file,
            "use": list(self.file.use),
            "created_at": self.created_at.isoformat() if self.created_at else None,
            "consent": {
                "agreed_by": consent.agreed_by,
                "agreed_on": consent.agreed_on.isoformat(),
            }
            if consent
            else None,
            "credentials": self.store,
            "jobs": [job.name for job in self.jobs],
        }


@dataclass(frozen=True, slots=True)
class Look:
    """What a job's target looked like, or why it could not be looked at."""

    job: str
    catalogue: Catalogue | None = None
    error: ExportkitError | None = None

    def as_dict(self) -> dict[str, Any]:
        """One of the targets of `connection test --json`."""
        seen, error = self.catalogue, self.error
        return {
            "job": self.job,
            "name": seen.name if seen else None,
            "members": seen.members if seen else None,
            "details": dict(seen.details) if seen else {},
            "error": {"kind": error.kind, "message": error.placed, "hint": error.hint}
            if error
            else None,
        }


@dataclass(frozen=True, slots=True)
class Examination:
    """What `connection test` found: whose account it is, and each job's target."""

    account: str | None
    looks: tuple[Look, ...]


def facts_of(workspace: Workspace, house: House, connection: ConnectionFile) -> ConnectionFacts:
    """What is known of a connection without asking anybody."""
    entries = house.journal.audited(connection.name)
    created = next((entry.at for entry in reversed(entries) if entry.action == ADDED), None)
    kept = kept_credentials(house.state, connection.name)
    jobs = tuple(job for job in workspace.jobs().items if job.connection == connection.name)
    return ConnectionFacts(connection, created, _store(kept), jobs)


def secret_options(host: Host, type: str) -> list[str]:  # noqa: A002 - the word of the contract
    """The options that a destination calls secret; none if it is not installed."""
    try:
        schema = host.destination(type).describe().connection_options
    except ExportkitError:
        return []
    options = schema.get("properties", {})
    return [name for name, option in options.items() if is_secret(name, option)]


def examine(workspace: Workspace, host: Host, house: House, name: str) -> Examination:
    """Connect, and look at the target of every job over the connection. Nothing is sent.

    Raises what connecting raises; what is wrong with one job's target is in the answer.
    """
    connection = workspace.connection(name)
    jobs = facts_of(workspace, house, connection).jobs
    destination = check_connection(host, connection)
    ready = resolved(workspace, connection, destination.describe())
    with destination.connect(ready) as session:
        account = destination.account(session)
        looks = tuple(_look(workspace, host, session, job) for job in jobs)
    note(house.journal, "connection test", name)
    return Examination(account, looks)


def detach(workspace: Workspace, house: House, name: str, job_name: str) -> Job:
    """Take the connection out of a job's file: the job is kept, and inactive.

    Raises UsageError if it has no such connection, ConfigError if the file cannot be changed.
    """
    job = workspace.job(job_name)
    if job.connection != name:
        has = f"has the connection '{job.connection}'" if job.connection else "has no connection"
        raise UsageError(
            f"job '{job.name}' {has}, so it cannot be detached from '{name}'",
            location=job.document.locate(("connection",)),
        )
    journal = house.journal  # opened first: what cannot be recorded is not done
    remove_key(job.document, "connection")
    note(journal, "connection detach", name, job=job.name)
    return job


def remove(workspace: Workspace, host: Host, house: House, name: str, *, revoke: bool) -> bool:
    """End a connection: sign out, forget its credentials and catalogues, remove its file.

    The audit stays. Answers whether the plugin signed out. Raises ConfigError, with the place of
    each, while jobs use it; what signing out raises, before anything was removed.
    """
    kept = kept_credentials(house.state, name)
    if _is_left_over(workspace, kept, name):
        kept.remove()
        note(house.journal, "connection remove", name, left_over=True)
        return False
    connection = workspace.connection(name)
    _refuse_while_used(workspace, name)
    journal = house.journal
    try:
        signed_out = revoke and _revoked(workspace, host, connection, kept)
    except ConfigError as error:
        raise ConfigError(complaints=[*error.complaints, Complaint(_UNREVOKED)]) from None
    except ExportkitError as error:
        error.hint = f"{error.hint}; {_UNREVOKED}" if error.hint else _UNREVOKED
        raise
    kept.remove()
    for path in house.state.catalogues(name):
        path.unlink(missing_ok=True)
        house.shelf.share(path)
    note(journal, "connection remove", name, type=connection.type, signed_out=signed_out)
    try:
        connection.document.path.unlink()
    except OSError as error:
        raise ConfigError(
            f"the file cannot be removed: {(error.strerror or 'failed').lower()}",
            location=connection.document.locate(()),
            hint="its credentials are gone; remove the file by hand",
        ) from None
    return signed_out


def _store(kept: KeptCredentials) -> str | None:
    try:
        return kept.store
    except ExportkitError:
        return "damaged"


def _look(workspace: Workspace, host: Host, session: Any, job: Job) -> Look:
    try:
        prepared = prepare(workspace, host, job)
        return Look(job.name, prepared.destination.describe_target(session, prepared.options))
    except ExportkitError as error:
        return Look(job.name, error=error)


def _is_left_over(workspace: Workspace, kept: KeptCredentials, name: str) -> bool:
    """Whether only the credentials are left of a connection whose file somebody removed."""
    listing = workspace.connections()
    known = [connection.name for connection in listing.items]
    return name not in known and not listing.complaints and _store(kept) is not None


def _refuse_while_used(workspace: Workspace, name: str) -> None:
    listing = workspace.jobs()
    if listing.complaints:
        first = Complaint(
            f"whether jobs use '{name}' cannot be told: some of them cannot be read",
            hint="put these files right first",
        )
        raise ConfigError(complaints=[first, *listing.complaints])
    used = [job for job in listing.items if job.connection == name]
    if used:
        raise ConfigError(
            complaints=[
                Complaint(
                    f"job '{job.name}' uses the connection '{name}', so it stays",
                    job.document.locate(("connection",)),
                    f"take it out first: exportkit connection detach {name} --job {job.name}",
                )
                for job in used
            ]
        )


def _revoked(
    workspace: Workspace, host: Host, connection: ConnectionFile, kept: KeptCredentials
) -> bool:
    """Sign out, where the plugin can and there is something to sign out of."""
    if kept.store is None:
        return False
    destination = check_connection(host, connection)
    if not destination.can("revoke"):
        return False
    destination.revoke(resolved(workspace, connection, destination.describe()))
    return True
