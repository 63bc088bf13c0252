"""What a job may map, under which limits, and which values an import does not take."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pyarrow as pa
import pytest
import yaml
from exportkit_constant_contact.custom_fields import custom_columns, facts
from exportkit_constant_contact.fields import FIELDS, map_fields, needs_json, widest_name, wire_name

from exportkit import Catalogue, FieldMapping, JobError, MappedField, Target
from exportkit.config.documents import read_document
from exportkit.config.job import read_job
from exportkit.engines.desk import open_desk
from exportkit.engines.duckdb import DuckEngine
from exportkit.engines.frames import FAULT, KEY, SOURCE_KEY, collect
from exportkit.engines.jail import close_jail, open_connection
from exportkit.errors import SourceError
from exportkit.host.answers import catalogue as checked_catalogue
from exportkit.host.answers import columns as checked_columns
from exportkit.host.columns import tightened
from exportkit.pipeline.mapping import decide_addresses, identified, map_job, map_profiles
from exportkit.state.catalogues import recall, remember

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exportkit import Column
    from exportkit.config.job import Job

FACTS = Path(__file__).parents[4] / "shared" / "constant_contact" / "openapi-facts.json"

ACCOUNT: list[dict[str, Any]] = [
    {"name": "loyalty_tier", "label": "Loyalty Tier", "type": "single_select"},
    {
        "name": "tier2",
        "label": "Tier 2",
        "type": "single_select",
        "choices": ["gold", "blue, dark"],
    },
    {"name": "interests", "label": "Interests", "type": "multi_select"},
    {"name": "notes", "label": "Notes", "type": "text_area"},
    {"name": "plain", "label": "Plain", "type": "string"},
    {"name": "score", "label": "Score", "type": "number"},
    {
        "name": "age",
        "label": "Age",
        "type": "number",
        "metadata": {"integer": True, "allow_negative": False},
    },
    {"name": "spent", "label": "Spent", "type": "currency", "metadata": {"decimal_places": 2}},
    {"name": "member", "label": "Member?", "type": "boolean"},
    {"name": "joined", "label": "Joined", "type": "date", "version": 2},
    {"name": "old_date", "label": "Old date", "type": "date", "version": 1},
    {"name": "seen", "label": "Seen", "type": "datetime"},
    {"name": "Twin", "label": "First twin", "type": "string"},
    {"name": "twin", "label": "Second twin", "type": "string"},
]


def target(known: Sequence[dict[str, Any]] | None = ACCOUNT, **options: Any) -> Target:
    details = {} if known is None else {"custom_fields": list(known)}
    return Target(options, Catalogue("News", details=details), Path())


def columns(*names: str | MappedField, key: str | None = None, at: Target | None = None) -> Any:
    fields = [name if isinstance(name, MappedField) else MappedField(name) for name in names]
    return checked_columns(map_fields(FieldMapping(tuple(fields), key), at or target()))


def refusal(*names: str | MappedField, **context: Any) -> JobError:
    with pytest.raises(JobError) as raised:
        columns(*names, **context)
    return raised.value


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    with closing(open_connection(tmp_path_factory.mktemp("spill"))) as connection:
        close_jail(connection, [])
        yield DuckEngine(lambda: connection, lambda error: SourceError(type(error).__name__))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


def job(folder: Path, fields: dict[str, Any], **keys: Any) -> Job:
    head = {"version": 1, "name": "vip", "source": "people", "segments": ["all"]}
    path = folder / "vip.yaml"
    path.write_text(yaml.safe_dump({**head, "map": fields, **keys}, sort_keys=False))
    return read_job(read_document(path, "jobs/vip.yaml"))


def mapped(
    engine: DuckEngine, subject: Job, rows: Sequence[dict[str, str | None]]
) -> list[dict[str, Any]]:
    """The rows as they are delivered, with "column: reason" under `fault` where one is not."""

    def answer(asked: FieldMapping, at: Target) -> Sequence[Column]:
        return tightened(checked_columns(map_fields(asked, at)), asked)

    mapping = map_job(subject, target(), FIELDS, answer)
    names = [*(rule.field for rule in subject.fields), SOURCE_KEY]
    known = [{SOURCE_KEY: str(number), **row} for number, row in enumerate(rows)]
    schema = pa.schema({name: pa.string() for name in names})
    frame = engine.table(pa.Table.from_pylist(known, schema))
    held = engine.hold(map_profiles(frame, subject, mapping))
    decided = identified(decide_addresses(held, mapping, engine), mapping)
    found: list[dict[str, Any]] = collect(decided).to_pylist()
    found.sort(key=lambda row: int(row[SOURCE_KEY]))
    for row in found:
        fault = row.pop(FAULT)
        check = None if fault is None else mapping.checks[fault]
        row["fault"] = check and f"{check.column}: {check.reason}"
    return found


def outcomes(
    engine: DuckEngine, folder: Path, field: str, values: Sequence[str | None], **rule: Any
) -> tuple[list[Any], list[Any]]:
    """What is sent of each value in this field, and why it is not."""
    fields: dict[str, Any] = {"email": "email", field: {"column": "it", **rule}}
    rows = [{"email": f"p{n}@b.co", field: value} for n, value in enumerate(values)]
    found = mapped(engine, job(folder, fields), rows)
    return [row.get(field) for row in found], [row["fault"] for row in found]


@pytest.mark.parametrize(
    ("field", "good", "bad", "reason"),
    [
        (
            "anniversary",
            ["2024-02-29", "2/29/2024", "02-29-2024", "2024/2/9", "12/31/1999", None],
            ["2023-02-29", "2024-13-01", "29-02-2024", "1900-02-29", "24-02-29", "2/9-2024", "x"],
            "not a date as documented",
        ),
        (
            "phone",
            ["212-555-0123", "+1 (212) 555-0123", "1 212 555 0123", "5550123", "2125550123 x12"],
            ["+30 210 1234567", "0030 210 1234567", "+44 (0) 20 7946 0958", "44 2079 460958"],
            "not a number of the US or Canada, and imports take no other",
        ),
        ("work_phone", ["2125550123"], ["call me", "1"], "not a phone number"),
        (
            "sms_number",
            ["2125550123", "212-555-0123"],
            ["+12125550123", "212 555 0123", "12125550123"],
            "not 10 digits, nor 3, 3 and 4 with dashes",
        ),
        (
            "sms_consent_date",
            ["2024-02-29", "2/9/2024", "2024-02-29 10:30", "2024-02-29T10:30"],
            ["2023-02-29", "2024-02-29T10:30:00Z", "2024-02-29 25:00", "yes"],
            "not a date, with a time or without, of up to 16 characters",
        ),
        ("first_name", ["é" * 50, " "], ["x" * 51], "longer than 50 characters"),
        ("home_country", ["Greece"], ["x" * 51], "longer than 50 characters"),
        ("cf:score", ["1", "-1.25", "007"], ["1e5", "+1", ".5", "1."], "not a plain number"),
        ("cf:score", ["1"], ["one", "1,5"], "not a number"),
        ("cf:Age", ["0", "41"], ["-1", "1.0"], "not a whole number from 0 up"),
        ("cf:spent", ["1", "-1.25"], ["1.255"], "not a number of 2 places"),
        ("cf:member", ["true", "false"], ["yes", "1", "t"], "not true or false"),
        ("cf:joined", ["2024-02-29"], ["2/29/2024"], "not a date of the form YYYY-MM-DD"),
        ("cf:old_date", ["2024-02-29", "2/29/2024"], ["30.2.2024"], "not a date as documented"),
        (
            "cf:seen",
            ["2024-02-29T10:00:00Z", "2024-02-29T10:00", "2024-02-29T10:00:00.123+02:00"],
            ["2024-02-29", "2023-02-29T10:00:00Z", "2024-02-29T24:00:00Z"],
            "not a date and time of the form YYYY-MM-DDTHH:MM:SSZ",
        ),
        (
            "cf:Tier 2",
            ["gold", "blue, dark"],
            ["Gold", "red"],
            "not one of the choices of this field",
        ),
        ("cf:LOYALTY TIER", ["anything"], ["x" * 256], "longer than 255 characters"),
        ("cf:interests", ["a, b; c"], ["x" * 256], "longer than 255 characters"),
    ],
)
def test_values(
    engine: DuckEngine, folder: Path, field: str, good: list[Any], bad: list[Any], reason: str
) -> None:
    values, faults = outcomes(engine, folder, field, [*good, *bad])
    assert faults == [None] * len(good) + [f"{field}: {reason}"] * len(bad)
    assert values[: len(good)] == good, "what is accepted is sent as it is"


@pytest.mark.parametrize(
    ("field", "value", "sent"),
    [
        ("first_name", "Ann\r\nMarie\u2028X", "Ann Marie X"),
        ("street", "1\n\n2", "1 2"),
        ("cf:notes", "a\nb", "a b"),
        ("cf:member", "TRUE", "true"),
        ("cf:seen", "2024-02-29 10:00:00", "2024-02-29T10:00:00"),
        ("last_name", "", None),
    ],
)
def test_values_that_are_written_otherwise(
    engine: DuckEngine, folder: Path, field: str, value: str, sent: str | None
) -> None:
    assert outcomes(engine, folder, field, [value]) == ([sent], [None])


def test_line_breaks_stay_out_of_every_import(engine: DuckEngine, folder: Path) -> None:
    """Either as a blank or by a rejection: a line of an import is a row."""
    customs = [f"cf:{field['name']}" for field in ACCOUNT if field["name"] != "twin"]
    declared = [c.name for c in FIELDS if c.name != "email" and "birthday_" not in c.name]
    home = [name for name in declared if name.startswith("home_")]
    phones = [name for name in declared if name.endswith("_phone") and name not in home]
    others = [name for name in declared if name not in (*home, *phones)]
    for names in (home, phones, others, customs):
        rows: list[dict[str, str | None]] = [{"email": "a@b.co", name: "1\n2"} for name in names]
        found = mapped(engine, job(folder, {"email": "c", **dict.fromkeys(names, "d")}), rows)
        for name, row in zip(names, found, strict=True):
            sent = "".join(str(value) for key, value in row.items() if key != "fault")
            assert row["fault"] or "\n" not in sent, name
    (row,) = mapped(engine, job(folder, {"email": "c"}), [{"email": "a\n@b.co"}])
    assert row["fault"]


def test_an_address_is_the_key_whatever_its_case(engine: DuckEngine, folder: Path) -> None:
    long = "a" * 45 + "@b.co"
    rows: list[dict[str, str | None]] = [
        {"email": text} for text in ("Ann@B.CO", long, "a" + long, None)
    ]
    found = mapped(engine, job(folder, {"email": "c"}), rows)
    assert [row["fault"] for row in found] == [
        None,
        None,
        "email: longer than 50 characters",
        "email: missing",
    ]
    assert (found[0]["email"], found[0][KEY]) == ("Ann@B.CO", "ann@b.co")


BIRTHDAYS = [
    ("1990-05-04", "5", "4"),
    ("05-04", "5", "4"),
    ("12-31", "12", "31"),
    ("0000-02-29", "2", "29"),
    (None, None, None),
]


def test_a_birthday_is_a_month_and_a_day(engine: DuckEngine, folder: Path) -> None:
    subject = job(folder, {"birthday": "b", "email": "c"})
    rows = [{"email": "a@b.co", "birthday": text} for text, _, _ in BIRTHDAYS]
    found = mapped(engine, subject, rows)
    assert [(row["birthday_month"], row["birthday_day"], row["fault"]) for row in found] == [
        (month, day, None) for _, month, day in BIRTHDAYS
    ]
    assert "birthday" not in found[0]


def test_what_is_no_birthday_is_a_rejection(engine: DuckEngine, folder: Path) -> None:
    texts = ["1990-13-05", "1990-02-30", "4/5/1990", "5", "5-4", "05-04\n", "x", " "]
    rows: list[dict[str, str | None]]
    rows = [{"email": "a@b.co", "birthday": text} for text in texts]
    found = mapped(engine, job(folder, {"birthday": "b", "email": "c"}), rows)
    reason = "birthday_month: not a birthday: YYYY-MM-DD or MM-DD"
    assert [(row["fault"], row["birthday_month"]) for row in found] == [
        (reason, text) for text in texts
    ]


def test_a_job_can_tighten_a_birthday(engine: DuckEngine, folder: Path) -> None:
    rule = {"column": "b", "required": True, "kind": "date"}
    texts = ["1990-05-04", "05-04", None]
    rows = [{"email": "a@b.co", "birthday": text} for text in texts]
    found = mapped(engine, job(folder, {"birthday": rule, "email": "c"}), rows)
    assert [row["fault"] for row in found] == [
        None,
        "birthday_month: not a birthday: YYYY-MM-DD",
        "birthday_month: missing",
    ]


@pytest.mark.parametrize("names", [("birthday_month", "birthday_day")[::step] for step in (1, -1)])
def test_month_and_day_from_two_fields(
    engine: DuckEngine, folder: Path, names: tuple[str, str]
) -> None:
    pairs = [("05", "4"), ("2", "29"), (None, None), ("13", "4"), ("2", "30"), ("2", None)]
    pairs += [(None, "4"), ("x", "y"), ("2", "0")]
    rows = [{"email": "a@b.co", "birthday_month": m, "birthday_day": d} for m, d in pairs]
    found = mapped(engine, job(folder, {"email": "c", **dict.fromkeys(names, "d")}), rows)
    sent = [(row["birthday_month"], row["birthday_day"]) for row in found]
    assert sent[:3] == [("5", "4"), ("2", "29"), (None, None)]
    assert [row["fault"] is None for row in found] == [True] * 3 + [False] * 6
    assert {row["fault"] for row in found[3:]} <= {
        "birthday_month: not a month from 1 to 12",
        "birthday_day: month and day do not make a birthday",
    }


def test_too_long_text_may_be_cut_and_what_has_a_form_is_not(
    engine: DuckEngine, folder: Path
) -> None:
    cut = {"on_too_long": "truncate"}
    assert outcomes(engine, folder, "city", ["x" * 51], **cut) == (["x" * 50], [None])
    for field in ("anniversary", "cf:joined", "cf:seen", "sms_consent_date", "cf:member"):
        _, (fault,) = outcomes(engine, folder, field, ["2024-02-29T10:00:00Zx"], **cut)
        assert fault, field


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("birthday_month",), "month and day of a birthday come together"),
        (("birthday", "birthday_day"), "the birthday is mapped twice"),
        (("street", "home_city"), "`street` and `home_city` are both the home address"),
        (("phone", "other_phone"), "`phone` and `other_phone` are both the other phone"),
        (
            ("phone", "home_phone", "work_phone", "mobile_phone"),
            "a contact has 3 phones at most",
        ),
        (("cf:age", "cf:Age "[:-1]), "'cf:age' and 'cf:Age' are the same custom field"),
        (
            ("cf:loyalty_tier", "cf:loyalty tier"),
            "'cf:loyalty_tier' and 'cf:loyalty tier' are the same custom field",
        ),
        (("cf:TWIN",), "the account has no custom field 'TWIN'"),
        (
            tuple(f"cf:{n}" for n in range(26)),
            "an import takes 25 custom fields, and the map has 26",
        ),
        (
            (MappedField("birthday", kind="phone"),),
            "a birthday is a date, not of kind phone",
        ),
    ],
)
def test_maps_that_no_import_can_be(names: tuple[Any, ...], message: str) -> None:
    error = refusal("email", *names)
    assert error.message == message
    assert error.field in [getattr(name, "name", name) for name in names]


def test_people_are_known_by_their_address() -> None:
    assert refusal("email", "phone", key="phone").field == "phone"
    assert columns("email", key="email")[0].key


def test_a_wrong_custom_field_is_told_the_right_ones() -> None:
    error = refusal("email", "cf:loyalty_teir")
    assert {"cf:loyalty_tier", "cf:Loyalty Tier"} <= set(error.known)
    assert error.hint is None, "the host finds the nearest"
    nothing = refusal("email", "cf:x", at=target([]))
    assert "create_custom_fields" in str(nothing.hint)


def test_names_that_nobody_knows_are_left_to_the_host() -> None:
    assert [column.name for column in columns("email", "frist_name")] == ["email"]


def test_before_the_account_was_seen_custom_fields_pass_as_text() -> None:
    _, column = columns("email", "cf:Whatever it is", at=target(None))
    assert (column.name, column.kind, column.max_length) == ("cf:Whatever it is", "text", 255)


def test_custom_fields_that_may_be_made() -> None:
    making = target(create_custom_fields=True)
    _, column = columns("email", "cf:New field", at=making)
    assert (column.description, column.max_length) == ("New field", 255)
    assert wire_name("cf:New field", ACCOUNT) is None
    assert len(widest_name("cf:New field", ACCOUNT)) == 203
    assert "1 to 50" in refusal("email", "cf:" + "x" * 51, at=making).message
    assert "1 to 50" in refusal("email", "cf: ", at=making).message


def test_names_on_the_wire() -> None:
    names = {
        "email": "email",
        "home_country": "home country",
        "cf:Loyalty Tier": "cf:loyalty_tier",
        "cf:loyalty tier": "cf:loyalty_tier",
        "cf:loyalty_tier": "cf:loyalty_tier",
        "cf:Twin": "cf:Twin",
        "cf:twin": "cf:twin",
        "cf:second twin": "cf:twin",
    }
    assert {name: wire_name(name, ACCOUNT) for name in names} == names
    assert {name: widest_name(name, ACCOUNT) for name in names} == names


def test_csv_carries_what_has_a_header() -> None:
    plain = ["email", "phone", "street2", "country", "birthday_day", "sms_number", "cf:x"]
    assert not needs_json(plain)
    for name in ("home_phone", "home_street", "home_country", "work_zip"):
        assert needs_json([*plain, name])


def test_the_account_s_fields_are_kept_for_offline_plans(tmp_path: Path) -> None:
    answer = {
        "custom_field_id": "6d3e",
        "name": "size",
        "label": "Size",
        "type": "single_select",
        "created_at": "2026-01-01T00:00:00Z",
        "metadata": None,
        "choices": [{"choice_id": "1", "choice_label": "S", "display_order": 1}],
    }
    kept = facts(answer)
    assert kept == {
        "custom_field_id": "6d3e",
        "name": "size",
        "label": "Size",
        "type": "single_select",
        "choices": ["S"],
    }
    assert facts({"name": "x", "type": "string"})["label"] == "x"
    known = [kept, *ACCOUNT]
    found = Catalogue("News", fields=custom_columns(known), details={"custom_fields": known})
    remember(tmp_path / "kept.json", checked_catalogue(found))
    again = recall(tmp_path / "kept.json")
    assert again == found
    (size,) = (column for column in again.fields if column.name == "cf:size")
    assert (size.description, size.max_length) == ("Size (single_select)", 255)


def test_what_is_offered_is_what_is_answered() -> None:
    """The same kind and length, and nothing offered that a map cannot have."""
    for offered in custom_columns(ACCOUNT):
        _, column = columns("email", offered.name)
        assert (column.kind, column.max_length) == (offered.kind, offered.max_length)


def test_eager_frames_agree(engine: DuckEngine, folder: Path) -> None:
    """The expressions answer the same on Arrow as on the default engine."""
    rows = [
        {"email": "A@b.co", "birthday": "1990-05-04", "first_name": "A\nB", "cf:seen": None},
        {"email": "b@b.co", "birthday": "5/4", "first_name": None, "cf:seen": "2024-01-01 10:00"},
    ]
    names = list(rows[0])
    found = mapped(engine, job(folder, dict.fromkeys(names, "c")), rows)
    frame = nw.from_native(pa.Table.from_pylist(rows), eager_only=True)
    answered = columns(*names)
    shown = frame.select(
        (nw.col(c.name) if c.expression is None else c.expression).alias(c.name) for c in answered
    )
    assert shown.rows(named=True) == [{c.name: row[c.name] for c in answered} for row in found]


@pytest.mark.skipif(not FACTS.exists(), reason="the service's published facts are not here")
def test_the_fields_are_those_of_the_service() -> None:
    facts = json.loads(FACTS.read_text(encoding="utf-8"))
    published = facts["definitions"]["JsonImportContact"]["properties"]
    declared = {wire_name(column.name, ()): column for column in FIELDS}
    assert declared.keys() - {"birthday"} == published.keys() - {"cf:custom_field_name"}
    for name, column in declared.items():
        most = published.get(name, {}).get("maxLength")
        if column.kind == "phone":
            assert (column.max_length or 0) <= most, "a contact holds less than an import takes"
        elif most is not None and name != "sms_consent_date":
            assert column.max_length == most, name
    assert custom_columns([{"name": "x", "type": "string"}])[0].max_length == 255


def test_the_desk_can_compute_them_too(folder: Path, tmp_path: Path) -> None:
    with open_desk(tmp_path) as desk:
        frame = desk.table(pa.table({"email": ["A@b.co"], "birthday": ["02-29"]}))
        month, day, email = columns("birthday", "email")
        assert month.expression is not None
        assert day.expression is not None
        shown = collect(frame.select(month.expression.alias("m"), day.expression.alias("d")))
        assert shown.to_pylist() == [{"m": "2", "d": "29"}]
        assert email.match is not None
