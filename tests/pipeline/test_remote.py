"""Jobs whose source is on a server: nothing old is fetched, nothing that is not whole is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from file_servers import Page, Web

from exportkit.engines.stores import remote
from exportkit.records import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pipeline.conftest import Shop

HEADER = "id,email,name,city\n"
ROWS = "".join(f"{n},p{n}@example.com,Person {n},Delft\n" for n in range(500))


@pytest.fixture
def web(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "BEGINNING", 2_000)
    monkeypatch.setattr("exportkit.engines.stores.web._PATIENCE", 0.001)
    with Web() as web:
        web.pages["/people.csv"] = Page((HEADER + ROWS).encode())
        shop.source["file"] = f"{web.url}/people.csv"
        shop.list()
        yield web


def test_nothing_new_is_not_fetched(shop: Shop, web: Web) -> None:
    assert shop.counts() == Counts(selected=500, added=500, sent=500)
    fetched = len(web.asked)
    assert shop.counts() == Counts(selected=500, unchanged=500)
    assert [part for _, part in web.asked[fetched:]] == ["bytes=0-1048575", "bytes=0-1999"]
    page = Page((HEADER + ROWS.replace("Person 7,", "Person Seven,")).encode(), etag='"2"')
    web.pages["/people.csv"] = page
    assert shop.counts() == Counts(selected=500, updated=1, unchanged=499, sent=1)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (Page((HEADER + ROWS).encode(), cut=1_500), "the connection broke off"),
        (Page((HEADER + ROWS).encode(), parts=False, cut=10_000), "the connection broke off"),
        (Page((HEADER + ROWS + "9,9\n").encode()), "line 502 has 2 values"),
        (Page(b"", 503), "the server answered 503"),
    ],
)
def test_what_is_not_whole_is_not_sent(shop: Shop, web: Web, page: Page, said: str) -> None:
    web.pages["/people.csv"] = page
    run = shop.run()
    assert run.error is not None
    assert run.status == "failed"
    assert run.error.kind == "source"
    assert said in run.error.message
    assert not shop.calls("push")


def test_a_file_that_nobody_dates(shop: Shop, web: Web) -> None:
    shop.source["fresh_within"] = "24h"
    web.pages["/people.csv"].modified = None
    run = shop.run()
    assert run.error is not None
    assert (run.status, run.error.kind) == ("blocked", "guard")
    assert "nothing says when the data of source 'people' was written" in run.error.message
    web.pages["/people.csv"].modified = 1_000_000_000
    blocked = shop.run()
    assert blocked.error is not None
    assert "is older than 1 day" in blocked.error.message


def test_a_plan_holds_as_long_as_the_file_does(shop: Shop, web: Web) -> None:
    plan = shop.plan()
    assert shop.run(plan_id=plan.plan.folder.name).status == "succeeded"
    plan = shop.plan()
    web.pages["/people.csv"].etag = '"3"'
    assert shop.run(plan_id=plan.plan.folder.name).status == "blocked"
