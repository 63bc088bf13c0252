"""CSV: what stands in the file is what is mapped, and what is not CSV is said with its line."""

from __future__ import annotations

import gzip

import pytest

from exportkit.errors import SourceError

SECRET = "jane@example.com"


def complaint(workspace, content, **keys) -> str:
    workspace.write("p.csv", content)
    with pytest.raises(SourceError) as caught:
        workspace.texts(file="p.csv", **keys)
    failure = caught.value
    assert SECRET not in str(failure)
    assert failure.__suppress_context__ or failure.__context__ is None
    return str(failure)


def table(workspace, content, **keys) -> list[list[str | None]]:
    workspace.write("p.csv", content)
    return [list(row.values()) for row in workspace.texts(file="p.csv", **keys)]


def test_text_stays_as_it_stands(workspace):
    content = "id,a,b,c,d\n1,5e5,1.50,0123,yes\n2, x ,NULL,nan,\t\n"
    assert table(workspace, content) == [
        ["1", "5e5", "1.50", "0123", "yes"],
        ["2", " x ", "NULL", "nan", "\t"],
    ]


def test_an_empty_field_is_null_and_a_quoted_one_is_empty(workspace):
    assert table(workspace, 'id,a\n1,\n2,""\n') == [["1", None], ["2", ""]]


@pytest.mark.parametrize(
    "value",
    [
        "O'Brien",
        "Ångström",
        "李小龍",
        "שלום",
        "👩‍🚀🏳️‍🌈",
        "a\nb",
        "a\r\nb",
        'say "hi"',
        "a,b",
        "x" * 1_000_000,
    ],
    ids=lambda value: value[:8].encode("unicode_escape").decode(),
)
def test_any_text_comes_through(workspace, value):
    quoted = value.replace('"', '""')
    assert table(workspace, f'id,a\n1,"{quoted}"\n2,z\n') == [["1", value], ["2", "z"]]


@pytest.mark.parametrize(
    "content",
    [
        "id,a\n1,Zoë\n2,b\n",
        "id,a\r\n1,Zoë\r\n2,b\r\n",
        "id,a\r1,Zoë\r2,b\r",
        "id,a\n1,Zoë\n2,b",
        "\ufeffid,a\n1,Zoë\n2,b\n",
        '"id","a"\n"1","Zoë"\n"2","b"\n',
        "id,a\n\n1,Zoë\n\n2,b\n\n\n",
        "id;a\n1;Zoë\n2;b\n",
        "id\ta\n1\tZoë\n2\tb\n",
        "id|a\n1|Zoë\n2|b\n",
        'id;"a"\n1;Zoë\n2;b\n',
    ],
    ids=["lf", "crlf", "cr", "no-end", "bom", "quoted", "blanks", "semi", "tab", "pipe", "mixed"],
)
def test_shapes_of_csv(workspace, content):
    workspace.write("p.csv", content)
    assert workspace.texts(file="p.csv") == [{"id": "1", "a": "Zoë"}, {"id": "2", "a": "b"}]


@pytest.mark.parametrize(
    ("codec", "declared"),
    [
        ("utf-16", None),
        ("utf-16-be", "utf-16-be"),
        ("utf-8-sig", "utf-8"),
        ("latin-1", "latin-1"),
        ("windows-1252", "windows-1252"),
        ("utf-32", None),
    ],
)
def test_encodings(workspace, codec, declared):
    content = 'id,a\n1,"Zoë\nÅ"\n'.encode(codec)
    keys = {"encoding": declared} if declared else {}
    assert table(workspace, content, **keys) == [["1", "Zoë\nÅ"]]


def test_utf16_of_both_byte_orders_with_a_mark(workspace):
    for codec in ("utf-16-le", "utf-16-be"):
        assert table(workspace, "\ufeffid,a\n1,😀\n".encode(codec)) == [["1", "😀"]]


def test_the_euro_sign_of_windows(workspace):
    content = "id,a\n1,5 €\n".encode("cp1252")
    assert table(workspace, content, encoding="cp1252") == [["1", "5 €"]]


def test_what_an_encoding_does_not_know(workspace):
    content = b"id,a\n" + b"1,x\n" * 200_000 + b"2,\x81" + SECRET.encode() + b"\n"
    found = complaint(workspace, content, encoding="cp1252")
    assert found.startswith("p.csv:200002:1: line 200002 is not valid CP1252")


def test_latin1_that_is_not_declared(workspace):
    found = complaint(workspace, f"id,a\n1,x\n2,Zo\xeb {SECRET}\n".encode("latin-1"))
    assert found.startswith("p.csv:3:1: line 3 is not valid UTF-8 (declare what it is")


