"""What a source's files call columns and segments: found, or refused with the nearest name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exportkit.config.names import nearest_hint
from exportkit.config.phrases import short
from exportkit.errors import Complaint, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exportkit.config.source import Segment, Source
    from exportkit.errors import Location


class Named:
    """The columns of an opened source, in order, and its segments. Case does not matter."""

    def __init__(self, source: Source, columns: Sequence[str]) -> None:
        self._source = source
        self._columns = tuple(columns)

    def find(self, column: str) -> str | None:
        """The column as the source has it; None where it has none."""
        if column in self._columns:
            return column
        return next((name for name in self._columns if name.lower() == column.lower()), None)

    def real(self, column: str) -> str:
        """The column as the source has it. Raises SourceError where it has none."""
        found = self.find(column)
        if found is None:
            raise SourceError(
                f"source {self._source.name!r} has no column {short(column)!r}",
                hint=nearest_hint(column, self._columns),
            )
        return found

    def unknown(self, column: str, at: Location) -> list[Complaint]:
        """A complaint if the source has no such column."""
        if self.find(column) is not None:
            return []
        message = f"the source has no column {short(column)!r}"
        return [Complaint(message, at, nearest_hint(column, self._columns))]

    def segment(self, name: str) -> Segment:
        """The segment of that name. Raises SourceError where the source has none."""
        found = self._source.segment(name)
        if found is None:
            raise SourceError(
                f"source {self._source.name!r} has no segment {name!r}",
                hint=nearest_hint(name, [segment.name for segment in self._source.segments]),
            )
        return found
