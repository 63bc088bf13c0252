"""The report's page, as its HTML has it and, where a browser is installed, as a reader sees it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from exportkit.operations.overview import Overview, overview_of
from exportkit.operations.page import render
from exportkit.state.usage import KeyUsage
from tests.operations.browser import browsing, installed
from tests.operations.showcase import NOW, Showcase, with_past

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.operations.browser import Tab

HERE = ZoneInfo("Europe/Athens")
NASTY = "<script>alert(1)</script> 🧨 \u202eevil שלום " + "x" * 300 + " '\"&amp;"
CALLS = {f"{(NOW - timedelta(days=back)).date()}": 100 * back + 7 for back in range(30)}


@pytest.fixture(autouse=True)
def nobody_has_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "machine"))


def shown(showcase: Showcase, **more: Any) -> Overview:
    overview = overview_of(showcase.workspace, showcase.house, NOW.astimezone(HERE))
    return replace(overview, **more)


class Outline(HTMLParser):
    """A page as a test asks about it: every tag with its attributes, and all text."""

    VOID = ("meta", "link", "br", "path")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.words.append(" ")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize(("jobs", "runs"), [(0, 0), (1, 0), (1, 1), (6, 12)])
def test_the_page_is_well_formed_and_needs_nothing_else(
    tmp_path: Path, jobs: int, runs: int
) -> None:
    page = render(shown(with_past(tmp_path / "shop", jobs, runs)))
    outline = Outline(page)
    assert outline.open == []
    assert not outline.all("script")
    links = [a[name] or "" for _, a in outline.tags for name in ("href", "src") if name in a]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "url(" not in page
    assert "@import" not in page
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = {link[1:] for link in links if link.startswith("#")}
    for _, attributes in outline.tags:
        named |= set((attributes.get("aria-labelledby") or "").split())
    assert named <= set(ids)


def test_every_table_chart_and_part_has_a_name(tmp_path: Path) -> None:
    outline = Outline(render(shown(with_past(tmp_path / "shop", 4, 9))))
    tags = [tag for tag, _ in outline.tags]
    assert tags.count("caption") == tags.count("table")
    pictures = [a for a in outline.all("svg") if a.get("role") == "img"]
    assert len(pictures) == 4 * 6
    assert all(a.get("aria-labelledby") for a in pictures)
    assert [a for a in outline.all("svg") if "role" not in a and a["aria-hidden"] != "true"] == []
    assert all(a.get("aria-labelledby") for a in outline.all("section"))
    assert tags.count("h1") == tags.count("main") == 1
    assert all(a.get("scope") for a in outline.all("th"))


def test_an_empty_workspace(tmp_path: Path) -> None:
    text = Outline(render(shown(with_past(tmp_path / "shop", 0, 0)))).text
    assert "There is no job yet" in text


def test_one_good_run(tmp_path: Path) -> None:
    text = Outline(render(shown(with_past(tmp_path / "shop", 1, 1, healthy=True)))).text
    assert "All is well" in text
    assert "Nothing needs you." in text
    assert "1 job. In the last 24 hours: runs" not in text
    assert "succeeded" in text


def test_a_failure_comes_first_with_what_to_do(tmp_path: Path) -> None:
    text = Outline(render(shown(with_past(tmp_path / "shop", 2, 5)))).text
    start, jobs = text.index("Look at this first"), text.index("Every job with its last result")
    first = text[start:jobs]
    assert "One thing needs you" in text[:start]
    assert "Act: vip-newsletter" in first
    assert "Failed, 3 times in a row, since Sun 22 Nov, 08:00" in first
    assert "the service did not answer: 503 after 5 attempts" in first
    assert "Next: what was delivered is remembered; run the job again" in first


def test_names_that_are_code_are_text(tmp_path: Path) -> None:
    page = render(shown(with_past(tmp_path / "shop", 3, 6, nasty=NASTY)))
    assert "<script" not in page
    outline = Outline(page)
    assert not outline.all("script")
    assert NASTY.replace("  ", " ") in outline.text


def test_calls_by_day_with_the_limit(tmp_path: Path) -> None:
    usage = (
        KeyUsage(("events", "marketing"), CALLS, 4_000, frozenset({"2026-11-23"}), shared=True),
    )
    text = Outline(render(shown(with_past(tmp_path / "shop", 1, 1), usage=usage))).text
    assert "events, marketing" in text
    assert "7 calls today of 4,000, 0%" in text
    assert "others on this machine use the same key" in text
    assert "2026-11-23 107 (used up)" in text
    assert "the line is the limit" in text


def test_who_may_use_a_connection(tmp_path: Path) -> None:
    text = Outline(render(shown(with_past(tmp_path / "shop", 4, 0)))).text
    assert "admin: jane, %data-admins; contributor: marketing" in text
    assert "agreed on 2026-11-20 by jane@shop.example" in text


def test_reasons_of_checks_and_of_the_destination_name_nobody(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tests.operations.conftest import a_run

    showcase = with_past(tmp_path / "shop", 1, 0)
    done = replace(
        a_run("partial", selected=10, added=7, rejected=1, refused=2), job="vip-newsletter"
    )
    showcase.remember(done, [("email", "missing", 1)])
    refused = showcase.house.state.run(done.run_id) / "refused"
    refused.mkdir(parents=True)
    rows = {
        "key": ["jane@example.com", "joe@example.com"],
        "column": ["email", "email"],
        "reason": ["jane@example.com is on hold", "joe@example.com is on hold"],
    }
    pq.write_table(pa.table(rows), refused / "batch.parquet")
    page = render(shown(showcase))
    text = Outline(page).text
    assert "2 email [address] is on hold (the destination says)" in text
    assert "1 email missing" in text
    assert "jane@example.com" not in page
    assert "joe" not in page


def test_a_broken_file_is_something_to_act_on(tmp_path: Path) -> None:
    showcase = with_past(tmp_path / "shop", 2, 2, healthy=True)
    (showcase.workspace.root / "jobs" / "win-back.yaml").write_text("version: 1\nname: [\n")
    from exportkit.config.workspace import open_workspace

    overview = overview_of(open_workspace(showcase.workspace.root), showcase.house, NOW)
    text = Outline(render(overview)).text
    assert "One thing needs you" in text
    assert re.search(r"Act: \S*jobs/win-back.yaml:3:1 This file cannot be used", text)


needs_browser = pytest.mark.skipif(
    installed() is None, reason="no browser: apt-get install chromium"
)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    program = installed()
    assert program is not None
    with browsing(program, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def opened(tab: Tab, overview: Overview, folder: Path, width: int, *, dark: bool = False) -> str:
    file = folder / "report.html"
    file.write_text(render(overview), encoding="utf-8")
    tab.look(width, dark=dark)
    tab.open(file)
    return str(tab.ask("document.body.innerText"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Showcase:
    return with_past(tmp_path_factory.mktemp("many") / "shop", 30, 20, nasty=NASTY)


@needs_browser
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("dark", [False, True])
def test_what_a_reader_sees(
    tab: Tab, many: Showcase, tmp_path: Path, width: int, dark: bool
) -> None:
    text = opened(tab, shown(many), tmp_path, width, dark=dark)
    lines = [line for line in text.splitlines() if line.strip()]
    assert "things need you" in lines[2]
    assert text.index("Act:") < text.index("Every job with its last result")
    assert text.count("<script>alert(1)</script>") > 30
    assert "2026-11-24 0 6" not in text, "tables of numbers wait until somebody opens them"
    assert tab.ask("document.documentElement.scrollWidth") <= width
    assert tab.ask("document.title").endswith("things need you · shop · exportkit")
    paper = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(16, 21, 27)" if dark else "rgb(245, 246, 248)")
    assert tab.logged == []
    assert [url for url in tab.requested if not url.startswith(("file:", "data:"))] == []


@needs_browser
def test_the_bars_are_as_high_as_the_numbers(tab: Tab, tmp_path: Path) -> None:
    showcase = with_past(tmp_path / "shop", 1, 0)
    from tests.operations.conftest import a_run

    for number, added in enumerate((100, 50, 0)):
        done = a_run(selected=added, added=added, sent=added)
        showcase.remember(replace(done, job="vip-newsletter", run_id=f"run-{number}"))
    opened(tab, shown(showcase), tmp_path, 1280)
    path = tab.ask(
        "document.querySelector('#c-vip-newsletter-1-t').parentElement"
        ".querySelector('.bar').getAttribute('d')"
    )
    heights = [float(each) for each in re.findall(r"v([\d.]+)", path)]
    assert heights == [64.0, 32.0]
    tab.ask("document.querySelector('details').open = true")
    assert "Runs of vip-newsletter, the latest first" in tab.ask("document.body.innerText")


@needs_browser
def test_nothing_is_lost_on_paper(tab: Tab, tmp_path: Path) -> None:
    opened(tab, shown(with_past(tmp_path / "shop", 3, 5)), tmp_path, 1280)
    tab.do("Emulation.setEmulatedMedia", media="print")
    try:
        assert tab.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert "Look at this first" in tab.ask("document.body.innerText")
        assert tab.ask("document.documentElement.scrollWidth") <= 1280
    finally:
        tab.do("Emulation.setEmulatedMedia", media="")
