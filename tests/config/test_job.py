from __future__ import annotations

from datetime import timedelta

import pytest

from exportkit.config.job import (
    Bound,
    FieldRule,
    Job,
    JobLimits,
    Notify,
    Prefer,
    Transform,
    check_job,
    read_job,
)
from exportkit.config.retention import Retention
from exportkit.config.schemas import check

WHOLE = """\
version: 1
name: vip-newsletter
description: Every morning
source: customers
segments: [vip, 2024]
suppress: [unsubscribed]
connection: marketing
destination:
  list_id: 04fe9a97-a579-43c5-bb1a-58ed29bf0a6a
map:
  email: email
  first_name: {column: first_name, transform: [trim, title]}
  "cf:tier": {column: tier, default: none}
  "cf:origin": {value: exportkit}
  born: {column: birthday, transform: {date: "%d/%m/%Y"}, kind: date, required: true}
  total: {sql: "price * 2", kind: number, max_length: 1e1, on_too_long: truncate}
  code: {column: 1.50, transform: digits, default: 0123}
  1.50: yes
key: email
mode: mirror
on_duplicate: {prefer: updated_at, order: ascending}
on_too_long: truncate
schedule: "0 6 * * 1-5"
timezone: Europe/Athens
limits: {profiles: 1000000, removals: 10%, rejections: 500, settle: 1h30m}
retention: {runs: 90d}
notify: [{to: "${env:ALERTS}"}, {to: "${file:ops.txt}", on: [always]}]
"""

SHORT = "version: 1\nname: a\nsource: b\nsegments: [c]\nmap: {email: email}\n"


@pytest.fixture
def job(read):
    def job_of(text: str) -> Job:
        document = read(text)
        assert check(document, "job") == []
        assert list(check_job(document)) == []
        return read_job(document)

    return job_of


def test_everything(job) -> None:
    found = job(WHOLE)
    assert (found.name, found.source, found.description) == (
        "vip-newsletter",
        "customers",
        "Every morning",
    )
    assert found.segments == ("vip", "2024")
    assert found.suppress == ("unsubscribed",)
    assert found.connection == "marketing"
    assert found.destination == {"list_id": "04fe9a97-a579-43c5-bb1a-58ed29bf0a6a"}
    assert (found.key, found.mode, found.on_too_long) == ("email", "mirror", "truncate")
    assert found.on_duplicate == Prefer("updated_at", "ascending")
    assert (found.schedule, found.timezone) == ("0 6 * * 1-5", "Europe/Athens")
    assert found.limits == JobLimits(
        profiles=1_000_000,
        removals=Bound(share=0.1),
        rejections=Bound(count=500),
        settle=timedelta(hours=1, minutes=30),
    )
    assert found.retention == Retention(runs=timedelta(days=90))
    assert found.notify == (
        Notify("${env:ALERTS}", ("failure", "guard", "recovery")),
        Notify("${file:ops.txt}", ("always",)),
    )


def test_fields_in_the_order_they_were_written(job) -> None:
    assert job(WHOLE).fields == (
        FieldRule("email", column="email"),
        FieldRule(
            "first_name",
            column="first_name",
            transform=(Transform("trim"), Transform("title")),
        ),
        FieldRule("cf:tier", column="tier", default="none"),
        FieldRule("cf:origin", value="exportkit"),
        FieldRule(
            "born",
            column="birthday",
            transform=(Transform("date", "%d/%m/%Y"),),
            kind="date",
            required=True,
        ),
        FieldRule("total", sql="price * 2", kind="number", max_length=10, on_too_long="truncate"),
        FieldRule("code", column="1.50", transform=(Transform("digits"),), default="0123"),
        FieldRule("1.50", column="yes"),
    )


def test_defaults(job) -> None:
    found = job(SHORT)
    assert found.connection is None
    assert found.destination == {}
    assert found.mode is None
    assert found.on_too_long == "reject"
    assert found.on_duplicate is None
    assert found.limits == JobLimits(settle=timedelta(hours=1))
    assert found.retention is None
    assert (found.suppress, found.notify) == ((), None)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("1.50", "1.50"),
        ("no", "no"),
        ("true", "true"),
        ("0123", "0123"),
        ("2026-11-20", "2026-11-20"),
        ("+30210", "+30210"),
        ("5e5", "5e5"),
        ("''", ""),
        ("'null'", "null"),
        ("0x1F", "0x1F"),
    ],
)
def test_constants_are_the_text_that_was_written(job, written: str, text: str) -> None:
    found = job(SHORT.replace("{email: email}", f"{{a: {{value: {written}}}}}"))
    assert found.fields == (FieldRule("a", value=text),)
    found = job(SHORT.replace("{email: email}", f"{{a: {{column: b, default: {written}}}}}"))
    assert found.fields == (FieldRule("a", column="b", default=text),)


