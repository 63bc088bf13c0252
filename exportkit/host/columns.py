"""The columns of a destination, what a job may ask of them, and where a job went wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exportkit.errors import Complaint, JobError, Location

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from exportkit.config.documents import Document
    from exportkit.records import Catalogue, Column, Description, FieldMapping, MappedField


def declared_columns(description: Description, catalogue: Catalogue) -> dict[str, Column]:
    """By name: what the destination declares offline, then what was found at the target."""
    return {column.name: column for column in (*description.fields, *catalogue.fields)}


def refuse_unknown(mapping: FieldMapping, known: Collection[str], job: Document | None) -> None:
    """Raise one `JobError` with a complaint for each mapped field that is not `known`."""
    unknown = [name for name in mapping.names if name not in known]
    if unknown:
        raise JobError(
            complaints=[
                Complaint(
                    f"the destination has no field {name!r}",
                    job.locate(("map", name), key=True) if job else None,
                    _nearest_hint(name, known),
                )
                for name in unknown
            ],
            field=unknown[0],
            known=sorted(known),
        )


def refuse_repeated(mapping: FieldMapping) -> None:
    """Raise `JobError` where a field is mapped twice."""
    names = mapping.names
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise JobError(f"the field {name!r} is mapped twice", field=name, hint="take one out")


def tightened(columns: Sequence[Column], mapping: FieldMapping) -> tuple[Column, ...]:
    """The columns under the job's own rules: its key, and its limits where they are tighter."""
    asked = {mapped.name: mapped for mapped in mapping.fields}
    keyed = any(column.name == mapping.key for column in columns)
    return tuple(
        _tighten(
            replace(column, key=column.name == mapping.key) if keyed else column,
            asked.get(column.name),
        )
        for column in columns
    )


def _tighten(column: Column, asked: MappedField | None) -> Column:
    if asked is None:
        return column
    lengths = [length for length in (column.max_length, asked.max_length) if length is not None]
    return replace(
        column,
        kind=asked.kind if asked.kind and column.kind == "text" else column.kind,
        required=column.required or bool(asked.required),
        max_length=min(lengths, default=None),
        on_too_long=asked.on_too_long or column.on_too_long,
    )


def placed(error: JobError, job: Document | None) -> JobError:
    """The error with its line in the job's file and the nearest name as its hint.

    `field` is looked for in `map:`, then in `destination:`, where the wrong name is the value.
    """
    if error.field is None or len(error.complaints) > 1:
        return error
    way = (error.field,) if isinstance(error.field, str) else tuple(error.field)
    name, location = str(way[-1]), error.location
    if job is not None:
        fields, options = (job.data.get(part) for part in ("map", "destination"))
        if len(way) == 1 and isinstance(fields, dict) and name in fields:
            location = location or job.locate(("map", name), key=True)
        elif isinstance(options, dict) and way[0] in options:
            location = location or job.locate(("destination", *way))
            name = str(options[way[0]]) if len(way) == 1 else name
        else:
            location = location or Location(job.file)
    name = error.name or name
    hint = error.hint or (_nearest_hint(name, error.known) if error.known else None)
    return JobError(
        error.message,
        hint=hint,
        location=location,
        field=error.field,
        known=error.known,
        name=error.name,
    )


def _nearest_hint(name: str, known: Collection[str]) -> str:
    from exportkit.config.names import nearest_hint

    return nearest_hint(name, known)
