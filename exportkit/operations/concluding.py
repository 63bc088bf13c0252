"""After a run: plugins hear of it, people are told, metrics and spans are written.

The run is over and in the journal by then: whatever fails here is a line of warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exportkit.host.loader import Host
    from exportkit.pipeline.prepare import Prepared
    from exportkit.records import Run
    from exportkit.state.house import House


def conclude(prepared: Prepared, host: Host, house: House, done: Run) -> tuple[str, ...]:
    """Tell everybody who wants to know that a run has ended; answers a line for each failure."""
    return host.run_finished(done)
