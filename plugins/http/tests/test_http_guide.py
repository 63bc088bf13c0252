"""The guide's jobs run against the service that it makes up, and send what it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crm import KEY
from exportkit_http import options
from workspace import person

from exportkit.config.documents import read_document
from exportkit.config.schemas import check, check_options

if TYPE_CHECKING:
    from workspace import Space

PAGE = Path(__file__).parents[3] / "docs" / "http.md"
TEXT = PAGE.read_text(encoding="utf-8")
ALSO = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
YAML = r"^```yaml\n# (\S+)\n(.*?)^```$"
BLOCKS = re.findall(YAML, TEXT + ALSO, re.DOTALL | re.MULTILINE)
PARTS = {
    "connections": ("connection", "options", options.CONNECTION),
    "jobs": ("job", "destination", options.JOB),
}


@pytest.mark.parametrize(("name", "text"), BLOCKS)
def test_every_file_is_right(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    kind, at, schema = PARTS[name.partition("/")[0]]
    document = read_document(path, name)
    assert check(document, kind) == []
    assert check_options(document, (at,), schema) == []


def test_the_jobs_send_what_is_shown(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETTERBOX_KEY", KEY)
    more = {"city": "Volos", "last_name": "Doe"}
    space.people(
        person("ann", lifetime_value="1200.50", newsletter="true", **more),
        person("bob", lifetime_value="3", newsletter="true", **more),
        person("cid", lifetime_value="5000", newsletter="true", **more),
    )
    space.save()
    (space.root / "jobs" / "mail.yaml").unlink()
    (space.root / "sources" / "customers.yaml").write_text(
        "version: 1\nname: customers\nfile: people.csv\nkey: id\n"
        'segments: {vip: {where: "lifetime_value >= 1000"}, newsletter: {where: newsletter}}\n'
    )
    for name, text in re.findall(YAML, TEXT, re.DOTALL | re.MULTILINE):
        ours = text.replace("https://api.letterbox.example", space.crm.url)
        if name.startswith("connections"):
            ours += "consent: {agreed_by: jane@example.com, agreed_on: 2026-01-01}\n"
        (space.root / name).write_text(ours, encoding="utf-8")
    space.save = lambda: None  # type: ignore[method-assign]
    space.type("validate")
    assert space.code == 0, space.printed
    assert "127.0.0.1 answers" in space.type("connection", "test", "letterbox")
    space.type("run", "letterbox-vip")
    assert space.code == 0, space.printed
    shown = re.search(r"```http\n(.*?)\n\n(.*?)\n```", TEXT, re.DOTALL)
    assert shown
    first, *headers = shown[1].splitlines()
    sent = next(request for request in space.crm.requests if "ann" in request.path)
    assert first == f"{sent.method} {sent.path}"
    assert {header.partition(":")[0] for header in headers} <= set(sent.headers)
    assert json.loads(shown[2]) == sent.json
    space.crm.unfit = re.compile("bob")
    space.type("run", "letterbox-news")
    assert space.code == 0, space.printed
    assert space.names == ["ann", "cid"]
    assert "bob" not in space.printed
    assert "is unfit for mail" in space.type("rejections", "letterbox-news")


def test_every_option_is_told() -> None:
    rows = " ".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE))
    told = set(re.findall(r"\w+", rows))
    assert {*options.JOB["properties"], *options.CONNECTION["properties"]} <= told
    assert set(options.CONNECTION["properties"]["auth"]["properties"]) <= told | {
        "header",
        "scope",
        "audience",
    }
