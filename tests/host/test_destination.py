from __future__ import annotations

import io
import logging
import os
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from exportkit import (
    AccessDeniedError,
    Catalogue,
    Column,
    Connection,
    Delivery,
    DestinationError,
    FieldMapping,
    Finding,
    JobError,
    MappedField,
    OutcomeUnknownError,
    PluginError,
    QuotaSpentError,
    Rejection,
    Settlement,
    Target,
    ThrottledError,
    UnavailableError,
)
from exportkit.errors import InterruptedRun

from .conftest import SOUND, Site, make_batch

if TYPE_CHECKING:
    from exportkit import Batch
    from exportkit.host import Destination


def with_hooks(*hooks: str, sound: str = SOUND) -> str:
    parts = [textwrap.dedent(part).strip("\n") for part in (sound, *hooks)]
    return "\n\n".join([parts[0], *(f"@hookimpl\n{part}" for part in parts[1:])]) + "\n"


def pushing(body: str) -> str:
    return SOUND.replace("return Delivery()", body)


def install(site: Site, source: str) -> Destination:
    site.install(source)
    host = site.load()
    assert host.broken == ()
    return host.destination("mill")


EVERY_HOOK = with_hooks(
    """
    def describe_target(session, options):
        return Catalogue(options["tray"], identity="t1", members=2)
    """,
    """
    def map_fields(mapping, target):
        return [Column("email", kind="email", key=True)]
    """,
    """
    def measure(target, columns):
        import pyarrow.compute as pc
        return pc.binary_length(columns["email"])
    """,
    """
    def settle(session, receipts):
        return (Settlement(receipt, "done") for receipt in reversed(receipts))
    """,
    """
    def find_delivery(session, batch):
        return Finding("taken" if batch.id in session["seen"] else "not_taken")
    """,
    """
    def remove(session, batch):
        return Delivery(rejections=(Rejection(key, "stays") for key in ["ann@example.com"]))
    """,
    """
    def finish(session, target):
        session["finished"] = True
    """,
    """
    def authorize(connection, prompt):
        print("look at your phone")
        return {"token": prompt("code? ")}
    """,
    """
    def revoke(connection):
        connection.options["revoked"] = True
    """,
)


