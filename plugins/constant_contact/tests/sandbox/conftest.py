"""A sandbox whose time stands still, and a client that is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from exportkit_constant_contact.sandbox import ManualClock, Sandbox
from sandbox_caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock, rates=False, seed=1) as box:
        yield box


@pytest.fixture
def caller(box: Sandbox) -> Iterator[Caller]:
    caller = Caller(box)
    yield caller
    caller.http.close()


@pytest.fixture
def news(box: Sandbox) -> str:
    return box.add_list("News")
