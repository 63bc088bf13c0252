"""A local server that behaves like Constant Contact, as far as anybody knows how that behaves."""

from __future__ import annotations

from .activities import Fate
from .box import STARTER_LIST, Sandbox
from .choices import Choices
from .clock import Clock, ManualClock, SystemClock
from .scenario import Effects, Rule, Scenario
from .scenario_file import ScenarioError
from .server import Recorded

__all__ = [
    "STARTER_LIST",
    "Choices",
    "Clock",
    "Effects",
    "Fate",
    "ManualClock",
    "Recorded",
    "Rule",
    "Sandbox",
    "Scenario",
    "ScenarioError",
    "SystemClock",
]
