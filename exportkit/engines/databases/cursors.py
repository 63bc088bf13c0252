"""ADBC cursors: closed whatever happens, their errors explained, their batches as they come."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exportkit.engines.databases.servers import ServerError


@contextmanager
def open_cursor(connection: Any, explain: Callable[[Exception], ServerError]) -> Iterator[Any]:
    """A cursor of a connection; what goes wrong with it is raised as `explain` says it."""
    import adbc_driver_manager as adbc

    cursor: Any = None
    try:
        cursor = connection.cursor()
        yield cursor
    except (adbc.Error, OSError) as error:
        raise explain(error) from None
    finally:
        with suppress(Exception):
            cursor.close()


def batches_of(cursor: Any) -> Any:
    """The cursor's batches, with errors that keep their SQLSTATE: Arrow's own reader drops it."""
    results = getattr(cursor, "_results", None)
    return getattr(results, "reader", None) or cursor.fetch_record_batch()
