"""A destination as somebody wrote it against the first version of the contract.

This file is never edited: not for a new argument, not for a new field, not for style. Out there are
plugins like it, and nobody edits those either. If a change to exportkit makes its test fail, the
change is wrong; see docs/growing.md. (The test knows the digest of this file.)
"""

import json
from contextlib import contextmanager
from pathlib import Path

from exportkit import (
    AccessDeniedError,
    Batch,
    Catalogue,
    Column,
    Connection,
    Delivery,
    Description,
    DestinationError,
    FieldMapping,
    Finding,
    JobError,
    Limits,
    OutcomeUnknownError,
    PluginError,
    QuotaSpentError,
    Rejection,
    Run,
    Settlement,
    Target,
    ThrottledError,
    UnavailableError,
    hookimpl,
)

ERRORS = (
    AccessDeniedError("no"),
    DestinationError("no", hint="do something"),
    JobError("no", field="box", known=["a"]),
    OutcomeUnknownError("no"),
    PluginError("no"),
    QuotaSpentError("no"),
    ThrottledError("no", retry_after=1.0),
    UnavailableError("no"),
)

CONNECTION = {
    "type": "object",
    "required": ["folder"],
    "properties": {"folder": {"type": "string"}, "api_key": {"type": "string", "writeOnly": True}},
}
JOB = {"type": "object", "properties": {"box": {"type": "string", "default": "letters"}}}
FIELDS = (
    Column("email", None, "email", True, 50, "reject", True, None, "who it is"),
    Column("first_name", None, "text", False, 20, "truncate"),
    Column("tier", max_length=10),
)


@hookimpl
def describe_destination():
    return Description(
        "First",
        "Puts people into boxes.",
        CONNECTION,
        JOB,
        FIELDS,
        ("upsert", "insert", "mirror", "full"),
        Limits(40, batch_bytes=4000, calls_per_second=1000.0, calls_per_day=100_000),
        False,
        False,
    )


class Session:
    def __init__(self, connection: Connection) -> None:
        self.account = f"box room of {connection.display_name}"
        self.folder = Path(connection.workspace, connection.options["folder"])
        self.folder.mkdir(exist_ok=True)
        self.key = (connection.credentials.read() or {}).get("key")
        self.calls = connection.calls("first")

    def box(self, name):
        file = self.folder / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def put(self, name, content):
        (self.folder / f"{name}.json").write_text(json.dumps(content, sort_keys=True))


@hookimpl
@contextmanager
def connect(connection):
    yield Session(connection)


@hookimpl
def describe_target(session, options):
    name = options["box"]
    extra = (Column("note", description="of this box alone"),)
    return Catalogue(name, f"box-{name}", extra, len(session.box(name)), {"lid": "closed"})


@hookimpl
def map_fields(mapping: FieldMapping):
    import narwhals as nw

    found = [column for column in FIELDS if column.name in mapping]
    if "note" in mapping:
        found.append(Column("note", nw.col("note").str.to_uppercase()))
    if "loud" in mapping.names:
        raise JobError("boxes are quiet", field="loud", known=["note"])
    return found


@hookimpl
def measure(columns):
    import pyarrow as pa

    return pa.array([10] * columns.num_rows)


@hookimpl
def push(session, batch: Batch):
    session.calls.take()
    unfit = [row["email"] for row in batch.rows() if row["email"].startswith("no")]
    receipt = f"r-{batch.id}"
    session.put(receipt, [row for row in batch.rows() if row["email"] not in unfit])
    return Delivery(receipt, [Rejection(key, "the box is shut", "email") for key in unfit])


@hookimpl
def settle(session, receipts):
    answers = []
    for receipt in receipts:
        content = session.box("letters")
        content.update({row["email"]: row for row in session.box(receipt)})
        session.put("letters", content)
        answers.append(Settlement(receipt, "done", [], ""))
    return answers


@hookimpl
def find_delivery(session, batch):
    if (session.folder / f"r-{batch.id}.json").exists():
        return Finding("taken", Delivery(f"r-{batch.id}"))
    return Finding("not_taken")


@hookimpl
def remove(session, batch):
    gone = set(batch.keys.to_pylist())
    content = session.box("letters")
    session.put("letters", {key: row for key, row in content.items() if key not in gone})
    return Delivery()


@hookimpl
def finish(session, target: Target):
    count = {"people": len(session.box("letters")), "columns": list(target.names)}
    session.put("closed", {**count, "box": target.options["box"]})


@hookimpl
def run_finished(run: Run):
    print("first heard of", run.job, run.status, run.counts.added)


@hookimpl
def authorize(connection, prompt):
    return {"key": prompt("Key")}


@hookimpl
def revoke():
    print("first gave the key back")


@hookimpl
def register_commands(cli):
    @cli.command()
    def boxes():
        print("one box")


@hookimpl(optionalhook=True)
def paint(session):
    raise AssertionError("there is no such hook, and nobody calls it")