def test_latin1_far_into_the_file(workspace):
    content = b"id,a\n" + b"1,x\n" * 100_000 + b"2,Zo\xeb\n"
    assert complaint(workspace, content).startswith("p.csv:100002:1: line 100002 is not valid")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"id,a\n1,x\n2,{SECRET},y\n", "p.csv:3:1: line 3 has 3 values where the header has 2"),
        (f"id,a\n1,x\n{SECRET}\n", "p.csv:3:1: line 3 has 1 values where the header has 2"),
        (f'id,a\n1,"x\ny\n\nz"\n\n{SECRET}\n', "p.csv:7:1: line 7 has 1 values"),
        (f'id,a\n1,"{SECRET}"x\n', "p.csv:2:1: line 2 has a quote that is not closed"),
        (f'id,a\n1,"{SECRET}\n2,x\n', "p.csv:2:1: line 2 has a quote that is not closed"),
        (f"id,a\n1,x\n2,{SECRET}\r\n", "p.csv does not hold together as CSV"),
        (f"\nid,a\n1,{SECRET}\n", "p.csv:1:1: line 1 is empty where the header should be"),
        (f"id,a,id\n1,{SECRET},2\n", "columns 1 and 3 of the header have the same name"),
        (f"id,a,ID\n1,{SECRET},2\n", "columns 1 and 3 of the header have the same name"),
        (f"id,,b\n1,{SECRET},2\n", "column 2 of 3 has no name in the header"),
        (f"id,a,\n1,{SECRET},\n", "column 3 of 3 has no name in the header"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(workspace, content, said):
    assert said in complaint(workspace, content)


def test_a_ragged_line_far_into_the_file(workspace):
    content = "id,a\n" + "1,x\n" * 300_000 + f"{SECRET}\n" + "1,x\n" * 1000
    assert complaint(workspace, content).startswith("p.csv:300002:1: line 300002 has 1 values")


def test_a_ragged_line_is_seen_whatever_is_selected(workspace):
    workspace.write("p.csv", f"id,a\n1,x\n2,{SECRET},y\n")
    with workspace.open(file="p.csv") as opened, pytest.raises(SourceError, match="line 3"):
        opened.count(["all"])


def test_a_quote_that_is_left_open_over_a_long_file(workspace):
    content = 'id,a\n1,"x\n' + f"1,{SECRET}\n" * 1_000_000
    assert "p.csv:2:1: line 2" in complaint(workspace, content)


def test_a_header_of_a_million_characters(workspace):
    name = "n" * 1_000_000
    workspace.write("p.csv", f"id,{name}\n1,x\n")
    assert workspace.texts(file="p.csv") == [{"id": "1", name: "x"}]


def test_a_header_longer_than_any_line_may_be(workspace):
    assert "line 1 is longer than" in complaint(workspace, "id," + "n" * 17_000_000 + "\n1,x\n")


@pytest.mark.parametrize("millions", [9, 17, 40])
@pytest.mark.parametrize("rest", ["", "\n", "\n3,y\n"], ids=["open", "last", "inside"])
def test_a_line_longer_than_any_may_be(workspace, millions, rest):
    """The engine alone would leave the row out where it is the last one."""
    found = complaint(workspace, "id,a\n1,x\n2," + "n" * millions * 1_000_000 + rest)
    assert found.startswith("p.csv:3:1: line 3 is longer than")


@pytest.mark.parametrize("content", ["id,a\n", "id,a", "id,a\r\n", "\ufeffid,a\n"])
def test_a_header_alone_is_an_empty_source(workspace, content):
    workspace.write("p.csv", content)
    with workspace.open(file="p.csv") as opened:
        assert opened.is_empty
        assert opened.count(["all"]) == {"all": 0}
        frame = opened.select(texts={"mail": "a"}, values={"id": "id"}, segments=["all"])
        assert frame.collect("pyarrow").to_native().schema.names == ["mail", "id"]


def test_without_rows_no_predicate_can_misfit(workspace):
    """Types are inferred from rows: a header alone makes text of all, which is nobody's mistake."""
    workspace.write("p.csv", "id,spent,reader\n")
    segments = {"all": {"where": "spent >= 100 and reader"}, "some": {"where": "spend > 1"}}
    with workspace.open(file="p.csv", segments=segments) as opened:
        assert [str(c).partition("where: ")[2] for c in opened.complaints()] == [
            "there is no column 'spend' (did you mean 'spent'?)"
        ]
        assert opened.count(["all"]) == {"all": 0}
        frame = opened.select(
            texts={"a": "id"},
            expressions={"b": "spent + 1"},
            values={"c": "spent"},
            segments=["all"],
            flags={"d": ["all"]},
        ).collect("pyarrow")
        assert (frame.columns, len(frame)) == (["a", "b", "c", "d"], 0)


def test_a_single_column(workspace):
    assert table(workspace, "id\n1\n\n3\n") == [["1"], [None], ["3"]]


def test_lines_that_look_like_comments_are_rows(workspace):
    assert table(workspace, "#id,a\n#1,x\n2,#y\n", key="#id") == [["#1", "x"], ["2", "#y"]]


def test_a_header_that_looks_like_data_is_the_header(workspace):
    workspace.write("p.csv", "2020,2021\n1,2\n3,4\n")
    rows = workspace.texts(file="p.csv", key="2020")
    assert rows == [{"2020": "1", "2021": "2"}, {"2020": "3", "2021": "4"}]


def test_rows_that_are_all_text_do_not_hide_the_header(workspace):
    assert table(workspace, "id,a\nx,y\n") == [["x", "y"]]


def test_single_quotes_are_text(workspace):
    assert table(workspace, "id,a\n'1',\"'x'\"\n") == [["'1'", "'x'"]]


def test_a_quote_in_the_middle_of_a_value_is_text(workspace):
    assert table(workspace, 'id,a\n1,5" disk\n') == [["1", '5" disk']]


def test_the_declared_delimiter_wins(workspace):
    assert table(workspace, "id:a;b\n1:2;3\n", delimiter=":") == [["1", "2;3"]]


def test_decimal_commas_do_not_make_the_delimiter(workspace):
    assert table(workspace, "id;a\n1;2,5\n2;3,5\n") == [["1", "2,5"], ["2", "3,5"]]


def test_tsv_by_name(workspace):
    workspace.write("p.tsv", "id\ta,b\n1\t2,3\n")
    assert workspace.texts(file="p.tsv") == [{"id": "1", "a,b": "2,3"}]


def test_column_names_of_every_kind(workspace):
    names = ["id", "O'Brien", 'say ""hi""', "order", "with space", "Ünï", "a.b", "1"]
    header = ",".join(f'"{name}"' for name in names)
    workspace.write("p.csv", f"{header}\n" + ",".join("12345678") + "\n")
    (row,) = workspace.texts(file="p.csv")
    assert list(row) == [name.replace('""', '"') for name in names]
    assert list(row.values()) == list("12345678")


def test_types_are_inferred_for_predicates_alone(workspace):
    content = "id,n,d,t,b,z,eu\n1,1.50,2024-01-31,2024-01-31 10:00:00,yes,0123,31/01/2024\n"
    workspace.write("p.csv", content)
    with workspace.open(file="p.csv", types={"z": "text", "id": "integer"}) as opened:
        assert opened.columns == {
            "id": "BIGINT",
            "n": "DOUBLE",
            "d": "DATE",
            "t": "TIMESTAMP",
            "b": "BOOLEAN",
            "z": "VARCHAR",
            "eu": "VARCHAR",
        }


def test_a_value_that_does_not_fit_is_null_for_predicates_and_itself_in_the_mapping(
    workspace, read_rows
):
    content = "id,n\n" + "1,10\n" * 30_000 + "2,many\n"
    workspace.write("p.csv", content)
    segments = {"big": {"where": "n > 5"}, "odd": {"where": "n is null"}}
    with workspace.open(file="p.csv", segments=segments) as opened:
        assert opened.count(["big", "odd"]) == {"big": 30_000, "odd": 1}
        frame = opened.select(texts={"n": "n"}, values={"typed": "n"}, segments=["odd"])
        assert read_rows(frame) == [{"n": "many", "typed": None}]


def test_files_of_a_glob_are_one_source(workspace):
    workspace.write("d/1.csv", "id,a\n1,x\n")
    workspace.write("d/2.csv", "id,a\n2,y\n")
    assert workspace.texts(file="d/*.csv") == [{"id": "1", "a": "x"}, {"id": "2", "a": "y"}]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("id,b\n2,y\n", "it has no 'a' and it has 'b' besides"),
        ("a,id\ny,2\n", "they come in another order"),
        ("id;a\n2;y\n", "it has no 'id', 'a' and it has 'id;a' besides"),
    ],
)
def test_files_of_a_glob_have_to_agree(workspace, second, said):
    workspace.write("d/1.csv", "id,a\n1,x\n")
    workspace.write("d/2.csv", second)
    with pytest.raises(SourceError) as caught:
        workspace.texts(file="d/*.csv")
    assert f"the columns of d/2.csv differ from those of d/1.csv: {said}" in str(caught.value)


