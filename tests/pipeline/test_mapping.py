"""What a job maps becomes the destination's columns, and every value that is no good is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import pyarrow as pa
import pytest
import yaml
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from exportkit.config.documents import read_document
from exportkit.config.job import read_job
from exportkit.engines.frames import FAULT, KEY, PREFER, SOURCE_KEY, SUPPRESSED, collect
from exportkit.errors import JobError
from exportkit.host.columns import tightened
from exportkit.pipeline.mapping import decide_addresses, identified, map_job, map_profiles
from exportkit.records import Catalogue, Column, FieldMapping, Target

from .tables import table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from exportkit.config.job import Job
    from exportkit.engines.duckdb import DuckEngine
    from exportkit.pipeline.handover import Mapping

    MapFields = Callable[[FieldMapping, Target], Sequence[Column]]
    Rows = list[dict[str, Any]]

NAMES = ("cf:tier", "a.b", 'a"b', "select", "größe", " ", "$1", "?", "x y", "Name", "名前")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


def job(folder: Path, fields: dict[str, Any], **keys: Any) -> Job:
    data = {
        "version": 1,
        "name": "vip",
        "source": "people",
        "segments": ["all"],
        "map": fields,
        **keys,
    }
    path = folder / "vip.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    return read_job(read_document(path, "jobs/vip.yaml"))


def as_they_are(mapping: FieldMapping, target: Target) -> Sequence[Column]:
    """Free field names, under the limits of the job: what the host does without `map_fields`."""
    return tightened([Column(name) for name in mapping.names], mapping)


def declaring(*columns: Column) -> MapFields:
    return lambda mapping, target: tightened(columns, mapping)


def mapped_job(
    subject: Job, map_fields: MapFields = as_they_are, declared: Sequence[Column] = ()
) -> Mapping:
    from pathlib import Path

    return map_job(subject, Target({}, Catalogue("mill"), Path()), declared, map_fields)


def mapped(
    engine: DuckEngine, subject: Job, rows: Rows, map_fields: MapFields = as_they_are
) -> list[dict[str, Any]]:
    """The rows with columns, key, and instead of a number "column: reason" under `fault`."""
    mapping = mapped_job(subject, map_fields)
    names = [rule.field for rule in subject.fields if rule.value is None]
    kinds = {**dict.fromkeys(names, pa.string()), SOURCE_KEY: pa.string()}
    known = [{SOURCE_KEY: str(number), **row} for number, row in enumerate(rows)]
    held = engine.hold(map_profiles(table(engine, kinds, known), subject, mapping))
    decided = identified(decide_addresses(held, mapping, engine), mapping)
    answer = sorted(collect(decided).to_pylist(), key=lambda row: (row[SOURCE_KEY] or "").zfill(9))
    for row in answer:
        fault = row.pop(FAULT)
        check = None if fault is None else mapping.checks[fault]
        row["fault"] = check and f"{check.column}: {check.reason}"
    return answer


def values(engine: DuckEngine, folder: Path, field: Any, texts: Sequence[str | None]) -> list[Any]:
    rows = [{"it": text} for text in texts]
    return [row["it"] for row in mapped(engine, job(folder, {"it": field}), rows)]


def faults(engine: DuckEngine, folder: Path, field: Any, texts: Sequence[str | None]) -> list[Any]:
    rows = [{"it": text} for text in texts]
    return [row["fault"] for row in mapped(engine, job(folder, {"it": field}), rows)]


def test_fields_may_have_any_name(engine: DuckEngine, folder: Path) -> None:
    subject = job(folder, {name: {"column": "c", "transform": "trim"} for name in NAMES})
    (row,) = mapped(engine, subject, [{name: f" {name}! " for name in NAMES}])
    assert {name: row[name] for name in NAMES} == {
        name: f"{name.strip()}!".strip() for name in NAMES
    }
    assert [name for name in row if name in NAMES] == list(NAMES)
    assert row["fault"] is None


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("c", [" Ann  X ", "0123", None, None, " "]),
        ({"column": "c", "transform": "trim"}, ["Ann  X", "0123", None, None, None]),
        ({"column": "c", "transform": ["collapse", "upper"]}, ["ANN X", "0123", None, None, None]),
        ({"column": "c", "transform": "digits"}, [None, "0123", None, None, None]),
        (
            {"column": "c", "transform": "trim", "default": "none"},
            ["Ann  X", "0123", "none", "none", "none"],
        ),
        ({"column": "c", "default": 0}, [" Ann  X ", "0123", "0", "0", " "]),
        ({"column": "c", "default": ""}, [" Ann  X ", "0123", None, None, " "]),
        ({"value": "same"}, ["same"] * 5),
        ({"value": 1.50}, ["1.5"] * 5),
        ({"value": " Same ", "transform": ["trim", "lower"]}, ["same"] * 5),
        ({"value": ""}, [None] * 5),
    ],
)
def test_values(engine: DuckEngine, folder: Path, field: Any, expected: list[Any]) -> None:
    assert values(engine, folder, field, [" Ann  X ", "0123", None, "", " "]) == expected


@pytest.mark.parametrize(
    ("rule", "texts", "expected"),
    [
        ({"required": True}, ["x", " ", "", None], [None, None, "missing", "missing"]),
        ({"kind": "number"}, ["5e5", "x", None], [None, "not a number", None]),
        (
            {"kind": "date"},
            ["2024-02-29", "2023-02-29"],
            [None, "not a date of the form YYYY-MM-DD"],
        ),
        ({"kind": "phone"}, ["+30 210 123", "call me"], [None, "not a phone number"]),
        (
            {"kind": "email"},
            ["a@b.co", "a@b", "é@b.co", "a@b.test", None],
            [None, "not an e-mail address", None, "not an e-mail address", None],
        ),
        (
            {"max_length": 2},
            ["ab", "éé", "abc", "😀😀"],
            [None, None, "longer than 2 characters", None],
        ),
        ({"max_length": 2, "on_too_long": "truncate"}, ["abc", None], [None, None]),
        (
            {"max_length": 2, "on_too_long": "truncate", "kind": "number"},
            ["123", "x"],
            ["longer than 2 characters", "not a number"],
        ),
    ],
)
def test_checks(
    engine: DuckEngine, folder: Path, rule: Any, texts: list[Any], expected: list[Any]
) -> None:
    found = faults(engine, folder, {"column": "c", **rule}, texts)
    assert found == [reason and f"it: {reason}" for reason in expected]


def test_what_is_too_long_is_cut_by_characters(engine: DuckEngine, folder: Path) -> None:
    rule = {"column": "c", "max_length": 3, "on_too_long": "truncate"}
    assert values(engine, folder, rule, ["abcdef", "éèêë", "😀😀😀😀", "ab"]) == [
        "abc",
        "éèê",
        "😀😀😀",
        "ab",
    ]


def test_the_job_says_what_becomes_of_too_long_text(engine: DuckEngine, folder: Path) -> None:
    fields = {
        "key": {"column": "c", "max_length": 3},
        "text": {"column": "c", "max_length": 3},
        "strict": {"column": "c", "max_length": 3, "on_too_long": "reject"},
    }
    subject = job(folder, fields, key="key", on_too_long="truncate")
    columns = {column.name: column.on_too_long for column in mapped_job(subject).columns}
    assert columns == {"key": "reject", "text": "truncate", "strict": "reject"}
    rows = [{"key": "k", "text": "abcd", "strict": "x"}, {"key": "keys", "text": "", "strict": ""}]
    first, second = mapped(engine, subject, rows)
    assert (first["text"], first["fault"]) == ("abc", None)
    assert second["fault"] == "key: longer than 3 characters"


@pytest.mark.parametrize("text", [None, "", " ", "\u00a0\u2003"])
def test_a_blank_key_is_a_rejection(engine: DuckEngine, folder: Path, text: str | None) -> None:
    subject = job(folder, {"it": "c"}, key="it")
    assert mapped(engine, subject, [{"it": text}])[0]["fault"] == "it: missing"
    unseen = mapped(engine, job(folder, {"it": "c"}), [{"it": "x", SOURCE_KEY: text}])
    assert unseen[0]["fault"] == f"{SOURCE_KEY}: no key"


def test_the_key_is_the_job_s_then_the_destination_s_then_the_source_s(
    engine: DuckEngine, folder: Path
) -> None:
    fields, rows = {"a": "c", "b": "c"}, [{"a": "x", "b": "y", SOURCE_KEY: "7"}]
    declared = declaring(Column("a"), Column("b", key=True))
    for subject, map_fields, key in [
        (job(folder, fields, key="a"), declared, "x"),
        (job(folder, fields), declared, "y"),
        (job(folder, fields), as_they_are, "7"),
    ]:
        assert mapped(engine, subject, rows, map_fields)[0][KEY] == key
        columns = mapped_job(subject, map_fields).columns
        assert [column.name for column in columns if column.required] == [
            name for name, value in rows[0].items() if value == key and name in fields
        ]


EMAIL = Column("email", kind="email", key=True, match=nw.col("email").str.to_lowercase())


def test_a_match_is_the_key_and_what_is_sent_keeps_its_spelling(
    engine: DuckEngine, folder: Path
) -> None:
    rows: Rows = [{"email": "Ann@Example.COM"}, {"email": "É@b.co"}, {"email": None}]
    found = mapped(engine, job(folder, {"email": "c"}), rows, declaring(EMAIL))
    assert [(row[KEY], row["email"]) for row in found] == [
        ("ann@example.com", "Ann@Example.COM"),
        ("é@b.co", "É@b.co"),
        (None, None),
    ]
    assert [row["fault"] for row in found] == [None, None, "email: missing"]


@pytest.mark.parametrize(
    "common", [nw.col("it").str.slice(1, 9), nw.when(nw.col("it") != "x").then("it")]
)
def test_a_key_of_which_nothing_is_left_to_match_is_missing(
    engine: DuckEngine, folder: Path, common: nw.Expr
) -> None:
    declared = declaring(Column("it", key=True, match=common))
    rows: Rows = [{"it": "xy"}, {"it": "x"}, {"it": "x"}]
    found = mapped(engine, job(folder, {"it": "c"}), rows, declared)
    assert [row["fault"] for row in found] == [None, "it: missing", "it: missing"]


def test_columns_are_what_the_plugin_makes_of_fields(engine: DuckEngine, folder: Path) -> None:
    first, last = nw.col("first"), nw.col("last")
    declared = declaring(
        Column("name", nw.concat_str([first, last], separator=" "), max_length=6),
        Column("month", nw.col("born").str.slice(5, 2), required=True),
    )
    rows: Rows = [
        {"first": "A", "last": "B", "born": "2024-02-29"},
        {"first": "Al", "last": "Best", "born": "2024-02-29"},
        {"first": "A", "last": None, "born": "2024"},
    ]
    subject = job(folder, {"first": "c", "last": "c", "born": "c"})
    found = mapped(engine, subject, rows, declared)
    assert [(row["name"], row["month"], row["fault"]) for row in found] == [
        ("A B", "02", None),
        ("Al Best", "02", "name: longer than 6 characters"),
        (None, None, "month: missing"),
    ]
    assert "first" not in found[0]


def test_a_column_accepts_what_its_plugin_says(engine: DuckEngine, folder: Path) -> None:
    day, month = nw.col("day"), nw.col("month")
    declared = declaring(
        Column("month", nw.col("born").str.slice(5, 2), accepts=month <= nw.lit("12")),
        Column("day", kind="number", accepts=(day == "1") | (month == "02"), reason="no day"),
    )
    rows: Rows = [
        {"born": "2024-02-29", "day": "2"},
        {"born": "2024-13-29", "day": "1"},
        {"born": "2024-12-29", "day": "2"},
        {"born": "2024-12-29", "day": "x"},
        {"born": None, "day": None},
    ]
    found = mapped(engine, job(folder, {"born": "c", "day": "c"}), rows, declared)
    assert [row["fault"] for row in found] == [
        None,
        "month: not accepted by the destination",
        "day: no day",
        "day: not a number",
        None,
    ]
    assert [row["month"] for row in found] == ["02", "13", "12", "12", None]


def test_what_is_carried_along(engine: DuckEngine, folder: Path) -> None:
    subject = job(folder, {"it": "c"})
    kinds = {
        "it": pa.string(),
        SOURCE_KEY: pa.string(),
        PREFER: pa.int64(),
        SUPPRESSED: pa.bool_(),
    }
    rows = [{"it": "x", SOURCE_KEY: "1", PREFER: 5, SUPPRESSED: True}]
    (row,) = collect(
        map_profiles(table(engine, kinds, rows), subject, mapped_job(subject))
    ).to_pylist()
    assert row == {**rows[0], FAULT: None}


TEXTS = st.sampled_from(
    [
        None,
        "",
        " ",
        "a@b.co",
        "é@b.co",
        "a@b.test",
        "A@B.CO",
        "a@b",
        "x",
        "12",
        "2024-02-29",
        "abcdef",
    ]
)


def is_address(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def model_faults(row: dict[str, str | None]) -> set[str]:
    """Each reason why this row cannot be delivered, in plain Python."""
    reasons = set()
    key, first, second, number = (row[name] or None for name in ("key", "to", "cc", "number"))
    if not (key or "").strip():
        reasons.add("key: missing")
    for name, text in (("to", first), ("cc", second)):
        if text is not None and not is_address(text):
            reasons.add(f"{name}: not an e-mail address")
    if number is None:
        reasons.add("number: missing")
    elif not number.isdigit():
        reasons.add("number: not a number")
    if number is not None and len(number) > 3:
        reasons.add("number: longer than 3 characters")
    return reasons


@given(
    st.lists(
        st.fixed_dictionaries(dict.fromkeys(("key", "to", "cc", "number"), TEXTS)), min_size=20
    )
)
@settings(max_examples=25, deadline=None)
def test_each_row_has_a_reason_or_none(engine: DuckEngine, folder: Path, rows: Rows) -> None:
    email, number = {"kind": "email"}, {"kind": "number", "required": True, "max_length": 3}
    fields = {"key": "c", "to": {"column": "c", **email}, "cc": {"column": "c", **email}}
    subject = job(folder, {**fields, "number": {"column": "c", **number}}, key="key")
    found = mapped(engine, subject, rows)
    assert len(found) == len(rows), "no row is lost on the way"
    for row, answer in zip(rows, found, strict=True):
        reasons = model_faults(row)
        assert answer["fault"] in (reasons or {None}), row
        assert {name: answer[name] for name in row} == {n: v or None for n, v in row.items()}


def test_a_good_address_hides_no_bad_one(engine: DuckEngine, folder: Path) -> None:
    fields = {name: {"column": "c", "kind": "email"} for name in ("to", "cc", "bcc")}
    good, bad = "é@b.co", "a@b.test"
    rows: Rows = [
        {"to": good, "cc": good, "bcc": bad},
        {"to": good, "cc": bad, "bcc": bad},
        {"to": good, "cc": good, "bcc": good},
    ]
    found = [row["fault"] for row in mapped(engine, job(folder, fields), rows)]
    assert found == ["bcc: not an e-mail address", "cc: not an e-mail address", None]


def refused(subject: Job, *arguments: Any) -> tuple[str, str, str | None]:
    with pytest.raises(JobError) as raised:
        mapped_job(subject, *arguments)
    return raised.value.message, str(raised.value.location), raised.value.hint


def test_a_required_field_has_to_be_mapped(folder: Path) -> None:
    declared = (Column("email", required=True), Column("name"), Column("zip", required=True))
    message, place, hint = refused(job(folder, {"name": "c"}), as_they_are, declared)
    assert message == "the destination requires email, zip, and the map has no such field"
    assert (place, hint) == (
        "jobs/vip.yaml:7:3",
        "add `email:` with the source column that holds it",
    )


def test_a_job_does_not_change_what_the_destination_declares(folder: Path) -> None:
    subject = job(folder, {"email": {"column": "c", "kind": "phone"}})
    message, place, _ = refused(subject, declaring(EMAIL))
    assert message == "the destination declares this field as email, the job as phone"
    assert place == "jobs/vip.yaml:9:11"


def test_a_key_that_the_plugin_takes_away(folder: Path) -> None:
    subject = job(folder, {"a": "c", "b": "c"}, key="a")
    message, place, _ = refused(subject, declaring(Column("b")))
    assert message == "the key 'a' is not among the mapped fields"
    assert place == "jobs/vip.yaml:9:6"


def test_a_job_tightens_and_never_loosens(folder: Path) -> None:
    declared = declaring(Column("a", required=True, max_length=9), Column("b", max_length=9))
    loose = {"column": "c", "required": False, "max_length": 99}
    tight = {"column": "c", "required": True, "max_length": 5}
    a, b = mapped_job(job(folder, {"a": loose, "b": tight}), declared).columns
    assert (a.required, a.max_length, b.required, b.max_length) == (True, 9, True, 5)
