"""Files that are out to hurt: each is refused with a position, none takes long or recurses."""

from __future__ import annotations

import pytest

from exportkit.config.nodes import MAX_DEPTH, MAX_NODES
from exportkit.errors import ConfigError

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
)
LADDER = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))

NASTY = {
    "": (1, 1, "the file is empty"),
    "# only a comment\n": (1, 1, "the file is empty"),
    "---\n...\n": (2, 1, "found nothing"),
    "- a\n": (1, 1, "found a list"),
    "just text\n": (1, 1, "found text"),
    "5": (1, 1, "found a number"),
    "a: 1\n---\nb: 2\n": (2, 1, "a second document"),
    "a: {b: 1, 'b': 2}": (1, 11, "'b' is here a second time; the first is at 1:5"),
    "1: a\n'1': b": (2, 1, "'1' is here a second time"),
    "a: &x [*x]": (1, 8, "contains itself"),
    "a: &x {b: {c: *x}}": (1, 15, "contains itself"),
    "a: *nobody": (1, 4, "there is no anchor &nobody"),
    "? [a]\n: b": (1, 3, "found a list as a key"),
    "? {a: b}\n: c": (1, 3, "found a mapping as a key"),
    "a: &x b\n*x : c": (2, 1, "found an alias (*) as a key"),
    "<<: {a: 1}": (1, 1, "merge keys"),
    "a: !!binary aGk=": (1, 4, "found the tag !!binary"),
    "a: !!python/object/apply:os.system [id]": (1, 4, "found the tag !!python"),
    "a: !!set {x}": (1, 4, "found the tag !!set"),
    "a: !own x": (1, 4, "found the tag !own"),
    LAUGHS: (5, 30, f"more than {MAX_NODES:,} values"),
    LADDER: (50, 12, "nested more than"),
    "a: " + "[" * 60 + "]" * 60: (1, 3 + MAX_DEPTH, f"nested more than {MAX_DEPTH} levels"),
    "[" * 100_000: (1, 1001, "nested too deep"),
    "- " * 2_000 + "x": (1, 1 + 2 * MAX_DEPTH, "nested more than"),
    "a: {" * 100_000: (1, 200, "nested more than"),
    "%YAML 3.0\n---\na: 1": (1, 1, "found a version of YAML"),
    "a: %x": (1, 4, "found %"),
    'a: "\\q"': (1, 5, "found a backslash"),
    "version: 1\nname x\nb: c": (3, 1, "found a line without a ':'"),
}


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [pytest.param(text, *told, id=repr(text[:30])) for text, told in NASTY.items()],
)
def test_refused(read, text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert message in caught.value.message
    assert caught.value.location is not None
    assert (caught.value.location.line, caught.value.location.column) == (line, column)


def test_quoted_merge_key_is_a_name_like_others(read) -> None:
    assert read("'<<': x").data == {"<<": "x"}


def test_harmless_tags(read) -> None:
    assert read("a: !!map {b: !!seq [!!str 1, ! 2]}").data == {"a": {"b": ["1", "2"]}}


def test_anchor_on_a_key(read) -> None:
    assert read("&x a: *x").data == {"a": "a"}


def test_deep_enough(read) -> None:
    levels = MAX_DEPTH - 1
    value = read("a: " + "[" * levels + "]" * levels).data["a"]
    for _ in range(levels - 1):
        (value,) = value
    assert value == []
