from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from exportkit.config.documents import Document, read_document

if TYPE_CHECKING:
    from pathlib import Path

Read = Callable[..., Document]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes text as a file and reads it back: `read("a: 1")`."""

    def write_and_read(content: str | bytes, name: str = "file.yaml") -> Document:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_document(path, name)

    return write_and_read


FILES = {
    "exportkit.yaml": "version: 1\nroles: {admin: [jane], contributor: [marketing, '%data']}\n",
    "sources/customers.yaml": (
        "version: 1\nname: customers\nfile: data/profiles.parquet\nkey: customer_id\n"
        "segments:\n  vip: {where: 'lifetime_value >= 1000', description: Spent a lot}\n"
        "  newsletter: {where: newsletter}\n  everyone:\n"
    ),
    "connections/marketing.yaml": (
        "version: 1\nname: marketing\ntype: paper\nuse: [admin, contributor]\n"
        "consent: {agreed_by: jane@example.com, agreed_on: 2026-11-20}\n"
        "options:\n  client_id: ${env:CLIENT_ID}\n"
    ),
    "jobs/vip-newsletter.yaml": (
        "version: 1\nname: vip-newsletter\nsource: customers\nsegments: [vip, newsletter]\n"
        "connection: marketing\nmap:\n  email: email\n"
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small workspace, which is the current directory."""
    root = tmp_path / "space"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(root)
    return root
