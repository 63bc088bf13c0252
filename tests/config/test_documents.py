from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exportkit.config.documents import dotted
from exportkit.errors import ConfigError

TEXT = """\
# a comment
name: x
map:
  email: email
  "cf:tier": {column: tier, transform: [trim, title]}
  'first name':
    value: 1.50
empty:
list:
  - 1
  - a: b
"""


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ((), (2, 1), (2, 1)),
        (("name",), (2, 7), (2, 1)),
        (("map",), (4, 3), (3, 1)),
        (("map", "email"), (4, 10), (4, 3)),
        (("map", "cf:tier"), (5, 14), (5, 3)),
        (("map", "cf:tier", "transform"), (5, 40), (5, 29)),
        (("map", "cf:tier", "transform", 1), (5, 47), (5, 47)),
        (("map", "first name", "value"), (7, 12), (7, 5)),
        (("empty",), (8, 7), (8, 1)),
        (("list", 1, "a"), (11, 8), (11, 5)),
    ],
)
def test_positions(read, path, value, key) -> None:
    document = read(TEXT)
    at = document.locate(path)
    assert (at.line, at.column, at.path) == (*value, dotted(path))
    at = document.locate(path, key=True)
    assert (at.line, at.column) == key


def test_position_of_what_is_not_there_is_its_nearest_ancestors(read) -> None:
    document = read(TEXT)
    at = document.locate(("map", "cf:tier", "transform", 7, "x"), key=True)
    assert (at.line, at.column, at.path) == (5, 40, "map.cf:tier.transform")
    assert document.locate(("nothing", "here")).path == ""


def test_columns_count_characters(read) -> None:
    at = read("\ufeff{é: 1, 日本: x}\n").locate(("日本",))
    assert (at.line, at.column) == (1, 12)


def test_windows_line_ends(read) -> None:
    document = read("a: 1\r\nb: 2\r\n")
    assert document.data == {"a": 1, "b": 2}
    assert document.locate(("b",)).line == 2


def test_text_is_what_was_written(read) -> None:
    document = read("a: 1.50\nb: yes\nc: 0123\nd: '1.50'\ne: true\nf: 1e3\ng: !!str 5\nh:\n")
    written = {key: document.text((key,)) for key in document.data}
    assert written == {
        "a": "1.50",
        "b": "yes",
        "c": "0123",
        "d": "1.50",
        "e": "true",
        "f": "1e3",
        "g": "5",
        "h": None,
    }
    assert document.data["g"] == "5"
    assert document.text(("nothing", "here")) is None


def test_text_of_many_values(read) -> None:
    with pytest.raises(TypeError, match="a holds more than one value"):
        read("a: [1]").text(("a",))


def test_keys_are_text(read) -> None:
    assert list(read("1.50: a\nno: b\nnull: c\n0x1F: d\n").data) == ["1.50", "no", "null", "0x1F"]


def test_repr_shows_no_value(read) -> None:
    assert "hunter2" not in repr(read("a: {password: hunter2}"))


def test_aliases_are_followed(read) -> None:
    document = read("a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]\n")
    assert document.data["d"][1] == {"b": [1, 2]}
    assert document.locate(("c",)).line == 2
    assert document.locate(("c", "b", 1)).line == 1


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_quoted_text_survives(read, text: str) -> None:
    written = yaml.safe_dump({"key": text}, default_style='"', allow_unicode=False)
    document = read(written)
    assert document.data == {"key": text}
    assert document.text(("key",)) == text


@given(
    st.dictionaries(
        st.text("abc.: [{'\"", min_size=1), st.lists(st.text("xyz \n#:-\"'"), max_size=3)
    ).filter(bool)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_another_library_writes_is_read(read, data: dict[str, list[str]]) -> None:
    document = read(yaml.safe_dump(data, allow_unicode=True))
    assert document.data == data
    for key, items in data.items():
        for index, item in enumerate(items):
            assert document.text((key, index)) == item


@given(st.binary(max_size=200) | st.text("{}[]&*!|>'\"%@`:-?,# \n\tab01<~.").map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_but_config_errors(read, data: bytes) -> None:
    try:
        document = read(data)
    except ConfigError as error:
        place = error.location
    else:
        place = document.locate(tuple(document.data)[:1])
    assert place is not None
    assert place.line >= 1
    assert place.column >= 1


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (("map", "email", "transform", 0), "map.email.transform[0]"),
        (("map", "cf:tier"), "map.cf:tier"),
        (("map", "first name"), 'map["first name"]'),
        (("map", "a.b"), 'map["a.b"]'),
        ((), ""),
    ],
)
def test_dotted(path, shown: str) -> None:
    assert dotted(path) == shown
