"""Masks show little, and what is redacted shows nothing of anybody."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exportkit import redaction
from exportkit.redaction import describe, mask, redact


def test_the_examples_in_the_documentation() -> None:
    found = doctest.testmod(redaction)
    assert found.attempted >= 2
    assert found.failed == 0


@pytest.mark.parametrize(
    ("key", "masked"),
    [
        ("jane.doe@example.com", "j…e@e….com"),
        ("jane@mail.example.co.uk", "j…e@m….uk"),
        ("jo@example.com", "j…@e….com"),
        ("j@x.org", "…@x….org"),
        ("C-10023", "C…3"),
        ("1234", "1…4"),
        ("123", "1…"),
        ("12", "1…"),
        ("1", "…"),
        ("", "…"),
        ("太郎さん", "太…ん"),
        (None, ""),
    ],
)
def test_masks(key: str | None, masked: str) -> None:
    assert mask(key) == masked


@given(st.text())
def test_a_mask_shows_two_characters_of_what_has_no_domain(text: str) -> None:
    key = text.replace("@", "")
    assert len(mask(key).replace("…", "")) <= 2 or "…" in key


@given(st.from_regex(r"[a-z]{1,12}@[a-z]{2,12}\.(com|gr)", fullmatch=True))
def test_a_mask_of_an_address_shows_three_characters_and_the_country(key: str) -> None:
    masked, (name, domain) = mask(key), key.split("@")
    shown, _, rest = masked.partition("@")
    assert len(shown.replace("…", "")) <= 2
    assert rest == f"{domain[0]}….{domain.rpartition('.')[2]}"
    assert len(name) < 3 or name not in masked


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("jane@example.com is on hold", "[address] is on hold"),
        ('{"email": "jane.doe+x@example.com"}', '{"email": "[address]"}'),
        ("<jane@example.com>,<joe@example.com>", "<[address]>,<[address]>"),
        ("jürgen@exämple.de", "[address]"),
        ("to o'neill@example.com", "to [address]"),
        ("for 'ann.o'neill@example.com'", "for '[address]'"),
        ("call +30 210 123-4567 or (202) 555.0123", "call [number] or ([number]"),
        ("Bearer abcDEF1234567890abcdefXYZ", "Bearer [token]"),
        ("id 04fe9a97-a579-43c5-bb1a-58ed29bf0a6a", "id [token]"),
        ("12 of 50 rows, limit 1000", "12 of 50 rows, limit 1000"),
        ("", ""),
    ],
)
def test_what_is_redacted(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@example("'@A.AC", "{}")
@given(st.emails(), st.sampled_from(["{}", "for {}: no", "'{}'", "({})", "{};"]))
@settings(deadline=None, max_examples=50)
def test_no_address_survives(address: str, sentence: str) -> None:
    domain = address.rpartition("@")[2]
    assert f"@{domain}" not in redact(sentence.format(address))


def test_an_unforeseen_exception_is_told_without_its_words() -> None:
    try:
        mask(7)  # type: ignore[arg-type]
    except AttributeError as error:
        error.add_note("jane@example.com")
        told = describe(error)
    assert told.startswith("AttributeError at redaction.py:")
    assert "7" not in told.partition(" at ")[0]


def test_an_exception_that_is_not_ours_is_told_where_it_was_raised() -> None:
    try:
        int("jane@example.com")
    except ValueError as error:
        told = describe(error)
    assert told.startswith("ValueError at test_redaction.py:")
    assert describe(ValueError("jane@example.com")) == "ValueError"
