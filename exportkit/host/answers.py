"""Is this a valid answer to that hook? Each function answers it, made uniform, or says why not.

`WrongAnswer` texts complete the sentence "PLUGIN: HOOK ...". They name types, options and counts,
never a key or a value: those are people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from exportkit.config.names import same_but_for_case, unusable
from exportkit.config.quick import surely_a_schema
from exportkit.host.containment import WrongAnswer
from exportkit.host.inspection import REQUIRED, SPECS
from exportkit.records import (
    KINDS,
    MODES,
    Batch,
    Catalogue,
    Column,
    Delivery,
    Description,
    Finding,
    Limits,
    Rejection,
    Settlement,
)

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
EXPRESSIONS = ("expression", "match", "accepts")
TOO_LONG = ("reject", "truncate")
SETTLED = ("pending", "done", "failed")
FOUND = ("taken", "not_taken", "unknown", "repeat")


def description(answer: object) -> Description:
    """A `Description` whose schemas, fields, modes and limits can be relied on."""
    found = _a(Description, answer)
    _text(found.title, "title")
    _string(found.description, "description")
    modes: tuple[Any, ...] = _several(str, found.modes, "modes")
    if not modes or len(set(modes)) < len(modes) or not set(modes) <= set(MODES):
        raise WrongAnswer(f"has the modes {modes!r}: list some of {', '.join(MODES)}, each once")
    if found.whole and modes != ("full",):
        raise WrongAnswer("says that the target is replaced as a whole: its only mode is 'full'")
    for name in ("third_party", "whole"):
        if not isinstance(getattr(found, name), bool):
            raise WrongAnswer(f"has a {name} that is not True or False")
    _limits(found.limits)
    without: tuple[str, ...] = _several(str, found.without, "hooks to be without")
    if strange := [hook for hook in without if hook not in SPECS or hook in REQUIRED]:
        raise WrongAnswer(f"wants to be without {strange[0]!r}: no hook, or one that it needs")
    for name in ("connection_options", "job_options"):
        _schema(getattr(found, name), name)
    fields = columns(found.fields, "fields")
    return replace(found, modes=modes, fields=fields, without=without)


def columns(answer: object, what: str = "columns") -> tuple[Column, ...]:
    """Columns with distinct, usable names and at most one key."""
    found = _several(Column, answer, what)
    seen: set[str] = set()
    for column in found:
        _column(column, what)
        if column.name in seen:
            raise WrongAnswer(f"has {column.name!r} twice in its {what}")
        seen.add(column.name)
    for name, earlier in same_but_for_case(column.name for column in found):
        raise WrongAnswer(f"has {earlier!r} and {name!r} in its {what}, which differ only in case")
    keys = [column.name for column in found if column.key]
    if len(keys) > 1:
        raise WrongAnswer(f"has more than one key in its {what}: {', '.join(keys)}")
    return found


def catalogue(answer: object) -> Catalogue:
    """A `Catalogue` that can be kept as JSON for offline plans."""
    found = _a(Catalogue, answer)
    _text(found.name, "name")
    _string(found.identity, "identity")
    if found.members is not None:
        _whole_number(found.members, "members", least=0)
    extra = columns(found.fields, "fields")
    if any(getattr(column, name) is not None for column in extra for name in EXPRESSIONS):
        raise WrongAnswer("has fields with expressions, which cannot be kept for offline plans")
    if not isinstance(found.details, Mapping) or not _is_json(dict(found.details)):
        raise WrongAnswer("has details that are not plain JSON values")
    return replace(found, fields=extra)


def sizes(answer: object, rows: int) -> pa.Array:
    """One 64-bit count of bytes a row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(answer, pa.ChunkedArray):
        answer = answer.combine_chunks()
    if not isinstance(answer, pa.Array) or not pa.types.is_integer(answer.type):
        found = f"an array of {answer.type}" if isinstance(answer, pa.Array) else _name(answer)
        raise WrongAnswer(f"must answer an Arrow array of integers, not {found}")
    if len(answer) != rows:
        raise WrongAnswer(f"answered {len(answer)} sizes for {rows} rows")
    if answer.null_count:
        raise WrongAnswer(f"answered no size for {answer.null_count} of {rows} rows")
    if rows and pc.min(answer).as_py() < 0:
        raise WrongAnswer("answered a negative size")
    return answer.cast(pa.int64())


def delivery(answer: object, batch: Batch, *, can_settle: bool) -> Delivery:
    """A `Delivery` whose rejections are rows of the batch, each once."""
    found = _a(Delivery, answer)
    if found.receipt is not None:
        _text(found.receipt, "receipt")
        if not can_settle:
            raise WrongAnswer("answered with a receipt, but there is no hook 'settle' to redeem it")
    rejections = _rejections(found.rejections, most=len(batch))
    if rejections:
        import pyarrow as pa
        import pyarrow.compute as pc

        keys = pa.array([rejection.key for rejection in rejections], batch.keys.type)
        strangers = len(keys) - pc.sum(pc.is_in(keys, value_set=batch.keys)).as_py()
        if strangers:
            raise WrongAnswer(f"rejected {strangers} keys that are not in the batch")
    return replace(found, rejections=rejections)


