"""For authors and for our own tests: a destination that fails on request, and a killer of runs."""

from exportkit.testing.compare import Difference, compare, in_doubt
from exportkit.testing.destination import FaultDestination
from exportkit.testing.kill import Ended, Instant, Runner, ended, random_instants
from exportkit.testing.ledger import Call, Ledger, Row, Taken, open_ledger
from exportkit.testing.site import install_faults

__all__ = [
    "Call",
    "Difference",
    "Ended",
    "FaultDestination",
    "Instant",
    "Ledger",
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
