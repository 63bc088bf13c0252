"""What a person reads: in the first line what it came to, below it the details."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Command

JOB = "vip-newsletter"


def test_a_plan_says_what_would_be_sent(exportkit: Command) -> None:
    lines = exportkit("plan", JOB).out.splitlines()
    assert lines[0] == f"{JOB} -> CSV file (full); nothing was sent"
    assert "  74  sent        would be sent" in lines
    assert any(line.startswith("    add  e…i@e….com") for line in lines)


def test_a_run_says_in_its_first_line_what_it_came_to(exportkit: Command) -> None:
    said = exportkit("run", JOB)
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{JOB}: partial in ")
    assert " s, 74 sent, 16 of 95 cannot be delivered (" in lines[0]
    assert "    10  email       not an e-mail address" in lines
    assert lines[-1] == f"  see them: exportkit rejections {JOB}"


def test_counts_are_lined_up_and_zeros_left_out(exportkit: Command) -> None:
    lines = exportkit("run", JOB).out.splitlines()[1:6]
    assert len({line.index(line.split()[1]) for line in lines}) == 1
    assert not any(line.split()[0] == "0" for line in lines)


def test_why_it_failed_is_on_stderr_with_what_to_do_below(
    exportkit: Command, workspace: Path
) -> None:
    (workspace / "data" / "profiles.csv").unlink()
    said = exportkit("run", JOB)
    assert said.err.splitlines()[-2:] == [
        "  sources/customers.yaml:9:7: file: there is no file data/profiles.csv",
        "    relative paths start at the workspace",
    ]
    assert "failed" in said.out.splitlines()[0]
    assert "nothing sent" in said.out.splitlines()[0]


def test_people_are_masked_everywhere(exportkit: Command, workspace: Path) -> None:
    for arguments in (["plan", JOB], ["run", JOB], ["rejections", JOB, "--limit", "0"]):
        said = exportkit(*arguments)
        for line in (workspace / "data" / "profiles.csv").read_text().splitlines()[1:]:
            address = next((value for value in line.split(",") if "@" in value), None)
            if address is not None and len(address) > 6:
                assert address not in said.out + said.err


def test_changed_columns_are_counted(exportkit: Command, workspace: Path) -> None:
    exportkit("run", JOB)
    profiles = workspace / "data" / "profiles.csv"
    text = profiles.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if "eleni@example.com" in line.lower())
    changed = row.replace(row.split(",")[2], "Helena", 1)
    profiles.write_text(text.replace(row, changed), encoding="utf-8")
    said = exportkit("plan", JOB)
    assert "  changed columns: first_name: 1\n" in said.out
    assert "    update  e…i@e….com  first_name\n" in said.out
    assert "-> Helena" in exportkit("plan", JOB, "--show-values").out


def test_more_than_is_shown_is_counted(exportkit: Command) -> None:
    exportkit("run", JOB)
    said = exportkit("rejections", JOB, "--limit", "3")
    assert said.out.splitlines()[0].startswith(f"{JOB}: 16 rows were not delivered by ")
    assert said.out.splitlines()[-1] == "  and 13 more: --limit 0 shows all"