def test_every_hook_has_its_method(
    site: Site,
    connection: Connection,
    target: Target,
    batch: Batch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mill = install(site, EVERY_HOOK)
    assert mill.type == "mill"
    assert mill.describe().title == "Paper mill"
    assert mill.authorize(connection, lambda question: question + "42") == {"token": "code? 42"}
    with mill.connect(connection) as session:
        assert mill.describe_target(session, {"tray": "A4"}) == Catalogue("A4", "t1", members=2)
        mapping = FieldMapping((MappedField("email"),))
        assert mill.map_fields(mapping, target) == (Column("email", kind="email", key=True),)
        assert mill.measure(target, batch.data) == pa.array([15, 15], pa.int64())
        assert mill.find_delivery(session, batch, target) == Finding("not_taken")
        assert mill.push(session, batch, target) == Delivery(None, ())
        assert mill.find_delivery(session, batch, target) == Finding("taken", Delivery(None, ()))
        assert mill.settle(session, ["r1", "r2"], target, lambda _: batch) == (
            Settlement("r1", "done"),
            Settlement("r2", "done"),
        )
        rejected = (Rejection("ann@example.com", "stays"),)
        assert mill.remove(session, batch, target) == Delivery(None, rejected)
        mill.finish(session, target)
        assert session == {"seen": ["run-1"], "finished": True}
    mill.revoke(connection)
    assert connection.options["revoked"]
    assert capsys.readouterr().out == ""
    hooks = set(mill.plugin.hooks)
    assert all(mill.can(hook) for hook in hooks)


OF_A_JOB = """
def describe_job(options):
    if options.get("tray") == "A9":
        raise JobError("no such tray", field=("tray", "name"), name="A9", known=["A4"])
    without = [] if options.get("shredder") else options.get("without", ["remove"])
    return Description("Paper mill", modes=("upsert",), without=without)
"""


def test_a_job_may_leave_a_destination_less_than_it_has(site: Site) -> None:
    mill = install(site, with_hooks(OF_A_JOB, sound=EVERY_HOOK))
    assert mill.can("remove")
    without = mill.for_job({})
    assert without.can("push")
    assert not without.can("remove")
    assert without.describe().modes == ("upsert",)
    assert mill.for_job({"shredder": True}).can("remove")


@pytest.mark.parametrize("hook", ["push", "shred"])
def test_what_a_job_cannot_be_without(site: Site, hook: str) -> None:
    mill = install(site, with_hooks(OF_A_JOB, sound=EVERY_HOOK))
    with pytest.raises(PluginError, match=f"wants to be without '{hook}'"):
        mill.for_job({"without": [hook]})


def test_without_the_hook_all_jobs_are_alike(site: Site) -> None:
    mill = install(site, EVERY_HOOK)
    assert mill.for_job({"shredder": False}) is mill


def test_hooks_that_a_destination_lacks_have_defaults_or_say_so(
    site: Site, connection: Connection, target: Target, batch: Batch
) -> None:
    mill = install(site, SOUND)
    assert mill.can("push")
    assert not mill.can("settle")
    with mill.connect(connection) as session:
        assert mill.describe_target(session, {}) == Catalogue("Paper mill")
        mill.finish(session, target)
        with pytest.raises(PluginError, match="has no hook 'settle'"):
            mill.settle(session, ["r"], target, lambda _: batch)
    for call in (
        lambda: mill.measure(target, batch.data),
        lambda: mill.remove(None, batch, target),
        lambda: mill.find_delivery(None, batch, target),
        lambda: mill.authorize(connection, str),
        lambda: mill.revoke(connection),
    ):
        with pytest.raises(PluginError, match="has no hook"):
            call()


def test_an_implementation_may_leave_out_trailing_arguments(
    site: Site, target: Target, batch: Batch
) -> None:
    mill = install(
        site,
        pushing("return Delivery()")
        .replace("(session, batch)", "(session)")
        .replace('session["seen"].append(batch.id)', "pass"),
    )
    assert mill.push({}, batch, target) == Delivery(None, ())


PASSING = [
    ("AccessDeniedError('no')", AccessDeniedError),
    ("ThrottledError('slow', retry_after=3)", ThrottledError),
    ("QuotaSpentError('none left')", QuotaSpentError),
    ("UnavailableError('down')", UnavailableError),
    ("OutcomeUnknownError('cut')", OutcomeUnknownError),
    ("JobError('wrong')", JobError),
    ("PluginError('broken')", PluginError),
    ("__import__('exportkit.errors').errors.InterruptedRun('stop')", InterruptedRun),
]


@pytest.mark.parametrize(("raised", "expected"), PASSING)
def test_the_errors_of_the_contract_pass_without_what_caused_them(
    site: Site, target: Target, batch: Batch, raised: str, expected: type[Exception]
) -> None:
    body = f"""
        try:
            raise ValueError("POST /contacts?email=ann@example.com")
        except ValueError as error:
            raise {raised} from error"""
    mill = install(site, pushing(body))
    with pytest.raises(expected) as caught:
        mill.push({"seen": []}, batch, target)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert not _mentions(caught.value, "ann@example.com")


FAILING = {
    "ValueError": "raise ValueError(batch.keys.to_pylist())",
    "SystemExit": "raise SystemExit('ann@example.com')",
    "CancelledError": "raise __import__('asyncio').CancelledError('ann@example.com')",
    "RecursionError": "push(session, batch)",
    "ConfigError": "raise __import__('exportkit.errors').errors.ConfigError('ann@example.com')",
    "OSError (Invalid argument)": "raise OSError(22, 'ann@example.com')",
    "SSLError": "raise __import__('ssl').SSLError(1, 'ann@example.com')",
    "OSError": "raise OSError('ann@example.com')",
    "ArrowInvalid": "batch.data.cast(__import__('pyarrow').schema([('email', 'int64')]))",
}


@pytest.mark.parametrize("kind", FAILING)
def test_anything_else_becomes_a_plugin_error_without_its_text(
    site: Site, target: Target, batch: Batch, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    mill = install(site, pushing(FAILING[kind]))
    with pytest.raises(PluginError) as caught:
        mill.push({"seen": []}, batch, target)
    assert caught.value.message.startswith(
        f"mill (exportkit-mill 1.2.3) failed in push: {kind} at exportkit_mill:"
    )
    assert caught.value.hint == "this is a fault of exportkit-mill: update it, or tell its authors"
    try:
        raise caught.value
    except PluginError:
        logging.getLogger("test").exception("it failed")
    assert "ann@example.com" not in caplog.text
    assert not _mentions(caught.value, "ann@example.com")


REFUSED_BY_THE_SYSTEM = [
    ("ENOSPC", "mill: no space left on device", "make room there"),
    ("EDQUOT", "mill: disk quota exceeded", "make room there"),
    ("EFBIG", "mill: file too large", "make room there"),
    ("EACCES", "mill: permission denied", "has to be able to write there"),
    ("EPERM", "mill: operation not permitted", "has to be able to write there"),
    ("EROFS", "mill: read-only file system", "has to be able to write there"),
    ("ENOTDIR", "mill: not a directory", "choose another path"),
    ("EISDIR", "mill: is a directory", "choose another path"),
    ("ENAMETOOLONG", "mill: file name too long", "choose another path"),
    ("EMFILE", "mill: too many open files", "ulimit -n"),
    ("EIO", "mill: input/output error", "look after that disk"),
]


@pytest.mark.parametrize(("code", "message", "hint"), REFUSED_BY_THE_SYSTEM)
def test_what_the_machine_refuses_is_not_the_plugin_s_fault(
    site: Site, target: Target, batch: Batch, code: str, message: str, hint: str
) -> None:
    body = f"raise OSError(__import__('errno').{code}, 'for ann@example.com', '/out/a.csv')"
    mill = install(site, pushing(body))
    with pytest.raises(DestinationError) as caught:
        mill.push({"seen": []}, batch, target)
    assert type(caught.value) is DestinationError
    assert caught.value.message == f"{message} (/out/a.csv)"
    assert hint in str(caught.value.hint)
    assert not _mentions(caught.value, "ann@example.com")


def test_a_refusal_names_no_profile_even_where_the_file_does(
    site: Site, target: Target, batch: Batch
) -> None:
    body = "raise PermissionError(13, 'no', f'/out/{batch.keys[0]}.csv')"
    mill = install(site, pushing(body))
    with pytest.raises(DestinationError, match=r"^mill: permission denied") as caught:
        mill.push({"seen": []}, batch, target)
    assert not _mentions(caught.value, "ann@example.com")


def test_a_real_refusal_names_the_real_file(site: Site, target: Target, batch: Batch) -> None:
    mill = install(site, pushing("open('/', 'w')"))
    with pytest.raises(DestinationError) as caught:
        mill.push({"seen": []}, batch, target)
    assert caught.value.message == "mill: is a directory (/)"


def test_a_keyboard_interrupt_passes(site: Site, target: Target, batch: Batch) -> None:
    mill = install(site, pushing("raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        mill.push({"seen": []}, batch, target)


def test_the_line_is_that_of_the_plugin_not_of_what_it_calls(
    site: Site, target: Target, batch: Batch
) -> None:
    mill = install(site, pushing("__import__('json').loads('{')"))
    with pytest.raises(PluginError, match=r"JSONDecodeError at exportkit_mill:17 "):
        mill.push({"seen": []}, batch, target)


WRONG_DELIVERIES = {
    "return None": "push must answer a Delivery, not None",
    "return True": "push must answer a Delivery, not a bool",
    "return iter([])": "push must answer a Delivery, not a list_iterator",
    "return Delivery(receipt='')": "push has no receipt",
    "return Delivery(receipt=7)": "push has no receipt",
    "return Delivery(receipt='r')": "there is no hook 'settle' to redeem it",
    "return Delivery(rejections=None)": "several Rejection as rejections, not None",
    "return Delivery(rejections='ann')": "several Rejection as rejections, not a str",
    "return Delivery(rejections=['ann'])": "has a str among its rejections, not a Rejection",
    "return Delivery(rejections=[Rejection('x', 'no'), Rejection('y', 'no')])": (
        "rejected 2 keys that are not in the batch"
    ),
    "return Delivery(rejections=[Rejection('ann@example.com', 'no')] * 2)": "rejected a key twice",
    "import itertools; return Delivery("
    "rejections=(Rejection(str(n), 'no') for n in itertools.count()))": (
        "rejected 3 keys that are not in the batch"
    ),
    "return Delivery(rejections=[Rejection(None, 'no')])": "a key that is no text",
    "return Delivery(rejections=[Rejection('ann@example.com', ' ')])": "without a reason",
    "return Delivery(rejections=[Rejection('ann@example.com', 'no', 1)])": "that is no text",
}


@pytest.mark.parametrize("body", WRONG_DELIVERIES)
def test_a_wrong_delivery_is_refused(site: Site, target: Target, batch: Batch, body: str) -> None:
    mill = install(site, pushing(body))
    with pytest.raises(PluginError) as caught:
        mill.push({"seen": []}, batch, target)
    assert WRONG_DELIVERIES[body] in caught.value.message
    assert caught.value.message.startswith("mill (exportkit-mill 1.2.3): push ")
    assert "ann@example.com" not in str(caught.value)


def test_lazy_rejections_are_read_where_they_are_contained(
    site: Site, target: Target, batch: Batch
) -> None:
    body = "return Delivery(rejections=(Rejection(key, 1 / 0) for key in ['ann@example.com']))"
    mill = install(site, pushing(body))
    with pytest.raises(PluginError, match="ZeroDivisionError at exportkit_mill"):
        mill.push({"seen": []}, batch, target)


WRONG_ANSWERS = [
    ("settle", "session, receipts", "return None", "several Settlement"),
    ("settle", "session, receipts", "return []", "left 2 of 2 receipts without an answer"),
    (
        "settle",
        "session, receipts",
        "return [Settlement(r, 'done') for r in [*receipts, 'r1']]",
        "settled a receipt twice",
    ),
    (
        "settle",
        "session, receipts",
        "import itertools; return (Settlement('r1', 'done') for _ in itertools.count())",
        "settled a receipt twice",
    ),
    (
        "settle",
        "session, receipts",
        "return [Settlement('r9', 'done')]",
        "a receipt that it was not asked about",
    ),
    (
        "settle",
        "session, receipts",
        "return [Settlement(r, 'finished') for r in receipts]",
        "a wrong state: one of pending, done, failed",
    ),
    ("find_delivery", "session, batch", "return True", "must answer a Finding, not a bool"),
    ("find_delivery", "session, batch", "return Finding('maybe')", "a wrong state"),
    (
        "find_delivery",
        "session, batch",
        "return Finding('taken', Delivery('r1'))",
        "no hook 'settle'",
    ),
    ("measure", "target, columns", "return [1, 2]", "an Arrow array of integers, not a list"),
    ("measure", "target, columns", "return pa.array([1])", "answered 1 sizes for 2 rows"),
    ("measure", "target, columns", "return pa.array([1, None])", "no size for 1 of 2 rows"),
    ("measure", "target, columns", "return pa.array([1, -2])", "a negative size"),
    ("measure", "target, columns", "return pa.array([1.5, 2])", "not an array of double"),
    ("describe_target", "session", "return None", "must answer a Catalogue, not None"),
    ("describe_target", "session", "return Catalogue('')", "has no name"),
    ("describe_target", "session", "return Catalogue('a', members=-1)", "a members that is no"),
    (
        "describe_target",
        "session",
        "return Catalogue('a', details={'at': object()})",
        "details that are not plain JSON",
    ),
    (
        "describe_target",
        "session",
        "return Catalogue('a', fields=(Column('a', nw.col('b')),))",
        "cannot be kept for offline plans",
    ),
    ("map_fields", "mapping", "return None", "several Column as columns, not None"),
    ("map_fields", "mapping", "return ['email']", "has a str among its columns"),
    ("map_fields", "mapping", "return [Column('a'), Column('a')]", "has 'a' twice"),
    ("map_fields", "mapping", "return [Column('a'), Column('A')]", "differ only in case"),
    ("map_fields", "mapping", "return [Column('exportkit_key')]", "are reserved"),
    ("map_fields", "mapping", "return [Column('*')]", "stands for every column"),
    (
        "map_fields",
        "mapping",
        "return [Column('a', key=True), Column('b', key=True)]",
        "more than one key in its columns: a, b",
    ),
    ("map_fields", "mapping", "return [Column('exportkit.key')]", "are reserved"),
    ("map_fields", "mapping", "return [Column('a', 'upper(b)')]", "a str as expression of 'a'"),
    ("map_fields", "mapping", "return [Column('a', accepts='b')]", "a str as accepts of 'a'"),
    ("map_fields", "mapping", "return [Column('a', reason=' ')]", "has no reason of 'a'"),
    ("map_fields", "mapping", "return [Column('a', kind='mail')]", "the kind 'mail' of 'a'"),
    ("map_fields", "mapping", "return [Column('a', max_length=0)]", "max_length of 'a'"),
    ("authorize", "connection", "return None", "a dict of plain JSON values"),
    ("authorize", "connection", "return {'token': b'x'}", "a dict of plain JSON values"),
]


@pytest.mark.parametrize(("hook", "arguments", "body", "expected"), WRONG_ANSWERS)
def test_a_wrong_answer_is_refused(
    site: Site,
    connection: Connection,
    target: Target,
    batch: Batch,
    hook: str,
    arguments: str,
    body: str,
    expected: str,
) -> None:
    imports = "    import narwhals as nw, pyarrow as pa"
    sound = textwrap.dedent(imports) + "\n" + textwrap.dedent(SOUND)
    mill = install(site, with_hooks(f"def {hook}({arguments}): {body}", sound=sound))
    calls: dict[str, Any] = {
        "settle": lambda: mill.settle(None, ["r1", "r2"], target, lambda _: batch),
        "find_delivery": lambda: mill.find_delivery(None, batch, target),
        "measure": lambda: mill.measure(target, batch.data),
        "describe_target": lambda: mill.describe_target(None, {}),
        "map_fields": lambda: mill.map_fields(FieldMapping((MappedField("a"),)), target),
        "authorize": lambda: mill.authorize(connection, str),
    }
    with pytest.raises(PluginError) as caught:
        calls[hook]()
    assert f"mill (exportkit-mill 1.2.3): {hook} " in caught.value.message
    assert expected in caught.value.message


WRONG_DESCRIPTIONS = {
    "Description('')": "has no title",
    "Description('a', modes=())": "list some of upsert, insert, mirror, full",
    "Description('a', modes='full')": "several str as modes",
    "Description('a', modes=('replace',))": "has the modes",
    "Description('a', modes=('full', 'full'))": "each once",
    "Description('a', modes=('upsert', 'full'), whole=True)": "its only mode is 'full'",
    "Description('a', limits=None)": "must have Limits as limits",
    "Description('a', limits=Limits(batch_rows=0))": "limit batch_rows",
    "Description('a', limits=Limits(batch_rows=None))": "limit batch_rows",
    "Description('a', limits=Limits(calls_per_second=0))": "calls_per_second",
    "Description('a', third_party=None)": "a third_party that is not True or False",
    "Description('a', fields=(Column(''),))": "has no name in its fields",
    "Description('a', fields=(Column('b'), Column('b')))": "has 'b' twice in its fields",
    "Description('a', job_options={})": "job_options that are no JSON Schema of an object",
    "Description('a', job_options={'type': 'object', 'properties': 3})": "a wrong JSON Schema",
    "Description('a', job_options={'type': 'object', 'default': {1}})": "not plain JSON values",
}


@pytest.mark.parametrize("answer", WRONG_DESCRIPTIONS)
def test_a_wrong_description_breaks_the_plugin(site: Site, answer: str) -> None:
    site.install(SOUND.replace('Description("Paper mill")', answer))
    (broken,) = site.load().broken
    assert WRONG_DESCRIPTIONS[answer] in broken.reason


def test_a_job_error_gets_its_line_and_the_nearest_name(site: Site, tmp_path: Path) -> None:
    from exportkit.config.documents import read_document

    job = tmp_path / "job.yaml"
    job.write_text("version: 1\ndestination:\n  tray: A44\nmap:\n  emial: email\n  agee: age\n")
    site.install(
        with_hooks(
            """
            def describe_target(session, options):
                raise JobError("there is no such tray", field="tray", known=["A3", "A4"])
            """,
            sound=SOUND.replace(
                '"Paper mill"', '"Paper mill", fields=(Column("email"), Column("age"))'
            ),
        )
    )
    host = site.load()
    mill = host.destination("mill", job=read_document(job, "jobs/job.yaml"))
    with pytest.raises(JobError) as caught:
        mill.describe_target(None, {"tray": "A44"})
    assert str(caught.value) == (
        "jobs/job.yaml:3:9: destination.tray: there is no such tray (did you mean 'A4'?)"
    )
    mapping = FieldMapping((MappedField("emial"), MappedField("agee")))
    target = Target({}, Catalogue("A4"), tmp_path)
    with pytest.raises(JobError) as caught:
        mill.map_fields(mapping, target)
    assert str(caught.value).splitlines() == [
        "jobs/job.yaml:5:3: map.emial: the destination has no field 'emial' "
        "(did you mean 'email'?)",
        "jobs/job.yaml:6:3: map.agee: the destination has no field 'agee' (did you mean 'age'?)",
    ]
    with pytest.raises(JobError, match=r"^the destination has no field 'emial' \(did"):
        host.destination("mill").map_fields(mapping, target)


def test_a_part_of_an_option_has_its_line_too(site: Site, tmp_path: Path) -> None:
    from exportkit.config.documents import read_document

    job = tmp_path / "job.yaml"
    job.write_text("version: 1\ndestination:\n  tray:\n    sheets:\n    - A4\n    - A0 {colr}\n")
    site.install(
        with_hooks(
            """
            def describe_job(options):
                way, known = ("tray", "sheets", 1), ["colour", "weight"]
                raise JobError("no such thing", field=way, known=known, name="colr")
            """
        )
    )
    mill = site.load().destination("mill", job=read_document(job, "jobs/job.yaml"))
    with pytest.raises(JobError) as caught:
        mill.for_job({})
    assert str(caught.value) == (
        "jobs/job.yaml:6:7: destination.tray.sheets[1]: no such thing (did you mean 'colour'?)"
    )


def test_free_fields_pass_in_the_order_of_the_map(site: Site, target: Target) -> None:
    mill = install(site, SOUND)
    mapping = FieldMapping((MappedField("z", "number"), MappedField("a", required=True)), key="a")
    assert mill.map_fields(mapping, target) == (
        Column("z", kind="number"),
        Column("a", required=True, key=True),
    )
    twice = FieldMapping((MappedField("a"), MappedField("a")))
    with pytest.raises(JobError, match="'a' is mapped twice"):
        mill.map_fields(twice, target)


def test_a_job_can_only_tighten_what_is_declared(site: Site, tmp_path: Path) -> None:
    declared = (
        'Column("email", kind="email", required=True, max_length=80, key=True), '
        'Column("note", max_length=50)'
    )
    mill = install(site, SOUND.replace('"Paper mill"', f'"Paper mill", fields=({declared},)'))
    target = Target({}, Catalogue("A4", fields=(Column("cf:tier", max_length=9),)), tmp_path)
    mapping = FieldMapping(
        (
            MappedField("email", kind="text", required=False, max_length=100),
            MappedField("note", kind="number", required=True, max_length=20),
            MappedField("cf:tier", on_too_long="truncate"),
        )
    )
    assert mill.map_fields(mapping, target) == (
        Column("email", kind="email", required=True, max_length=80, key=True),
        Column("note", kind="number", required=True, max_length=20),
        Column("cf:tier", max_length=9, on_too_long="truncate"),
    )
    keyed = FieldMapping(mapping.fields, key="note")
    assert [column.key for column in mill.map_fields(keyed, target)] == [False, True, False]


def test_a_session_is_closed_whatever_happens(
    site: Site, connection: Connection, target: Target, batch: Batch
) -> None:
    source = SOUND.replace(
        'yield {"seen": []}',
        'session = {"seen": []}\n        '
        "try:\n            yield session\n        finally:\n"
        '            connection.options["closed"] = True',
    )
    mill = install(site, source)
    with mill.connect(connection):
        pass
    assert connection.options.pop("closed")
    with pytest.raises(KeyboardInterrupt), mill.connect(connection):
        raise KeyboardInterrupt
    assert connection.options.pop("closed")
    error = UnavailableError("down")
    with pytest.raises(UnavailableError) as caught, mill.connect(connection):
        raise error
    assert caught.value is error
    assert connection.options.pop("closed")


def test_a_session_cannot_swallow_what_went_wrong(site: Site, connection: Connection) -> None:
    swallowing = "try:\n            yield {}\n        except BaseException:\n            pass"
    mill = install(site, SOUND.replace('yield {"seen": []}', swallowing))
    with pytest.raises(UnavailableError), mill.connect(connection):
        raise UnavailableError("down")


def test_a_session_that_cannot_be_closed_fails_unless_something_else_did(
    site: Site, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    closing = (
        "try:\n            yield {}\n        finally:\n            raise ValueError('ann@e.com')"
    )
    mill = install(site, SOUND.replace('yield {"seen": []}', closing))
    with (
        pytest.raises(PluginError, match=r"failed in connect: ValueError"),
        mill.connect(connection),
    ):
        pass
    assert caplog.text == ""
    with pytest.raises(UnavailableError), mill.connect(connection):
        raise UnavailableError("down")
    assert "failed in connect: ValueError at exportkit_mill" in caplog.text
    assert "ann@e.com" not in caplog.text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return None", "must answer a context manager"),
        ("return {}", "must answer a context manager"),
        ("raise AccessDeniedError('no')", "no"),
    ],
)
def test_connect_must_answer_a_context_manager(
    site: Site, connection: Connection, body: str, expected: str
) -> None:
    source = SOUND.replace("    @contextmanager\n", "").replace('yield {"seen": []}', body)
    mill = install(site, source)
    with pytest.raises((PluginError, AccessDeniedError), match=expected), mill.connect(connection):
        pytest.fail("there is no session")


def test_a_session_that_fails_to_open_is_a_plugin_error(site: Site, connection: Connection) -> None:
    mill = install(site, SOUND.replace('yield {"seen": []}', "yield connection.options['x']"))
    with pytest.raises(PluginError, match="connect: KeyError at exportkit_mill:12"):
        mill.connect(connection).__enter__()


def test_stdout_and_the_working_directory_are_the_hosts(
    site: Site, target: Target, batch: Batch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = Path.cwd()
    mill = install(
        site,
        pushing(f"print('hello'); __import__('os').chdir({str(tmp_path)!r}); return Delivery()"),
    )
    mill.push({"seen": []}, batch, target)
    assert Path.cwd() == before
    assert capsys.readouterr() == ("", "hello\n")


def test_stdout_comes_back_when_calls_overlap(site: Site, target: Target, batch: Batch) -> None:
    mill = install(site, pushing("session['inside'].wait(5); print('hello'); return Delivery()"))
    inside = threading.Barrier(2)
    stdout = sys.stdout

    def push() -> None:
        for _ in range(20):
            mill.push({"seen": [], "inside": inside}, batch, target)

    threads = [threading.Thread(target=push) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is stdout


def test_the_working_directory_comes_back_when_calls_overlap(
    site: Site, target: Target, batch: Batch, tmp_path: Path
) -> None:
    """The second finds itself where the first went, and must not put that back."""
    before = Path.cwd()
    body = f"__import__('os').chdir({str(tmp_path)!r}); session['meet'](); return Delivery()"
    mill = install(site, pushing(body))
    entered, left = threading.Event(), threading.Event()

    def first() -> None:
        mill.push({"seen": [], "meet": lambda: (entered.set(), left.wait(5))}, batch, target)

    def leave_first() -> None:
        left.set()
        thread.join()

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(5)
    mill.push({"seen": [], "meet": leave_first}, batch, target)
    assert Path.cwd() == before


def test_a_working_directory_that_is_gone_disturbs_nobody(
    site: Site, target: Target, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mill = install(site, SOUND)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError):
        os.getcwd()  # noqa: PTH109
    assert mill.push({"seen": []}, batch, target) == Delivery(None, ())


AUDITOR = """
    from exportkit import hookimpl
    @hookimpl(wrapper=True)
    def push(session, batch):
        answer = yield
        {body}
        return answer
    @hookimpl(wrapper=True)
    def connect(connection):
        return (yield)
"""


def test_others_may_wrap_a_destination_but_never_answer_for_it(
    site: Site, target: Target, batch: Batch, connection: Connection
) -> None:
    site.install(
        AUDITOR.format(body="session['audited'] = batch.id"), name="audit", module="audit_it"
    )
    site.install(
        SOUND.replace("return Delivery()", "session['wrong'] = True; return None"),
        name="zmill",
        module="exportkit_zmill",
    )
    site.install(SOUND)
    host = site.load()
    assert host.destinations == ("mill", "zmill")
    assert next(p for p in host.plugins if p.name == "audit").wraps == ("connect", "push")
    mill = host.destination("mill")
    with mill.connect(connection) as session:
        mill.push(session, batch, target)
    assert session == {"seen": ["run-1"], "audited": "run-1"}
    with pytest.raises(PluginError, match=r"^zmill"):
        host.destination("zmill").push({"seen": []}, batch, target)


def test_a_failing_wrapper_is_blamed_itself(site: Site, target: Target, batch: Batch) -> None:
    site.install(AUDITOR.format(body="1 / 0"), name="audit", module="audit_it")
    site.install(SOUND)
    mill = site.load().destination("mill")
    with pytest.raises(PluginError) as caught:
        mill.push({"seen": []}, batch, target)
    assert caught.value.message == (
        "audit (exportkit-audit 1.2.3) failed in push: ZeroDivisionError at audit_it:6"
    )
    assert "exportkit-audit" in (caught.value.hint or "")


def test_a_call_costs_next_to_nothing(site: Site, target: Target, batch: Batch) -> None:
    import time

    mill = install(site, SOUND)
    session: dict[str, list[str]] = {"seen": []}
    started = time.perf_counter()
    for _ in range(1000):
        mill.push(session, batch, target)
    assert (time.perf_counter() - started) / 1000 < 0.001


def test_a_large_batch_of_rejections_is_checked_at_once(site: Site, target: Target) -> None:
    body = "return Delivery(rejections=[Rejection(k, 'no') for k in batch.keys.to_pylist()])"
    mill = install(site, pushing(body))
    batch = make_batch(*(f"{number}@example.com" for number in range(10_000)))
    assert len(mill.push({"seen": []}, batch, target).rejections) == 10_000


def _mentions(error: BaseException, text: str) -> bool:
    """Would a traceback of this error show the text?"""
    import traceback

    shown = io.StringIO()
    traceback.print_exception(error, file=shown)
    return text in "".join(
        line for line in shown.getvalue().splitlines() if not line.startswith("    ")
    )
