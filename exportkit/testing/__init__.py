"""For authors and for our own tests: a destination that fails on request, and a killer of runs."""

from exportkit.testing.destination import FaultDestination
from exportkit.testing.ledger import Call, Ledger, Row, Taken, open_ledger
from exportkit.testing.site import install_faults

__all__ = [
    "Call",
    "FaultDestination",
    "Ledger",
    "Row",
    "Taken",
    "install_faults",
    "open_ledger",
]
