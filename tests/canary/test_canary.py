"""People and secrets with unmistakable names go through every command and failure, and are then
looked for in all that was said and written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest

from tests.canary.chatty import KINDS
from tests.canary.place import (
    CANARIES,
    ENV_TOKEN,
    PEOPLE,
    SIGNED_IN,
    Place,
    found_in,
    make_place,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = make_place(tmp_path)
    yield place
    leaks = [(heard.command, found) for heard in place.heard if (found := heard.leaked())]
    assert leaks == []
    assert not any("Traceback" in heard.err for heard in place.heard)
    assert place.state_leaks() == []
    assert place.open_to_others() == []


EVERY = [
    ("validate",),
    ("validate", "letter"),
    ("plan", "letter"),
    ("plan", "letter", "--offline"),
    ("run", "letter"),
    ("run", "letter", "--full"),
    ("run", "letter", "--retry-refused"),
    ("status",),
    ("history",),
    ("rejections", "letter"),
    ("segments", "people"),
    ("connection", "list"),
    ("connection", "show", "chat"),
    ("connection", "test", "chat"),
    ("audit",),
    ("report",),
    ("schedule", "show"),
    ("clean",),
    ("plugins",),
    ("plugins", "show", "chatty"),
]
"""Commands that speak JSON as well."""
PLAIN = [
    ("metrics",),
    ("schema", "connection", "--type", "chatty"),
    ("completion", "bash"),
    ("connection", "add", "more", "--type", "chatty", "--option", "pin=${env:CANARY_PIN}"),
    ("connection", "detach", "chat", "--job", "letter"),
    ("connection", "remove", "chat"),
    ("init", "another"),
]
TYPES = ("connection", "authorize", "chat", "--agree")


def test_every_command(place: Place) -> None:
    assert place(*TYPES, typed=f"{SIGNED_IN}\n").code == 0
    for command in EVERY:
        for heard in place.both(*command):
            assert heard.code in (0, 2), heard.err
    for command in EVERY[4:8]:
        place("--log-format", "json", *command)
        place(*command, debug=False)
    assert {*PEOPLE["name"][2:], *PEOPLE["email"]} <= place.kept_people(), "the search is blind"
    for command in PLAIN:
        heard = place(*command)
        assert heard.code == 0, (command, heard.err)


def test_every_command_is_in_the_list() -> None:
    from exportkit.cli import COMMANDS, cli

    context = click.Context(cli)
    known = {command[:2] for command in (*EVERY, *PLAIN, TYPES)}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        below = command.commands if isinstance(command, click.Group) else {}
        for each in [(name, sub) for sub in below if sub != "new"] or [(name,)]:
            there = any(shown[: len(each)] == each for shown in known)
            assert there, f"put `{' '.join(each)}` through the canary test as well"


def test_values_are_shown_to_those_who_ask(place: Place) -> None:
    for command in (("plan", "letter"), ("run", "letter"), ("rejections", "letter")):
        options = [] if command[0] == "run" else ["--show-values"]
        heard = [place(*command, *options), place(*command, *options, *["--json"])]
        for each in heard if options else []:
            assert found_in(each.out, CANARIES)
            assert not found_in(each.err)
            place.heard.remove(each)
    audited = place("audit").out
    assert "plan --show-values" in audited
    assert "rejections --show-values" in audited


@pytest.mark.parametrize("kind", [*KINDS, "ValueError", "KeyError", "SystemExit", "OSError"])
def test_whatever_push_raises(place: Place, kind: str) -> None:
    place.mood(f"push:{kind}")
    assert place("run", "letter").code != 0 or kind == "outcome_unknown"
    for command in (("run", "letter", "--json"), ("status",), ("history", "--json")):
        place(*command)


HOOKS = ("connect", "describe_target", "measure", "settle", "find_delivery", "remove", "finish")


@pytest.mark.parametrize("hook", [*HOOKS, "close", "run_finished"])
def test_whatever_other_hooks_raise(place: Place, hook: str) -> None:
    receipts = hook in ("settle", "find_delivery")
    if hook == "remove":
        assert place("run", "letter").code == 0
        place.people(0, 2)
    if hook == "find_delivery":
        place.mood("push:kill")
        assert place("run", "letter").code == -9
    for kind in ("destination", "job", "RuntimeError"):
        place.mood(f"{hook}:{kind}", receipts=receipts)
        heard = place("run", "letter", "--json", *(["--full"] if hook != "remove" else []))
        if hook not in ("run_finished",):
            assert heard.code != 0, (hook, kind)
        place("plan", "letter")
        place("connection", "test", "chat")
    place("history")


def test_signing_in_and_out_quotes_the_token(place: Place) -> None:
    for kind in ("destination", "access_denied", "KeyError"):
        place.mood(f"authorize:{kind}")
        assert place(*TYPES, typed=f"{SIGNED_IN}\n").code != 0
    place.mood("revoke:destination")
    assert place(*TYPES, typed=f"{SIGNED_IN}\n").code == 0
    assert place("connection", "detach", "chat", "--job", "letter").code == 0
    assert place("connection", "remove", "chat").code != 0
    assert place("connection", "remove", "chat", "--unrevoked").code == 0


@pytest.mark.parametrize("mood", ["push:kill", "finish:kill", "remove:kill", "settle:kill"])
def test_a_killed_run_and_the_next(place: Place, mood: str) -> None:
    place("run", "letter")
    place.people(0, 1, phone="+30 694 7731 983")
    place.mood(mood, receipts=mood == "settle:kill")
    assert place("run", "letter").code == -9
    assert place.state_leaks() == []
    place.mood()
    place.both("run", "letter")
    place.both("history")


@pytest.mark.parametrize(
    "where",
    [
        "CAST(name AS INTEGER) > 1",
        "name::DATE > '2020-01-01'",
        "error(name)",
        "street = 1",
        "strptime(phone, '%Y') IS NULL",
    ],
)
def test_predicates_that_fail_on_a_row(place: Place, where: str) -> None:
    place.source(where)
    for command in (("validate",), ("plan", "letter"), ("run", "letter"), ("segments", "people")):
        place.both(*command)


@pytest.mark.parametrize("sql", ["CAST(street AS INTEGER)", "name::DATE", "strptime(name, '%Y')"])
def test_expressions_that_fail_on_a_row(place: Place, sql: str) -> None:
    fields: dict[str, Any] = {"email": "email", "name": {"sql": sql}}
    place.job(map=fields)
    for command in (("validate",), ("plan", "letter"), ("run", "letter")):
        place.both(*command)


def rows(*lines: str) -> bytes:
    return "\n".join(["id,email,name,phone,street", *lines, ""]).encode()


NAME, EMAIL, PHONE, STREET = (PEOPLE[column][0] for column in ("name", "email", "phone", "street"))
GOOD = f"1,{EMAIL},{NAME},{PHONE},{STREET}"


@pytest.mark.parametrize(
    "content",
    [
        rows(GOOD, f"2,{EMAIL},{NAME},{PHONE},{STREET},{NAME},{NAME}"),
        rows(GOOD, f'3,"{EMAIL},{NAME}'),
        rows(GOOD, f"4,{NAME}"),
        rows(GOOD) + f"5,{EMAIL},{NAME}\xe9".encode("latin-1"),
        f"{NAME},{EMAIL}\n{NAME},{EMAIL}\n".encode(),
        rows(GOOD).replace(b"Zebu", b"\0\0\0\0"),
        b"",
    ],
)
def test_broken_sources(place: Place, content: bytes) -> None:
    (place.root / "people.csv").write_bytes(content)
    for command in (("validate",), ("run", "letter"), ("segments", "people")):
        place.both(*command)


@pytest.mark.parametrize("damage", ["journal", "snapshot", "credentials", "catalogue", "cut"])
def test_damaged_state(place: Place, damage: str) -> None:
    place(*TYPES, typed=f"{SIGNED_IN}\n")
    place("run", "letter")
    state = place.root / ".exportkit"
    if damage == "journal":
        (state / "journal.sqlite").write_bytes(b"not a database")
    elif damage == "credentials":
        file = state / "credentials" / "chat.json"
        file.write_text(file.read_text().replace("}", ""))
    elif damage == "catalogue":
        for file in (state / "catalogues").iterdir():
            file.write_text("{")
    else:
        for file in (state / "snapshots").rglob("*.parquet"):
            content = file.read_bytes()
            file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"PAR1")
    for command in (("run", "letter"), ("plan", "letter", "--offline"), ("status",), ("audit",)):
        place.both(*command)
    place("connection", "test", "chat")
    if damage == "journal":
        (state / "journal.sqlite").unlink()  # it is not ours, and nothing was written into it


CONNECTION = "version: 1\nname: chat\ntype: chatty\n"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("connections/chat.yaml", f"{CONNECTION}options: {{key_phrase: {ENV_TOKEN}}}\n"),
        ("connections/chat.yaml", f"{CONNECTION}options: {{token: {{a: {ENV_TOKEN}}}}}\n"),
        ("connections/chat.yaml", f"{CONNECTION}options:\n  key_phrase: '{ENV_TOKEN}\n"),
        ("connections/chat.yaml", f"{CONNECTION}options:\n\tkey_phrase: {ENV_TOKEN}\n"),
        ("connections/chat.yaml", f"{CONNECTION}secret: {ENV_TOKEN}\nsecret: {ENV_TOKEN}\n"),
        ("connections/chat.yaml", f"{CONNECTION}token: [{ENV_TOKEN}]\n"),
        (
            "connections/chat.yaml",
            CONNECTION + "options: {account: '${env:CANARY_TOKEN} ${env:CANARY_LOST}'}\n",
        ),
        ("connections/chat.yaml", CONNECTION + "options: {loud: '${env:CANARY_TOKEN}'}\n"),
        (
            "sources/people.yaml",
            "version: 1\nname: people\nkey: id\nsegments: {everyone: {}}\n"
            f"database: postgresql://jane:{ENV_TOKEN}@db/crm\ntable: people\n",
        ),
        (
            "sources/people.yaml",
            "version: 1\nname: people\nkey: id\nsegments: {everyone: {}}\n"
            "file: '${env:CANARY_TOKEN}.csv'\n",
        ),
        ("jobs/letter.yaml", f"version: 1\nname: letter\nrefresh_token: {ENV_TOKEN}\n"),
        ("exportkit.yaml", f"version: 1\nstate: postgresql://jane:{ENV_TOKEN}@db/x\n"),
    ],
)
def test_secrets_in_wrong_files(place: Place, file: str, text: str) -> None:
    (place.root / file).write_text(text)
    commands = [("validate",), ("run", "letter"), ("connection", "show", "chat"), ("status",)]
    for command in commands:
        place.both(*command)
    place("connection", "test", "chat")
    place("--log-format", "json", "validate")


def test_a_command_line_repeats_no_secret(place: Place) -> None:
    for option in (ENV_TOKEN, f"key_phrase={ENV_TOKEN}", f"token={ENV_TOKEN}"):
        heard = place("connection", "add", "x", "--type", "chatty", "--option", option)
        assert heard.code == 2


def test_credentials_that_are_encrypted_are_nowhere(place: Place) -> None:
    from cryptography.fernet import Fernet

    key = Fernet.generate_key().decode()
    place(*TYPES, typed=f"{SIGNED_IN}\n", EXPORTKIT_CREDENTIALS_KEY=key)
    place("connection", "test", "chat", EXPORTKIT_CREDENTIALS_KEY=key)
    for other in ("", "x" + key[1:-2], Fernet.generate_key().decode()):
        heard = place("connection", "test", "chat", EXPORTKIT_CREDENTIALS_KEY=other)
        assert heard.code == 4
        assert not found_in(heard.err, (key, other or "no key at all"))
    kept = (place.root / ".exportkit" / "credentials" / "chat.json").read_text()
    assert SIGNED_IN not in kept


@pytest.mark.parametrize(
    ("without", "mood", "command"),
    [
        ("exportkit.host.containment:veil_as_raised", "push:destination", ("run", "letter")),
        ("exportkit.host.veil:redact", "", ("run", "letter")),
        ("exportkit.host.destination:veiled", "", ("rejections", "letter")),
        ("exportkit.host.destination:hand_over_batch", "push:job", ("run", "letter")),
        ("exportkit.config.references:conceal", "connect:destination", ("run", "letter")),
        ("exportkit.cli.rejections:mask", "", ("rejections", "letter")),
    ],
)
def test_without_its_protection_a_canary_is_found(
    tmp_path: Path, without: str, mood: str, command: tuple[str, ...]
) -> None:
    place = make_place(tmp_path)
    place.mood(mood)
    place("run", "letter", CANARY_WITHOUT=without)
    heard = place(*command, CANARY_WITHOUT=without)
    assert heard.leaked(), heard.err


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    place("run", "letter")
    folder = place.root / ".exportkit"
    (folder / "notes.txt").write_text(f"met {PEOPLE['name'][0].upper()} today")
    assert any("Zebulonia" in leak for leak in place.state_leaks())
    assert any("notes.txt" in each for each in place.open_to_others())
    assert found_in(f"https://x/?e={PEOPLE['email'][0].replace('@', '%40')}")
