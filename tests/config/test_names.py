from __future__ import annotations

import pytest

from exportkit.config.names import nearest, nearest_hint

KNOWN = ["email", "first_name", "last_name", "descending"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("emial", "email"),
        ("Email", "email"),
        ("e-mail", "email"),
        ("firstname", "first_name"),
        ("desc", "descending"),
        ("de", None),
        ("zzz", None),
        ("", None),
    ],
)
def test_nearest(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN) == meant


def test_nearest_among_nothing() -> None:
    assert nearest("email", []) is None


def test_hint_names_the_nearest() -> None:
    assert nearest_hint("emial", KNOWN) == "did you mean 'email'?"


def test_hint_lists_what_there_is() -> None:
    assert nearest_hint("zzz", ["a", "b"]) == "there are: a, b"
    assert nearest_hint("zzz", []) == "there are none"


def test_hint_lists_no_more_than_people_read() -> None:
    hint = nearest_hint("zzz", [f"c{i}" for i in range(100)])
    assert hint.endswith("c19 and 80 more")
