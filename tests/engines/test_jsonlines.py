"""JSON lines and lists: every value as its own text, odd ones typed for predicates."""

from __future__ import annotations

import gzip
import json

import pytest

from exportkit.errors import SourceError

SECRET = "jane@example.com"


def complaint(workspace, content, name="p.jsonl") -> str:
    workspace.write(name, content)
    with pytest.raises(SourceError) as caught:
        workspace.texts(file=name)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_values_are_their_text(workspace):
    lines = [
        '{"id": 1, "n": 12345678901234567890123, "b": true, "o": {"a": [1, "x"]}, "l": []}',
        '{"id": "2", "n": "0123", "b": null, "o": "O\'Brien\\n👩‍🚀", "l": ["שלום"]}',
        '{"id": 3}',
    ]
    workspace.write("p.jsonl", "\n".join(lines))
    assert workspace.texts(file="p.jsonl") == [
        {
            "id": "1",
            "n": "12345678901234567890123",
            "b": "true",
            "o": '{"a":[1,"x"]}',
            "l": "[]",
        },
        {"id": "2", "n": "0123", "b": None, "o": "O'Brien\n👩‍🚀", "l": '["שלום"]'},
        {"id": "3", "n": None, "b": None, "o": None, "l": None},
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"id":1,"a":"Zoë"}\n{"id":2,"a":"b"}\n'),
        ("p.ndjson", '\n{"id":1,"a":"Zoë"}\n\n{"id":2,"a":"b"}'),
        ("p.json", '{"id":1,"a":"Zoë"}\r\n{"id":2,"a":"b"}\r\n'),
        ("p.json", '[{"id":1,"a":"Zoë"},\n {"id":2,"a":"b"}]'),
        ("p.jsonl", '\ufeff{"id":1,"a":"Zoë"}\n{"id":2,"a":"b"}\n'),
        ("p.jsonl", '\ufeff{"id":1,"a":"Zoë"}\n{"id":2,"a":"b"}\n'.encode("utf-16-le")),
        ("p.jsonl.gz", gzip.compress('{"id":1,"a":"Zoë"}\n{"id":2,"a":"b"}\n'.encode())),
    ],
    ids=["lines", "blanks", "crlf", "list", "bom", "utf-16", "gzip"],
)
def test_shapes_of_json(workspace, name, content):
    workspace.write(name, content)
    assert workspace.texts(file=name) == [{"id": "1", "a": "Zoë"}, {"id": "2", "a": "b"}]


def test_fractions_come_as_short_as_they_read_back(workspace):
    workspace.write("p.jsonl", '{"id":1.50}\n{"id":"1.50"}\n{"id":5e5}\n')
    assert [row["id"] for row in workspace.texts(file="p.jsonl")] == ["1.5", "1.50", "500000.0"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f'{{"id":1}}\n{{"id":"{SECRET}\n{{"id":3}}\n', "p.jsonl:2:1: line 2 is not a JSON object"),
        (f'{{"id":1}}\n{SECRET}\n', "p.jsonl:2:1: line 2 is not a JSON object"),
        (f'{{"id":1}}\n["{SECRET}"]\n', "p.jsonl:2:1: line 2 is not a JSON object"),
        (f'{{"id":1}}\n"{SECRET}"\n', "p.jsonl:2:1: line 2 is not a JSON object"),
        (f'{{"id":1}}{{"id":"{SECRET}"}}\n', "p.jsonl:1:1: line 1 is not a JSON object"),
        (f'{{"id":1,"mail":"{SECRET}","ID":2}}\n', "the key 'ID' occurs twice in one object"),
        (f'{{"id":1}}\n{{"id":2,"id":"{SECRET}"}}\n', "p.jsonl:2:1: line 2"),
        (b'{"id":1}\n{"id":"\xff' + SECRET.encode() + b'"}\n', "p.jsonl:2:1: line 2"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(workspace, content, said):
    assert said in complaint(workspace, content)


def test_a_broken_line_far_into_the_file(workspace):
    content = '{"id":1}\n' * 50_000 + f'{{"id":{SECRET}}}\n' + '{"id":1}\n' * 10
    assert complaint(workspace, content).startswith("p.jsonl:50001:1: line 50001 is not")


def test_a_broken_list(workspace):
    content = f'[{{"id":1}},\n{{"id":{SECRET}}}]'
    assert complaint(workspace, content, "p.json").startswith("p.json:")


def test_no_objects_at_all(workspace):
    assert "p.jsonl has no JSON object in it" in complaint(workspace, "\n\n")


def test_types_serve_predicates(workspace, read_rows):
    people = [
        {"id": 1, "spent": 10.5, "since": "2024-01-31", "vip": True, "when": "2024-01-31T10:00:00"},
        {"id": 2, "spent": "unknown", "since": "31/01/2024", "vip": False, "when": None},
    ]
    workspace.write("p.jsonl", "\n".join(map(json.dumps, people)))
    types = {"spent": "number", "since": "date"}
    segments = {"some": {"where": "spent > 10 and since > '2024-01-01' and vip"}}
    with workspace.open(file="p.jsonl", types=types, segments=segments) as opened:
        assert opened.columns == {
            "id": "BIGINT",
            "spent": "DOUBLE",
            "since": "DATE",
            "vip": "BOOLEAN",
            "when": "TIMESTAMP",
        }
        assert opened.complaints() == []
        frame = opened.select(texts={"id": "id", "spent": "spent"}, segments=["some"])
        assert read_rows(frame) == [{"id": "1", "spent": "10.5"}]


def test_files_of_a_glob_have_to_agree(workspace):
    workspace.write("d/1.jsonl", '{"id":1,"a":2}\n')
    workspace.write("d/2.jsonl", '{"a":1,"id":2}\n')
    assert len(workspace.texts(file="d/*.jsonl")) == 2
    workspace.write("d/3.jsonl", '{"a":1,"b":2}\n')
    with pytest.raises(SourceError, match=r"d/3\.jsonl differ .* no 'id' and it has 'b' besides"):
        workspace.texts(file="d/*.jsonl")
