"""Stage 2: the source's text becomes the destination's columns, each value checked.

A value that cannot be delivered is no exception: the row carries the number of the first check
that it fails, and the plan turns that into a rejection with a reason.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import narwhals as nw

from exportkit.engines import kinds
from exportkit.engines.frames import FAULT, KEY, PREFER, SOURCE_KEY, SUPPRESSED, Engine, collect
from exportkit.engines.transforms import TRANSFORMS, is_blank
from exportkit.errors import JobError
from exportkit.pipeline.handover import Mapping
from exportkit.records import Check, Column, FieldMapping, MappedField, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exportkit.config.job import FieldRule, Job

Failing = tuple[Check, nw.Expr]


def map_job(
    job: Job,
    target: Target,
    declared: Sequence[Column],
    map_fields: Callable[..., Sequence[Column]],
    source_key: str | None = None,
) -> Mapping:
    """Decide the columns, from the job's `map:`, the plugin's answer and the declared fields.

    `source_key` is the source's key column: where it is mapped as it is, it is held only once.

    Raises JobError, with its place in the job, where the map cannot work.
    """
    asked = FieldMapping(
        tuple(
            MappedField(r.field, r.kind, r.required, r.max_length, r.on_too_long)
            for r in job.fields
        ),
        job.key,
    )
    answered = map_fields(asked, target)
    rules = {rule.field: rule for rule in job.fields}
    _require(job, answered, declared)
    key = _key(job, answered)
    columns = [_settled(column, rules.get(column.name), job, key) for column in answered]
    checks = tuple(check for check, _ in _failing(columns, key))
    waiting = tuple(Check(c.name, kinds.REASONS["email"]) for c in columns if c.kind == "email")
    twin = _twin(job, source_key, columns)
    return Mapping(tuple(columns), key, checks + waiting, len(checks), twin)


def map_profiles(frame: nw.LazyFrame[Any], job: Job, mapping: Mapping) -> nw.LazyFrame[Any]:
    """The frame with the destination's columns and the number of the check that a row fails.

    To be held; `identified` adds the keys to what is held, so that they are not kept twice.
    """
    carried = [name for name in (SOURCE_KEY, PREFER, SUPPRESSED) if name in _columns(frame)]
    kept = [name for name in carried if name != SOURCE_KEY or mapping.twin is None]
    fields = [_value(rule).alias(rule.field) for rule in job.fields]
    columns = [_shaped(column).alias(column.name) for column in mapping.columns]
    failing = [*_failing(mapping.columns, mapping.key), *_waiting(mapping.columns)]
    named = [column.name for column in mapping.columns]
    verdicts = [
        kinds.verdict(nw.col(column.name)).alias(_VERDICT + column.name)
        for column in mapping.columns
        if column.kind == "email"
    ]
    if PREFER in carried and frame.collect_schema()[PREFER].is_float():
        frame = frame.with_columns(_comparable(nw.col(PREFER)).alias(PREFER))
    frame = frame.select(*fields, *carried)
    if any(map(_is_shaped, mapping.columns)):
        frame = frame.select(*columns, *carried)
    if verdicts:
        frame = frame.select(nw.all(), *verdicts)
    return frame.select(*named, *kept, _first(failing).alias(FAULT))


def identified(mapped: nw.LazyFrame[Any], mapping: Mapping) -> nw.LazyFrame[Any]:
    """The held frame with the source's key, and the key that tells people apart.

    That one is as it is, or as the plugin matches it.
    """
    if mapping.twin is not None:
        mapped = mapped.with_columns(nw.col(mapping.twin).alias(SOURCE_KEY))
    identity = next((c.match for c in mapping.columns if c.name == mapping.key), None)
    if identity is None:
        identity = nw.col(SOURCE_KEY if mapping.key is None else mapping.key)
    return mapped.with_columns(identity.alias(KEY))


def decide_addresses(
    mapped: nw.LazyFrame[Any], mapping: Mapping, engine: Engine
) -> nw.LazyFrame[Any]:
    """Ask the address library about the few values that the patterns leave open.

    `mapped` is a held frame, and so is the answer.
    """
    fault = nw.col(FAULT)
    waiting = list(enumerate(mapping.checks))[mapping.certain :]
    if not waiting:
        return mapped
    still_open = engine.hold(mapped.filter(fault >= mapping.certain))
    if not collect(still_open.head(1)).num_rows:
        return mapped
    for number, check in waiting:
        asked = collect(still_open.filter(fault == number).select(check.column).unique())
        refused = kinds.not_addresses(asked[check.column].to_pylist())
        later = [
            (other, kinds.verdict(nw.col(other.column)) == kinds.UNDECIDED)
            for other in mapping.checks[number + 1 :]
        ]
        verdict = _first(later, start=number + 1) if later else nw.lit(None, dtype=nw.Int16)
        known_bad = engine.table(_refusals(check.column, refused))
        still_open = engine.hold(
            still_open.join(known_bad, on=check.column, how="left")
            .with_columns(
                nw.when((fault == number) & nw.col(_REFUSED).is_null())
                .then(verdict)
                .otherwise(fault)
                .alias(FAULT)
            )
            .drop(_REFUSED)
        )
    decided = mapped.filter(fault.is_null() | (fault < mapping.certain))
    return nw.concat([decided, still_open.select(_columns(decided))])


def _comparable(number: nw.Expr) -> nw.Expr:
    """The number where it is one: engines do not agree on the least of NaN and of infinities.

    NaN is none, and an infinity is the last number before it.
    """
    most = nw.lit(sys.float_info.max)
    within = nw.when(number > most).then(most).when(number < -most).then(-most).otherwise(number)
    return nw.when(~number.is_nan()).then(within)


_REFUSED = "exportkit_refused"
_VERDICT = "exportkit_verdict_"


def _refusals(column: str, values: list[str]) -> Any:
    import pyarrow as pa

    text = pa.array(values, pa.string())
    return pa.table({column: text, _REFUSED: pa.array([True] * len(values), pa.bool_())})


def _value(rule: FieldRule) -> nw.Expr:
    text = nw.col(rule.field) if rule.value is None else nw.lit(rule.value)
    for transform in rule.transform:
        arguments = () if transform.argument is None else (transform.argument,)
        text = TRANSFORMS[transform.name](text, *arguments)
    text = nw.when(text != "").then(text)
    return text.fill_null(rule.default) if rule.default else text


def _shaped(column: Column) -> nw.Expr:
    value = nw.col(column.name)
    if column.expression is not None:
        value = nw.when(column.expression != "").then(column.expression)
    return value.str.slice(0, column.max_length) if _is_cut(column) else value


def _is_cut(column: Column) -> bool:
    return column.max_length is not None and column.on_too_long == "truncate"


def _is_shaped(column: Column) -> bool:
    return column.expression is not None or _is_cut(column)


def _settled(column: Column, rule: FieldRule | None, job: Job, key: str | None) -> Column:
    """The column with what the job says of it, beyond the limits that the host has tightened."""
    if rule is not None and rule.kind is not None and rule.kind != column.kind:
        raise JobError(
            f"the destination declares this field as {column.kind}, the job as {rule.kind}",
            location=job.document.locate(("map", rule.field, "kind")),
            hint="leave `kind` out: a job can only tighten what the destination declares",
        )
    # Cutting is for free text: half an address or half a key is somebody else's.
    cuttable = column.kind == "text" and column.name != key
    asked = (rule and rule.on_too_long) or job.on_too_long
    return replace(
        column,
        required=column.required or column.name == key,
        on_too_long=asked if cuttable else "reject",
    )


def _twin(job: Job, source_key: str | None, columns: Sequence[Column]) -> str | None:
    """A column that holds the source's key just as it is."""
    whole = {c.name for c in columns if c.expression is None and c.on_too_long == "reject"}
    for rule in job.fields:
        plain = rule.column == source_key and not rule.transform and not rule.default
        if plain and rule.field in whole and source_key is not None:
            return rule.field
    return None


