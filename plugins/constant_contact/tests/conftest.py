"""The stage on which runs are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from exportkit_constant_contact import imports, options
from exportkit_constant_contact.sandbox import Sandbox
from stage import Stage, person

from exportkit.redaction import forget_everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _a_process_of_its_own() -> None:
    """No test takes the secrets and people of another out of its texts."""
    forget_everything()


@pytest.fixture
def make_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Stage]]:
    """Makes the stage; what is given goes to the sandbox."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    monkeypatch.setattr(options, "CALLS_A_SECOND", 1_000)
    monkeypatch.setattr(imports, "FIRST_LOOK", -1.0)
    monkeypatch.setattr(imports, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(imports, "LOOK_AGAIN", 0.0)
    boxes: list[Sandbox] = []

    def make(**given: Any) -> Stage:
        box = Sandbox(**{"rates": False, "asks": False, **given})
        box.start()
        boxes.append(box)
        list_id = box.add_list("News")
        monkeypatch.setenv("CC_REFRESH_TOKEN", box.token())
        root = tmp_path / "workspace"
        root.mkdir(exist_ok=True)
        return Stage(
            root,
            box,
            lambda: "".join(capfd.readouterr()),
            list_id,
            {
                "name": "box",
                "type": "constant_contact",
                "consent": {"agreed_by": "jane@example.com", "agreed_on": "2026-01-01"},
                "options": {
                    "api_url": box.api_url,
                    "auth_url": box.auth_url,
                    "client_id": box.client_id,
                    "refresh_token": "${env:CC_REFRESH_TOKEN}",
                },
            },
            {
                "name": "news",
                "source": "people",
                "segments": ["everyone"],
                "connection": "box",
                "destination": {"list_id": list_id},
                "map": {"email": "email", "first_name": "first_name"},
            },
        )

    yield make
    for box in boxes:
        box.stop()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A stage with three people in the source."""
    made = make_stage()
    made.people(person("ann"), person("bob"), person("cid"))
    return made
