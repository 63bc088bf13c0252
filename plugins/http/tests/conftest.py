"""The service and the workspace with which runs are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from crm import KEY, Crm
from workspace import Space, person, wants_key

from exportkit.redaction import forget_everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _a_process_of_its_own() -> None:
    """No test takes the secrets and people of another out of its texts."""
    forget_everything()


@pytest.fixture
def make_crm() -> Iterator[Callable[..., Crm]]:
    """Starts services, and stops them at the end."""
    made: list[Crm] = []

    def make(**given: Any) -> Crm:
        made.append(Crm(**given))
        made[-1].wants = wants_key()
        return made[-1]

    yield make
    for crm in made:
        crm.stop()


@pytest.fixture
def make_space(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    make_crm: Callable[..., Crm],
) -> Callable[..., Space]:
    """Makes a workspace with three people; what is given goes to the service."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    monkeypatch.setenv("CRM_KEY", KEY)

    def make(**given: Any) -> Space:
        root = tmp_path / "workspace"
        root.mkdir()
        space = Space(root, make_crm(**given), lambda: "".join(capfd.readouterr()))
        space.people(person("ann"), person("bob"), person("cid"))
        return space

    return make


@pytest.fixture
def space(make_space: Callable[..., Space]) -> Space:
    """A workspace, and a service that honours keys."""
    return make_space()
