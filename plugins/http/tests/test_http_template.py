"""Whatever is in a row, it stays in the place that the template has for it."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from exportkit_http.recipe import recipe
from exportkit_http.template import UnfitError
from hypothesis import example, given
from hypothesis import strategies as st

from exportkit import Column, JobError

NASTY = st.text(max_size=40) | st.sampled_from(
    [
        *("..", ".", "a/../b", "%2e%2e", "a?b=c&d#e", "\\", '"}],"admin":true,"x":["', "{email}"),
        *("{{email}}", "\r\nX-Admin: 1", "\u202eevil", "\x00", "\ud7ff\U0001f600", "' OR 1=1 --"),
        *("1e999", "NaN", "-0", "0x10", "1_000", "\u0661", "9" * 400, "true", "[1,", '{"a":NaN}'),
    ]
)


def made(part: dict[str, Any], **kinds: str) -> Any:
    options = {"method": "POST", "nulls": "keep", **part}
    columns = [Column(name, kind=kinds.get(name, "text")) for name in ("email", "note")]
    return recipe(options, columns, removal=False)


def attempt(recipe: Any, email: str, note: str) -> tuple[Any, UnfitError | None]:
    """The call for a row, or why there is none."""
    try:
        return recipe.single({"email": email, "note": note}), None
    except UnfitError as unfit:
        return None, unfit


@given(NASTY, NASTY | st.none())
def test_a_body_means_what_was_put_in(email: str, note: str | None) -> None:
    body = {"a": ["{email}", {"b": "{note}"}], "c": "<{email}>", "d{{": 1, "email": "x"}
    call = made({"body": body}).single({"email": email, "note": note})
    assert json.loads(call.body) == {
        "a": [email, {"b": note}],
        "c": f"<{email}>",
        "d{": 1,
        "email": "x",
    }


@given(NASTY, NASTY)
@example("a", "..")
def test_an_address_leads_where_it_was_put(email: str, note: str) -> None:
    call, unfit = attempt(made({"path": "/people/{email}/notes?of={note}&x=1"}), email, note)
    assert (unfit is not None) is (email in (".", ".."))
    if unfit is not None:
        assert unfit.column == "email"
        return
    target = call.target
    parts = urlsplit(f"http://host{target}")
    assert target.isascii()
    assert [unquote(step) for step in parts.path.split("/")] == ["", "people", email, "notes"]
    (of, one) = parts.query.split("&")
    assert (unquote(of.removeprefix("of=")), one, parts.fragment) == (note, "x=1", "")


@given(NASTY)
def test_a_header_stays_one(note: str) -> None:
    call, unfit = attempt(made({"headers": {"X-Note": "by {note}"}}), "a", note)
    if unfit is not None:
        assert unfit.column == "note"
        assert any(ord(letter) < 32 or ord(letter) == 127 for letter in note)
        return
    value = call.headers["X-Note"]
    assert isinstance(value, bytes)
    assert value.decode() == f"by {note}".strip()
    assert not any(byte < 32 or byte == 127 for byte in value)


@given(NASTY | st.integers().map(str) | st.floats(allow_nan=False, allow_infinity=False).map(repr))
def test_a_number_is_one_or_the_row_is_refused(note: str) -> None:
    call, unfit = attempt(made({"body": "{note}"}, note="number"), "a", note)
    if unfit is not None:
        assert (unfit.column, unfit.reason) == ("note", "is no number that JSON can hold")
        return
    number = json.loads(call.body, parse_constant=lambda _: pytest.fail("no JSON"))
    assert isinstance(number, int | float)
    assert math.isclose(number, float(note), rel_tol=1e-15)


@given(NASTY)
def test_json_is_some_or_the_row_is_refused(note: str) -> None:
    call, unfit = attempt(made({"body": {"tags": "{note|json}"}}), "a", note)
    assert unfit or json.loads(call.body) == {"tags": json.loads(note)}


@given(st.lists(st.tuples(NASTY, NASTY | st.none()), max_size=5))
def test_the_rows_of_a_batch_stay_apart(people: list[tuple[str, str | None]]) -> None:
    part = {"batch": 5, "body": {"rows": "{rows}"}, "row": {"e": "{email}", "n": "{note}"}}
    recipe = made({**part, "nulls": "leave_out"})
    rows = [{"email": email, "note": note} for email, note in people]
    call = recipe.together([recipe.content(row) for row in rows])
    expected = [{"e": e, "n": n} if n is not None else {"e": e} for e, n in people]
    assert json.loads(call.body) == {"rows": expected}


@given(st.text(alphabet="{}|aemil:. ", max_size=12))
def test_any_template_is_taken_or_explained(text: str) -> None:
    hint = None
    try:
        made({"body": text})
    except JobError as error:
        hint = error.hint or ""
    assert hint is None or hint


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("TRUE", True), ("1", True), ("no", False), ("False", False), ("0", False)],
)
def test_what_is_true(text: str, value: bool) -> None:
    call = made({"body": "{note|boolean}"}).single({"email": "a", "note": text})
    assert json.loads(call.body) is value


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(UnfitError, match="neither true nor false"):
        made({"body": "{note|boolean}"}).single({"email": "a", "note": "perhaps"})


def test_without_a_template_all_fields_are_sent_whatever_they_are_called() -> None:
    columns = [Column("e{mail}"), Column("a|b", kind="number"), Column("c{{")]
    options = {"method": "POST", "nulls": "keep"}
    call = recipe(options, columns, removal=False).single({"e{mail}": "x", "a|b": "7", "c{{": None})
    assert json.loads(call.body) == {"e{mail}": "x", "a|b": 7, "c{{": None}
