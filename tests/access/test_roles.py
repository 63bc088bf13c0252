"""Who may do what, by the system's users and groups, and by nothing that anybody can set."""

from __future__ import annotations

import grp
import os
import pwd
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from exportkit.access.audit import current_user
from exportkit.access.roles import (
    NEEDS,
    ROLES,
    require,
    require_use,
    standing_in,
    unknown_people,
)
from exportkit.config.workspace import open_workspace
from exportkit.errors import PermissionDeniedError

if TYPE_CHECKING:
    from pathlib import Path

    from exportkit.config.workspace import Workspace

ME = current_user()
MY_GROUP = grp.getgrgid(pwd.getpwnam(ME).pw_gid).gr_name
OTHER = next(user.pw_name for user in pwd.getpwall() if user.pw_name != ME)


def opened(folder: Path, roles: str, use: str = "[admin]") -> Workspace:
    (folder / "exportkit.yaml").write_text(f"version: 1\n{roles}\n")
    (folder / "connections").mkdir()
    (folder / "connections" / "mill.yaml").write_text(
        f"version: 1\nname: mill\ntype: mill\nuse: {use}\n"
    )
    return open_workspace(folder)


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        ("", "admin"),
        (f"roles: {{admin: [{ME}]}}", "admin"),
        (f"roles: {{admin: ['%{MY_GROUP}']}}", "admin"),
        (f"roles: {{admin: [{os.geteuid()}]}}", "admin"),
        (f"roles: {{admin: [{OTHER}], contributor: [{ME}]}}", "contributor"),
        (f"roles: {{admin: [{OTHER}], contributor: ['%{MY_GROUP}']}}", "contributor"),
        (f"roles: {{admin: [{ME}], contributor: [{ME}]}}", "admin"),
        (f"roles: {{admin: [{OTHER}]}}", "viewer"),
        ("roles: {}", "viewer"),
        (f"roles: {{viewer: [{ME}]}}", "viewer"),
        (f"roles: {{viewer: [{OTHER}]}}", None),
        # A group is no user, whatever it is called.
        (f"roles: {{admin: ['{MY_GROUP}-not']}}", "viewer"),
    ],
)
def test_the_role_follows_from_the_file(tmp_path: Path, roles: str, role: str | None) -> None:
    assert standing_in(opened(tmp_path, roles)).role == role


def test_the_environment_gives_nobody_a_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME", "SUDO_USER", "SUDO_UID"):
        monkeypatch.setenv(name, OTHER)
    standing = standing_in(opened(tmp_path, f"roles: {{admin: [{OTHER}]}}"))
    assert (standing.user, standing.role) == (ME, "viewer")


def test_the_effective_user_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = pwd.getpwnam(OTHER).pw_uid
    monkeypatch.setattr(os, "geteuid", lambda: other)
    standing = standing_in(opened(tmp_path, f"roles: {{admin: [{ME}], contributor: [{OTHER}]}}"))
    assert (standing.user, standing.role) == (OTHER, "contributor")


def test_a_user_without_a_name_has_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    assert standing_in(opened(tmp_path, f"roles: {{contributor: [{2**31 - 7}]}}")).role == (
        "contributor"
    )


def test_each_role_may_what_those_below_it_may(tmp_path: Path) -> None:
    folders = [tmp_path / role for role in ROLES]
    for folder in folders:
        folder.mkdir()
    standings = [
        standing_in(opened(folder, f"roles: {{admin: [{OTHER}], {role}: [{ME}]}}"))
        if role != "admin"
        else standing_in(opened(folder, ""))
        for role, folder in zip(ROLES, folders, strict=True)
    ]
    commands = [*NEEDS, "connection add", "audit", "something new"]
    may = [{command for command in commands if each.may(command)} for each in standings]
    assert may[0] < may[1] < may[2] == set(commands)
    assert "status" in may[0]
    assert "run" not in may[0]
    assert "connection add" not in may[1]


def test_a_refusal_says_who_can_help(tmp_path: Path) -> None:
    workspace = opened(tmp_path, f"roles:\n  admin: [{OTHER}]\n  contributor: ['%nightshift']")
    with pytest.raises(PermissionDeniedError) as raised:
        require(workspace, "run")
    told = raised.value
    assert f"`exportkit run` takes a contributor, and {ME} is a viewer here" in told.message
    assert str(told.location).endswith("exportkit.yaml:2:1")
    assert OTHER in (told.hint or "")
    assert "%nightshift" in (told.hint or "")
    assert told.exit_code == 4
    with pytest.raises(PermissionDeniedError) as raised:
        require(workspace, "connection add")
    assert "%nightshift" not in (raised.value.hint or ""), "contributors cannot help with that"


@pytest.mark.parametrize(
    ("roles", "use", "allowed"),
    [
        (f"{{admin: [{ME}]}}", "[contributor]", True),
        (f"{{admin: [{ME}]}}", "[admin]", True),
        (f"{{contributor: [{ME}]}}", "[admin, contributor]", True),
        (f"{{contributor: [{ME}]}}", "[admin]", False),
        (f"{{viewer: [{ME}]}}", "[admin, contributor]", False),
    ],
)
def test_a_connection_is_for_those_under_use(
    tmp_path: Path, roles: str, use: str, allowed: bool
) -> None:
    workspace = opened(tmp_path, f"roles: {roles}", use)
    connection = workspace.connection("mill")
    if allowed:
        require_use(workspace, connection)
        return
    with pytest.raises(PermissionDeniedError, match="may not use the connection 'mill'") as raised:
        require_use(workspace, connection)
    assert str(raised.value.location).endswith("mill.yaml:4:6")


def test_unknown_users_and_groups_are_found_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    workspace = opened(
        tmp_path / "w",
        f"roles:\n  admin: [{ME}, {ME}x, 4711]\n  contributor:\n    - '%{MY_GROUP}'\n"
        "    - '%qzqzqz'\n    - '%12'",
    )
    found = list(unknown_people(workspace))
    assert [complaint.message for complaint in found] == [
        "there is no group '%qzqzqz' on this machine",
        f"there is no user '{ME}x' on this machine",
    ]
    places = [str(complaint.location).rpartition("exportkit.yaml:")[2] for complaint in found]
    assert places == ["6:7", f"3:{len(ME) + 13}"]
    assert found[1].hint == f"did you mean '{ME}'?"


def test_a_group_without_its_sign_is_found_out(tmp_path: Path) -> None:
    users = {user.pw_name for user in pwd.getpwall()}
    lonely = next((g.gr_name for g in grp.getgrall() if g.gr_name not in users), None)
    if lonely is None:
        pytest.skip("every group of this machine is a user as well")
    (found,) = unknown_people(opened(tmp_path, f"roles: {{contributor: [{lonely}]}}"))
    assert lonely in (found.hint or "")


def test_every_command_has_a_role_that_was_thought_about() -> None:
    import click

    from exportkit.cli import COMMANDS, cli

    context = click.Context(cli, info_name="exportkit")
    groups = [cli.get_command(context, name) for name in COMMANDS]
    names = chain.from_iterable(
        (f"{group.name} {below}" for below in group.commands)
        if isinstance(group, click.Group) and group.commands
        else [str(group and group.name)]
        for group in groups
    )
    without_workspace = {"init", "schema", "completion", "plugins show", "plugins new"}
    admins = {
        *(f"connection {name}" for name in ("add", "authorize", "test", "detach", "remove")),
        "audit",
        "clean",
    }
    assert {name for name in names if name not in NEEDS} <= without_workspace | admins
