"""`exportkit segments`: how many are in each, counted in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command


def test_the_document_says_all_of_each(exportkit: Command) -> None:
    document = exportkit("segments", "customers", "--json").json
    assert document["source"] == "customers"
    assert document["segments"][0] == {
        "name": "vip",
        "members": 38,
        "description": "Spent a thousand or more",
    }
    assert [segment["name"] for segment in document["segments"]] == [
        "vip",
        "newsletter",
        "quiet",
        "everyone",
    ]


def test_people_read_a_line_a_segment_in_the_order_of_the_file(exportkit: Command) -> None:
    lines = exportkit("segments", "customers").out.splitlines()
    assert lines[0].split(maxsplit=2) == ["38", "vip", "Spent a thousand or more"]
    assert lines[-1].split() == ["111", "everyone"]


def test_without_rows_each_has_none(exportkit: Command, workspace: Path) -> None:
    profiles = workspace / "data" / "profiles.csv"
    profiles.write_text(profiles.read_text().partition("\n")[0] + "\n")
    document = exportkit("segments", "customers", "--json").json
    assert {segment["members"] for segment in document["segments"]} == {0}


def test_a_predicate_that_cannot_work_is_told_at_its_place(
    exportkit: Command, workspace: Path
) -> None:
    source = workspace / "sources" / "customers.yaml"
    source.write_text(source.read_text().replace("where: newsletter,", "where: newsleter,"))
    said = exportkit("segments", "customers", "--json")
    assert said.code == 2
    (complaint,) = said.json["error"]["complaints"]
    assert complaint["path"] == "segments.newsletter.where"
    assert complaint["hint"] == "did you mean 'newsletter'?"