def settlements(answer: object, receipts: Sequence[str]) -> tuple[Settlement, ...]:
    """Exactly one `Settlement` a receipt, in the order of the receipts."""
    found = _several(Settlement, answer, "settlements", most=len(receipts))
    asked = set(receipts)
    by_receipt: dict[str, Settlement] = {}
    for settlement in found:
        if settlement.receipt not in asked:
            raise WrongAnswer("settled a receipt that it was not asked about")
        if settlement.receipt in by_receipt:
            raise WrongAnswer("settled a receipt twice")
        _one_of(settlement.state, SETTLED, "state")
        _string(settlement.reason, "reason")
        by_receipt[settlement.receipt] = replace(
            settlement, rejections=_rejections(settlement.rejections)
        )
    missing = [receipt for receipt in receipts if receipt not in by_receipt]
    if missing:
        raise WrongAnswer(f"left {len(missing)} of {len(receipts)} receipts without an answer")
    return tuple(by_receipt[receipt] for receipt in receipts)


def finding(answer: object, batch: Batch, *, can_settle: bool) -> Finding:
    """A `Finding`, its delivery checked as that of `push`."""
    found = _a(Finding, answer)
    _one_of(found.state, FOUND, "state")
    return replace(found, delivery=delivery(found.delivery, batch, can_settle=can_settle))


def credentials(answer: object) -> dict[str, Any]:
    """Credentials that a store can keep: names to plain JSON values."""
    if not isinstance(answer, Mapping) or not _is_json(dict(answer)):
        raise WrongAnswer("must answer a dict of plain JSON values")
    return dict(answer)


def nothing(answer: object) -> None:
    """What commits or signs out has nothing to say: any answer is dropped."""
    del answer


def _schema(schema: object, name: str) -> None:
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise WrongAnswer(f"has {name} that are no JSON Schema of an object")
    if not _is_json(dict(schema)):
        raise WrongAnswer(f"has {name} that are not plain JSON values")
    if surely_a_schema(dict(schema)):
        return
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        at = "/".join(str(step) for step in error.absolute_path)
        raise WrongAnswer(f"has a wrong JSON Schema in {name}, at {at!r}") from None


def _limits(limits: object) -> None:
    found = _a(Limits, limits, "limits")
    for limit in fields(Limits):
        value = getattr(found, limit.name)
        if value is None and limit.name != "batch_rows":
            continue
        if limit.name == "calls_per_second":
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise WrongAnswer("has a limit calls_per_second that is not above 0")
        else:
            _whole_number(value, f"limit {limit.name}", least=1)


def _column(column: Column, what: str) -> None:
    _text(column.name, f"name in its {what}")
    if reason := unusable(column.name):
        raise WrongAnswer(f"has {column.name!r} in its {what}: {reason}")
    at = f"of {column.name!r}"
    if column.kind not in KINDS:
        raise WrongAnswer(f"has the kind {column.kind!r} {at}: one of {', '.join(KINDS)}")
    _one_of(column.on_too_long, TOO_LONG, f"on_too_long {at}")
    if column.max_length is not None:
        _whole_number(column.max_length, f"max_length {at}", least=1)
    _text(column.reason, f"reason {at}")
    for name in EXPRESSIONS:
        expression = getattr(column, name)
        if expression is not None:
            import narwhals as nw

            if not isinstance(expression, nw.Expr):
                raise WrongAnswer(f"has {_name(expression)} as {name} {at}, not a narwhals one")


def _rejections(answer: object, most: int | None = None) -> tuple[Rejection, ...]:
    found = _several(Rejection, answer, "rejections", most=most)
    if not found:
        return found
    for rejection in found:
        if not isinstance(rejection.key, str):
            raise WrongAnswer("rejected a key that is no text: answer entries of batch.keys")
        if not isinstance(rejection.reason, str) or not rejection.reason.strip():
            raise WrongAnswer("rejected a row without a reason")
        if rejection.column is not None:
            _string(rejection.column, "column in a rejection")
    if len({rejection.key for rejection in found}) < len(found):
        raise WrongAnswer("rejected a key twice")
    return found


def _a(expected: type[T], answer: object, what: str = "") -> T:
    if not isinstance(answer, expected):
        must = (
            f"must have {expected.__name__} as {what}" if what else f"must answer {_an(expected)}"
        )
        raise WrongAnswer(f"{must}, not {_name(answer)}")
    return answer


def _several(
    expected: type[T], answer: object, what: str, most: int | None = None
) -> tuple[T, ...]:
    """The answer as a tuple. It may be lazy, even without an end: of `most`, one more is enough to
    find that one is a stranger or comes twice."""
    if isinstance(answer, str | bytes | Mapping) or not isinstance(answer, Iterable):
        raise WrongAnswer(f"must answer several {expected.__name__} as {what}, not {_name(answer)}")
    found = tuple(answer if most is None else islice(answer, most + 1))
    for item in found:
        if not isinstance(item, expected):
            raise WrongAnswer(f"has {_name(item)} among its {what}, not {_an(expected)}")
    return found


def _one_of(value: object, allowed: tuple[str, ...], name: str) -> None:
    if value not in allowed:
        raise WrongAnswer(f"has a wrong {name}: one of {', '.join(allowed)}")


def _text(value: object, name: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise WrongAnswer(f"has no {name}")


def _string(value: object, name: str) -> None:
    if not isinstance(value, str):
        raise WrongAnswer(f"has a {name} that is no text")


def _whole_number(value: object, name: str, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise WrongAnswer(f"has a {name} that is no whole number from {least} up")


def _is_json(value: dict[Any, Any]) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _name(answer: object) -> str:
    return "None" if answer is None else _an(type(answer))


def _an(kind: type) -> str:
    return f"{'an' if kind.__name__[0].lower() in 'aeiou' else 'a'} {kind.__name__}"