def _require(job: Job, columns: Sequence[Column], declared: Sequence[Column]) -> None:
    mapped = {column.name for column in columns}
    missing = [field.name for field in declared if field.required and field.name not in mapped]
    if missing:
        raise JobError(
            f"the destination requires {', '.join(missing)}, and the map has no such field",
            location=job.document.locate(("map",)),
            hint=f"add `{missing[0]}:` with the source column that holds it",
        )


def _key(job: Job, columns: Iterable[Column]) -> str | None:
    names = [column.name for column in columns]
    if job.key is None:
        return next((column.name for column in columns if column.key), None)
    if job.key not in names:
        raise JobError(
            f"the key '{job.key}' is not among the mapped fields",
            location=job.document.locate(("key",)),
            field=job.key,
            known=names,
        )
    return job.key


def _failing(columns: Sequence[Column], key: str | None) -> list[Failing]:
    """Each check with the expression that is true where a row fails it."""
    failing: list[Failing] = []
    if key is None:
        failing.append((Check(SOURCE_KEY, "no key"), is_blank(nw.col(SOURCE_KEY))))
    for column in columns:
        value = nw.col(column.name)
        if column.name == key:
            blank = is_blank(value)
            if column.match is not None:
                blank = blank | is_blank(column.match)
            failing.append((Check(column.name, "missing"), blank))
        elif column.required:
            failing.append((Check(column.name, "missing"), value.is_null()))
        unfit = kinds.unfit(value, column.kind)
        if column.kind == "email":
            unfit = nw.col(_VERDICT + column.name) == kinds.UNFIT
        if unfit is not None:
            failing.append((Check(column.name, kinds.REASONS[column.kind]), unfit))
        if column.max_length is not None and column.on_too_long == "reject":
            reason = f"longer than {column.max_length} characters"
            failing.append((Check(column.name, reason), value.str.len_chars() > column.max_length))
        if column.accepts is not None:
            failing.append((Check(column.name, column.reason), ~column.accepts))
    return failing


def _waiting(columns: Sequence[Column]) -> list[Failing]:
    return [
        (Check(c.name, kinds.REASONS["email"]), nw.col(_VERDICT + c.name) == kinds.UNDECIDED)
        for c in columns
        if c.kind == "email"
    ]


def _first(failing: Sequence[Failing], start: int = 0) -> nw.Expr:
    """The number of the first check that fails, null where none does."""
    # Side by side, not one in the other: how deep an expression may be is limited elsewhere.
    numbers = [
        nw.when(fails).then(nw.lit(n, dtype=nw.Int16))
        for n, (_, fails) in enumerate(failing, start)
    ]
    return nw.coalesce(*numbers, nw.lit(None, dtype=nw.Int16))


def _columns(frame: nw.LazyFrame[Any]) -> list[str]:
    return frame.collect_schema().names()
