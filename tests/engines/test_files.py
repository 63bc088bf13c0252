"""What a file is, and what is said about one that is not what it should be."""

from __future__ import annotations

import gzip
import os

import pyarrow as pa
import pytest

from exportkit.errors import SourceError

SECRET = "jane@example.com"


def complaint(workspace, **keys) -> str:
    with pytest.raises(SourceError) as caught:
        workspace.texts(**keys)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_named_where_it_is_declared(workspace):
    assert complaint(workspace, file="data/none.csv").startswith(
        "sources/people.yaml:6:7: file: there is no file data/none.csv"
    )


def test_a_glob_without_files(workspace):
    assert "no file matches data/*.csv" in complaint(workspace, file="data/*.csv")


def test_an_empty_file(workspace):
    workspace.write("p.csv", b"")
    assert "p.csv:1:1: p.csv is empty (0 bytes)" in complaint(workspace, file="p.csv")


def test_a_compressed_empty_file(workspace):
    workspace.write("p.csv.gz", gzip.compress(b""))
    assert "p.csv.gz is empty" in complaint(workspace, file="p.csv.gz")


def test_a_folder(workspace):
    (workspace.root / "data").mkdir()
    assert "data is a folder" in complaint(workspace, file="data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(workspace):
    workspace.write("p.csv", "id\n1\n").chmod(0)
    assert "p.csv may not be read by this account" in complaint(workspace, file="p.csv")


def test_binary_under_a_text_name(workspace):
    workspace.write("p.csv", b"id,name\n\0\1\2" + SECRET.encode())
    assert "p.csv is not text" in complaint(workspace, file="p.csv")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.csv", b"PAR1....", "should be csv by its name, but it is parquet"),
        ("p.csv", b"PK\x03\x04....", "it is zip or spreadsheet"),
        ("p.parquet", b"id,name\n", "should be parquet by its name, but it is not"),
        ("p.sqlite", b"id,name\n", "should be sqlite by its name, but it is not"),
        ("p.csv.gz", b"id,name\n", "is named like a compressed file but is none"),
        ("p.xlsx", b"PK\x03\x04....", "nothing says what kind of file p.xlsx is"),
        ("p", b"id,name\n", "nothing says what kind of file p is"),
    ],
)
def test_names_and_first_bytes_have_to_agree(workspace, name, content, said):
    workspace.write(name, content)
    assert said in complaint(workspace, file=name)


def test_a_cut_off_gzip(workspace):
    whole = gzip.compress(f"id,email\n1,{SECRET}\n".encode() * 1000)
    workspace.write("p.csv.gz", whole[: len(whole) // 2])
    assert "p.csv.gz cannot be read as gzip" in complaint(workspace, file="p.csv.gz")


def test_gzip_and_zstandard(workspace):
    text = "id,name\n1,Zoë\n"
    workspace.write("a.csv.gz", gzip.compress(text.encode()))
    workspace.write("b.csv.zst", pa.compress(text.encode(), codec="zstd", asbytes=True))
    assert workspace.texts(file="a.csv.gz") == [{"id": "1", "name": "Zoë"}]
    assert workspace.texts(file="b.csv.zst") == [{"id": "1", "name": "Zoë"}]


def test_gzip_is_seen_without_the_ending(workspace):
    workspace.write("p.csv", gzip.compress(b"id\n1\n"))
    assert workspace.texts(file="p.csv") == [{"id": "1"}]


def test_an_unknown_encoding(workspace):
    workspace.write("p.csv", "id\n1\n")
    assert "there is no encoding 'klingon'" in complaint(
        workspace, file="p.csv", encoding="klingon"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"database": "postgresql://crm:hunter2@127.0.0.1:1/x", "table": "p"}, "cannot be reached"),
        ({"file": "ftp://server/p.parquet"}, "nothing here reads ftp://"),
        ({"database": "sqlite://p.db", "table": "p"}, "three slashes"),
    ],
)
def test_what_cannot_be_read_here(workspace, keys, said):
    found = complaint(workspace, **keys)
    assert said in found
    assert "hunter2" not in found


def test_a_path_that_looks_like_a_glob_is_a_path_if_it_exists(workspace):
    workspace.write("data[1].csv", "id\n1\n")
    workspace.write("data1.csv", "id\n2\n")
    assert workspace.texts(file="data[1].csv") == [{"id": "1"}]


def test_an_absolute_path(workspace, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "O'Brien & söns.csv"
    elsewhere.write_text("id\n1\n")
    assert workspace.texts(file=str(elsewhere)) == [{"id": "1"}]
