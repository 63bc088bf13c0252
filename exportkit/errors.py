"""What can go wrong, sorted by what has to happen next.

    ExportkitError
    ├── UsageError                 call it differently                     exit 2
    ├── ConfigError                fix a file of the workspace             exit 2
    │   └── JobError               fix the job's YAML                      exit 2
    ├── SourceError                fix the source, or how it is declared   exit 2
    ├── PluginError                fix the installation                    exit 2
    ├── GuardError                 look, then allow it once                exit 3
    ├── PermissionDeniedError      ask somebody who may                    exit 4
    ├── DestinationError           the other side failed                   exit 1
    │   ├── AccessDeniedError      stop now, authorize again               exit 4
    │   ├── ThrottledError         the same batch a little later
    │   ├── QuotaSpentError        stop, go on when the quota returns      exit 75
    │   ├── UnavailableError       back off and try again
    │   └── OutcomeUnknownError    ask find_delivery before sending again
    ├── JournalError               the state folder is damaged or full     exit 1
    ├── BusyError                  try again later                         exit 75
    └── InterruptedRun             somebody asked to stop                  exit 1

Plugins raise the `DestinationError` branch, `JobError` and `PluginError`; everything else that
leaves a plugin is wrapped in `PluginError` by the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_FILES = 2
EXIT_GUARD = 3
EXIT_NOT_ALLOWED = 4
EXIT_TRY_LATER = 75


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file. Lines and columns count from 1; `path` is the YAML path there."""

    file: str
    line: int = 1
    column: int = 1
    path: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong, where it is, and what to do about it."""

    message: str
    location: Location | None = None
    hint: str | None = None

    @property
    def placed(self) -> str:
        """The message with its place before it, without the hint."""
        where = f"{self.location}: " if self.location else ""
        path = f"{self.location.path}: " if self.location and self.location.path else ""
        return f"{where}{path}{self.message}"

    def __str__(self) -> str:
        return f"{self.placed} ({self.hint})" if self.hint else self.placed


class ExportkitError(Exception):
    """The root. `kind`, `message` and `hint` are what `--json` shows under `error`."""

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(
        self, message: str, *, hint: str | None = None, location: Location | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.location = location

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """The error as complaints: one, unless several things are wrong at once."""
        return (Complaint(self.message, self.location, self.hint),)

    @property
    def placed(self) -> str:
        """What is wrong, a line a complaint, each with its place and without its hint."""
        return "\n".join(complaint.placed for complaint in self.complaints)

    def __str__(self) -> str:
        return "\n".join(str(complaint) for complaint in self.complaints)


class UsageError(ExportkitError):
    """The command line asks for something that cannot be."""

    kind = "usage"
    exit_code = EXIT_BAD_FILES


class ConfigError(ExportkitError):
    """Files of the workspace are wrong; `complaints` lists every finding, not just the first."""

    kind = "config"
    exit_code = EXIT_BAD_FILES

    def __init__(
        self,
        message: str = "",
        *,
        hint: str | None = None,
        location: Location | None = None,
        complaints: Sequence[Complaint] = (),
    ) -> None:
        self._complaints = tuple(complaints) or (Complaint(message, location, hint),)
        first = self._complaints[0]
        super().__init__(message or first.message, hint=hint or first.hint, location=first.location)

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        return self._complaints

    def replace_complaints(self, complaints: Iterable[Complaint]) -> None:
        """Say it in other words."""
        self._complaints = tuple(complaints)


class JobError(ConfigError):
    """The job cannot work as written. Plugins raise it; `field` lets the host find the line.

    `field` is a field of the map or an option, or the way to a part of an option, such as
    `("body", "address", "city")`. `known` are the valid names where a name is wrong, and the host
    adds the nearest as a hint; `name` is the wrong one, where it is neither field nor option.
    """

    kind = "job"

    def __init__(
        self,
        message: str = "",
        *,
        hint: str | None = None,
        location: Location | None = None,
        complaints: Sequence[Complaint] = (),
        field: str | Sequence[str | int] | None = None,
        known: Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, location=location, complaints=complaints)
        self.field = field
        self.known = tuple(known)
        self.name = name


class SourceError(ExportkitError):
    """Profiles cannot be read: the file is missing, broken, or not what it was declared to be."""

    kind = "source"
    exit_code = EXIT_BAD_FILES


class PluginError(ExportkitError):
    """A plugin is broken, missing, or answered something the contract does not allow."""

    kind = "plugin"
    exit_code = EXIT_BAD_FILES


class GuardError(ExportkitError):
    """A limit tripped before anything was sent. The hint says how to allow it once."""

    kind = "guard"
    exit_code = EXIT_GUARD


class PermissionDeniedError(ExportkitError):
    """Consent, a role, or a credential is missing."""

    kind = "permission"
    exit_code = EXIT_NOT_ALLOWED


class DestinationError(ExportkitError):
    """The destination failed in a way that trying again will not mend."""

    kind = "destination"


class AccessDeniedError(DestinationError):
    """The destination does not accept the credentials: stop now, authorize again."""

    kind = "access_denied"
    exit_code = EXIT_NOT_ALLOWED


class ThrottledError(DestinationError):
    """Too fast. The same batch is sent again after `retry_after` seconds."""

    kind = "throttled"

    def __init__(
        self, message: str, *, retry_after: float | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class QuotaSpentError(DestinationError):
    """The day's calls are used up; `until` says when there will be more."""

    kind = "quota_spent"
    exit_code = EXIT_TRY_LATER

    def __init__(
        self, message: str, *, until: datetime | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.until = until


class UnavailableError(DestinationError):
    """The destination did not take the call, for a reason that will pass."""

    kind = "unavailable"


class OutcomeUnknownError(DestinationError):
    """The connection died mid-call: the batch may or may not have been taken."""

    kind = "outcome_unknown"


class JournalError(ExportkitError):
    """The state folder cannot be read or written."""

    kind = "journal"


class BusyError(ExportkitError):
    """The job is running already, or an answer is still to come: try again later."""

    kind = "busy"
    exit_code = EXIT_TRY_LATER


class InterruptedRun(ExportkitError):  # noqa: N818 - somebody asked for it
    """SIGTERM or Ctrl-C: the call in flight was finished and journaled, nothing after it."""

    kind = "interrupted"


EXIT_ORDER = (EXIT_BAD_FILES, EXIT_FAILED, EXIT_NOT_ALLOWED, EXIT_GUARD, EXIT_TRY_LATER, EXIT_OK)
"""Which exit code speaks for several jobs: the first of these that applies."""


def exit_code_of(kind: str | None) -> int:
    """The exit code for an error of this kind; None is success."""
    return EXIT_OK if kind is None else _EXIT_CODES.get(kind, EXIT_FAILED)


def _all_kinds(root: type[ExportkitError]) -> dict[str, int]:
    codes = {root.kind: root.exit_code}
    for branch in root.__subclasses__():
        codes.update(_all_kinds(branch))
    return codes


_EXIT_CODES = _all_kinds(ExportkitError)