@pytest.mark.parametrize(
    ("written", "bound"),
    [
        ("0", Bound(count=0)),
        ("1e3", Bound(count=1000)),
        ("0%", Bound(share=0.0)),
        ("100%", Bound(share=1.0)),
        ("'2.5%'", Bound(share=0.025)),
    ],
)
def test_bounds(job, written: str, bound: Bound) -> None:
    assert job(SHORT + f"limits: {{removals: {written}}}\n").limits.removals == bound


@pytest.mark.parametrize("written", ["-1", "101%", "'%'", "1.5", "ten", "-5%", "1_000", "true", ""])
def test_no_bounds(read, written: str) -> None:
    document = read(SHORT + f"limits: {{removals: {written}}}\n")
    (found,) = check(document, "job")
    assert "expected a whole number, or a share such as 10%" in found.message


@pytest.mark.parametrize(
    ("written", "transforms"),
    [
        ("trim", (Transform("trim"),)),
        ("[]", ()),
        ("[collapse, lower, upper]", tuple(map(Transform, ("collapse", "lower", "upper")))),
        (
            "[trim, {date: '%Y.%m.%d %H:%M:%S 100%%'}]",
            (Transform("trim"), Transform("date", "%Y.%m.%d %H:%M:%S 100%%")),
        ),
    ],
)
def test_transforms(job, written: str, transforms: tuple[Transform, ...]) -> None:
    text = SHORT.replace("{email: email}", f"{{a: {{column: b, transform: {written}}}}}")
    assert job(text).fields[0].transform == transforms


@pytest.mark.parametrize("pattern", ["%d/%m", "%d/%m/%Y %p", "d/m/Y", "%d%m%Y%", "5", ""])
def test_patterns_that_make_no_date(read, pattern: str) -> None:
    text = SHORT.replace(
        "{email: email}", f"{{a: {{column: b, transform: {{date: '{pattern}'}}}}}}"
    )
    assert len(check(read(text), "job")) == 1


@pytest.mark.parametrize("missing", ["version", "name", "source", "segments", "map"])
def test_required_keys(read, missing: str) -> None:
    lines = [line for line in SHORT.splitlines(True) if not line.startswith(missing)]
    (found,) = check(read("".join(lines)), "job")
    assert found.message == f"the key '{missing}' is missing"


def test_retention_for_both(job) -> None:
    both = timedelta(days=30)
    assert job(SHORT + "retention: 30d\n").retention == Retention(both, both)


def test_notify_alone(job) -> None:
    assert job(SHORT + 'notify: {to: "${env:A}"}\n').notify == (Notify("${env:A}"),)


def test_notify_nobody(job) -> None:
    assert job(SHORT + "notify: []\n").notify == ()


def test_time_zone_out_of_the_files_of_the_system(read) -> None:
    for name in ("../../etc/passwd", "/etc/localtime", "Nowhere/Town", "Europe"):
        (found,) = check_job(read(SHORT + f"timezone: {name}\n"))
        assert found.message == f"there is no time zone '{name}'"


@pytest.mark.parametrize("name", ["exportkit_key", "EXPORTKIT_FAULT", "Exportkit.x", "*", " "])
def test_names_that_no_field_can_have(read, name: str) -> None:
    text = SHORT[: SHORT.index("map:")] + f"map: {{a: b, '{name}': c}}\n"
    (found,) = check_job(read(text))
    assert found.message == f"a field cannot be called '{name}'"
    assert found.location.column == 13
    assert found.hint


@pytest.mark.parametrize("name", ["exportkit", "my_exportkit_key", "**", "a*", " a "])
def test_names_that_are_only_odd(read, name: str) -> None:
    text = SHORT[: SHORT.index("map:")] + f"map: {{a: b, '{name}': c}}\n"
    assert list(check_job(read(text))) == []


def test_names_that_differ_only_in_case(read) -> None:
    text = SHORT[: SHORT.index("map:")] + "map: {Email: a, x: b, eMail: c, É: d, é: e}\n"
    first, second = check_job(read(text))
    assert first.message == "the fields 'Email' and 'eMail' differ only in upper and lower case"
    assert first.location.column == 23
    assert "'É' and 'é'" in second.message
