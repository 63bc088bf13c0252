"""Roles: who may do what, by the operating system's user and groups, as `exportkit.yaml` says.

Who asks is the user whose process this is, whatever the environment says. This keeps people from
mistakes and duties apart on one host; who can write the files of a workspace can write the roles.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from exportkit.access.audit import current_user
from exportkit.errors import Complaint, PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exportkit.config.connection import ConnectionFile
    from exportkit.config.job import Job
    from exportkit.config.workspace import Roles, Workspace

Role = Literal["viewer", "contributor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the one that may least; each may also what those before it may."""

NEEDS: dict[str, Role] = {
    **dict.fromkeys(
        ("status", "history", "report", "metrics", "schedule", "schedule show"), ROLES[0]
    ),
    **dict.fromkeys(("run", "plan", "validate", "segments", "rejections"), ROLES[1]),
    **dict.fromkeys(("connection list", "connection show"), ROLES[1]),
}
"""What a command takes at least; one that is not here takes an admin."""

MAY = {
    "viewer": "see how jobs went: status, history, report",
    "contributor": "run, plan and validate jobs over the connections that list `contributor` under "
    "`use`, count segments, look at rejections",
    "admin": "do everything",
}
"""What each role may, for people."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Who somebody is, and what that lets them do here. `role` None: nothing at all."""

    user: str
    role: Role | None
    declared: bool

    def may(self, command: str) -> bool:
        """Whether a command, such as `connection add`, is theirs to give."""
        return self.role is not None and ROLES.index(self.role) >= ROLES.index(needed(command))

    def may_use(self, connection: ConnectionFile) -> bool:
        """Whether they may run jobs over this connection."""
        return self.role == "admin" or (
            self.role == "contributor" and "contributor" in connection.use
        )

    def as_dict(self) -> dict[str, object]:
        """`permissions` of `status --json`."""
        may = MAY[self.role] if self.role else "do nothing here"
        return {"user": self.user, "role": self.role, "may": may, "roles_declared": self.declared}


def needed(command: str) -> Role:
    """The role that a command takes."""
    return NEEDS.get(command, "admin")


def standing_in(workspace: Workspace) -> Standing:
    """The standing of the user whose process this is. Without `roles:` everybody is an admin."""
    roles, user = workspace.roles, current_user()
    if roles is None:
        return Standing(user, "admin", declared=False)
    mine = {user, str(os.geteuid()), *_groups_of(user)}
    if mine.intersection(roles.admin):
        return Standing(user, "admin", declared=True)
    if mine.intersection(roles.contributor):
        return Standing(user, "contributor", declared=True)
    # Who can get at the files can read how jobs went, unless the viewers are listed.
    views = roles.viewer is None or mine.intersection(roles.viewer)
    return Standing(user, "viewer" if views else None, declared=True)


def require(workspace: Workspace, command: str) -> Standing:
    """The user's standing, if a command is theirs to give. Raises PermissionDeniedError if not."""
    standing = standing_in(workspace)
    if standing.may(command):
        return standing
    is_what = f"is a {standing.role}" if standing.role else "has no role"
    raise PermissionDeniedError(
        f"`exportkit {command}` takes {_a(needed(command))}, and {standing.user} {is_what} here",
        location=workspace.document.locate(("roles",), key=True),
        hint=_who_can(workspace.roles, needed(command)),
    )


def require_use(workspace: Workspace, connection: ConnectionFile) -> None:
    """Return if the user may run jobs over the connection. Raises PermissionDeniedError if not."""
    standing = standing_in(workspace)
    if standing.may_use(connection):
        return
    raise PermissionDeniedError(
        f"{standing.user} may not use the connection '{connection.name}': it is for "
        f"{' and '.join(connection.use)}s",
        location=connection.document.locate(("use",)),
        hint=_who_can(workspace.roles, "admin"),
    )


def require_job(workspace: Workspace, job: Job) -> None:
    """As `require_use` for the connection of a job; one without a connection is anybody's."""
    known = {connection.name: connection for connection in workspace.connections().items}
    if job.connection in known:
        require_use(workspace, known[job.connection])


def unknown_people(workspace: Workspace) -> Iterator[Complaint]:
    """A complaint for each user and group under `roles:` that this machine does not know."""
    roles = workspace.roles
    if roles is None:
        return
    for role in ROLES:
        for index, name in enumerate(getattr(roles, role) or ()):
            if (hint := _unknown(name)) is not None:
                kind = "group" if name.startswith("%") else "user"
                place = workspace.document.locate(("roles", role, index))
                yield Complaint(f"there is no {kind} '{name}' on this machine", place, hint)


def _groups_of(user: str) -> Iterator[str]:
    """The user's groups, by the system's own list, as they are written under `roles:`."""
    import grp
    import pwd

    try:
        numbers = os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
    except KeyError:  # a container may run as a user without a name
        numbers = [os.getegid(), *os.getgroups()]
    for number in set(numbers):
        yield f"%{number}"
        try:
            yield f"%{grp.getgrgid(number).gr_name}"
        except KeyError:
            continue


def _unknown(name: str) -> str | None:
    """What was probably meant, if nobody has this name; None if somebody has."""
    import grp
    import pwd

    group = name.startswith("%")
    bare = name.removeprefix("%")
    ask: Callable[[str], object] = grp.getgrnam if group else pwd.getpwnam
    if bare.isascii() and bare.isdigit():
        return None
    try:
        ask(bare)
    except (KeyError, ValueError):
        from exportkit.config.names import nearest

        users, groups = [u.pw_name for u in pwd.getpwall()], [g.gr_name for g in grp.getgrall()]
        if (guess := nearest(bare, groups if group else users)) is not None:
            return f"did you mean '{'%' if group else ''}{guess}'?"
        if not group and bare in groups:
            return f'a group is written "%{bare}"'
        return "whoever it was has no role here: take the name out, or correct it"
    return None


def _who_can(roles: Roles | None, role: Role) -> str:
    people = list(roles.admin) if roles else []
    if roles and role != "admin":
        people += [name for name in roles.contributor if name not in people]
    if not people:
        return "`roles:` in exportkit.yaml names no admin: somebody who may change it has to"
    return f"ask one of these, by `roles:` in exportkit.yaml: {', '.join(people)}"


def _a(role: Role) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
