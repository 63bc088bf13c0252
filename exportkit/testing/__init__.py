"""For authors: the contract as tests, a destination that fails on request, a killer of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exportkit.testing.compare import Difference, compare, in_doubt
from exportkit.testing.destination import FaultDestination
from exportkit.testing.kill import Ended, Instant, Runner, ended, random_instants
from exportkit.testing.ledger import Call, Ledger, Row, Taken, open_ledger
from exportkit.testing.proxy import FAULTS, Fault, FaultyProxy
from exportkit.testing.site import install_faults

if TYPE_CHECKING:
    from exportkit.testing.contract import DestinationContract
    from exportkit.testing.rehearsal import Rehearsal

__all__ = [
    "FAULTS",
    "Call",
    "DestinationContract",
    "Difference",
    "Ended",
    "Fault",
    "FaultDestination",
    "FaultyProxy",
    "Instant",
    "Ledger",
    "Rehearsal",
    "Row",
    "Runner",
    "Taken",
    "compare",
    "ended",
    "in_doubt",
    "install_faults",
    "open_ledger",
    "random_instants",
]


_OF_PYTEST = {"DestinationContract": "contract", "Rehearsal": "rehearsal"}


def __getattr__(name: str) -> Any:
    """The contract needs pytest (`exportkit[testing]`), the rest of this package does not."""
    from importlib import import_module

    if name in _OF_PYTEST:
        try:
            return getattr(import_module(f"exportkit.testing.{_OF_PYTEST[name]}"), name)
        except ModuleNotFoundError as error:
            if error.name != "pytest":
                raise
        raise ImportError(f"{name} needs pytest: pip install 'exportkit[testing]'")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
