"""What plugins say is shown without the people they were given and the secrets they know."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from exportkit.errors import Complaint, DestinationError, JobError
from exportkit.host.containment import quiet
from exportkit.host.veil import hand_over_batch, hand_over_columns, veil, veiled
from exportkit.records import Batch, Rejection
from exportkit.redaction import conceal, forget_people, redact

if TYPE_CHECKING:
    from collections.abc import Sequence


def batch(names: Sequence[str | None], **columns: Sequence[str]) -> Batch:
    data = pa.record_batch(
        {"name": pa.array(names), **{k: pa.array(v) for k, v in columns.items()}}
    )
    keys = pa.array([f"k-{number}@example.com" for number in range(len(names))])
    return Batch("r-add-0", "r", "add", data, keys)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë O'Neill is on hold", "[value] is on hold"),
        ("ZOË O'NEILL, Ng and others", "[value], [value] and others"),
        ("{'name': 'Ng'}", "{'name': '[value]'}"),
        ("staying is no person", "staying is no person"),
        ("7 rows, 42 calls, 12345", "7 rows, 42 calls, [value]"),
        ("a letter", "a letter"),
        ("", ""),
    ],
)
def test_values_of_the_rows_are_taken_out(text: str, shown: str) -> None:
    hand_over_batch(batch(["Zoë O'Neill", "Ng", "a", "42", "12345", None]))
    assert redact(text) == shown
    forget_people()
    assert "[value]" not in redact(text)


def test_what_all_rows_have_in_common_is_nobodys() -> None:
    many = [f"Person {number}" for number in range(30)]
    hand_over_batch(batch(many, origin=["newsletter"] * 30))
    assert redact("the newsletter of Person 7") == "the newsletter of [value]"


def test_the_last_batches_are_remembered() -> None:
    for name in ("Anna", "Berta", "Clara", "Doris", "Emily"):
        hand_over_columns(pa.record_batch({"name": pa.array([name])}))
    assert redact("Anna Berta Emily") == "Anna [value] [value]"


def test_nothing_is_read_before_something_is_said() -> None:
    hand_over_batch(Batch("b", "r", "add", None, None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("hunter2", "sent hunter2now", "sent [secret]now"),
        ("kW9", "pin kW9, not skW9s", "pin [secret], not skW9s"),
        ("p@ss word", "?p=p%40ss%20word", "?p=[secret]"),
        ("  tok-1 \n", "is tok-1", "is [secret]"),
        ("", "nothing", "nothing"),
    ],
)
def test_secrets_are_taken_out_as_they_are(secret: str, text: str, shown: str) -> None:
    conceal(secret)
    assert redact(text) == shown


def test_the_longest_secret_first() -> None:
    conceal("tokens")
    conceal("tokens-and-more")
    assert redact("tokens-and-more") == "[secret]"


def test_every_part_of_an_error_is_veiled() -> None:
    hand_over_batch(batch(["Zoë"]))
    error = DestinationError("Zoë failed", hint="write to Zoë")
    error.add_note("Zoë again")
    veil(error)
    assert (str(error), error.args, error.hint) == (
        "[value] failed (write to [value])",
        ("[value] failed",),
        "write to [value]",
    )
    assert not hasattr(error, "__notes__")
    job = JobError(complaints=[Complaint("Zoë", hint="Zoë"), Complaint("two")], field="name")
    veil(job)
    assert str(job) == "[value] ([value])\ntwo"
    assert job.field == "name"


def test_reasons_are_veiled_and_keys_are_not() -> None:
    hand_over_batch(batch(["Zoë"]))
    (found,) = veiled([Rejection("k-0@example.com", "Zoë (k-0@example.com) is on hold")])
    assert found == Rejection("k-0@example.com", "[value] ([address]) is on hold")


def test_what_is_printed_is_veiled_line_by_line(capfd: pytest.CaptureFixture[str]) -> None:
    hand_over_batch(batch(["Zoë"]))
    before = sys.stdout, sys.stderr
    with quiet():
        print("Zo", end="")
        print("ë said")
        sys.stderr.write("to jane@example.com\n")
        sys.stdout.buffer.write("bytes of Zoë\n".encode())
        print("a question to Zoë?", end="")
        sys.stdout.flush()
        print(" yes")
        assert sys.stdout.writable()
        assert not sys.stdout.isatty()
    assert (sys.stdout, sys.stderr) == before
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "[value] said",
        "to [address]",
        "bytes of [value]",
        "a question to [value]? yes",
    ]


def test_words_that_outlive_their_stream_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with quiet():
        words = sys.stderr
        words.write("half a line")
    stream.close()
    words.flush()
    words.buffer.flush()