def test_files_of_a_glob_are_compressed_alike(workspace):
    workspace.write("d/1.csv", "id\n1\n")
    workspace.write("d/2.csv.gz", gzip.compress(b"id\n2\n"))
    with pytest.raises(SourceError, match=r"d/2\.csv\.gz is compressed \(gzip\), d/1\.csv is not"):
        workspace.texts(file="d/*")


def test_files_of_a_glob_may_be_encoded_differently(workspace):
    for number, codec in enumerate(("utf-8", "utf-8-sig", "utf-16")):
        workspace.write(f"d/{number}.csv", f"id,a\n{number},Zoë\n".encode(codec))
    found = workspace.texts(file="d/*.csv")
    assert found == [{"id": str(number), "a": "Zoë"} for number in range(3)]


def test_the_broken_file_of_a_glob_is_named(workspace):
    workspace.write("d/1.csv", "id,a\n1,x\n")
    workspace.write("d/2.csv", f'id,a\n2,"x\ny"\n{SECRET}\n')
    expected = r"^d/2\.csv:4:1: line 4 has 1 values"
    with (
        workspace.open(file="d/*.csv") as opened,
        pytest.raises(SourceError, match=expected) as caught,
    ):
        opened.count(["all"])
    assert SECRET not in str(caught.value)
