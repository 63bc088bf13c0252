"""The contract with plugins: its names and arguments are fixed, its examples run."""

from __future__ import annotations

import doctest
import inspect
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pluggy
import pyarrow as pa
import pytest

import exportkit
from exportkit import (
    Batch,
    Catalogue,
    Connection,
    FieldMapping,
    MappedField,
    Run,
    Target,
    hookspecs,
)

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = {
    "describe_destination": [],
    "describe_job": ["options"],
    "connect": ["connection"],
    "describe_target": ["session", "options", "planning"],
    "map_fields": ["mapping", "target"],
    "measure": ["target", "columns"],
    "push": ["session", "batch", "target"],
    "settle": ["session", "receipts", "target", "batch_of"],
    "find_delivery": ["session", "batch", "target"],
    "remove": ["session", "batch", "target"],
    "finish": ["session", "target"],
    "run_finished": ["run"],
    "authorize": ["connection", "prompt"],
    "revoke": ["connection"],
    "register_commands": ["cli"],
}
SPECS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "exportkit_spec")}
HEARD_BY_ALL = {"run_finished"}


def test_the_hooks_are_those_of_the_contract_in_its_order() -> None:
    found = {name: list(inspect.signature(spec).parameters) for name, spec in SPECS.items()}
    assert list(found.items()) == list(CONTRACT.items())


@pytest.mark.parametrize("hook", CONTRACT)
def test_one_plugin_answers_and_all_listen(hook: str) -> None:
    assert SPECS[hook].exportkit_spec["firstresult"] is (hook not in HEARD_BY_ALL)
    assert not SPECS[hook].exportkit_spec["historic"]


@pytest.mark.parametrize("hook", CONTRACT)
def test_every_argument_and_answer_is_typed(hook: str) -> None:
    annotations = SPECS[hook].__annotations__
    assert set(annotations) == {*CONTRACT[hook], "return"}


def example(hook: str) -> Any:
    """Run the example in the hook's docstring; answer the implementation that it defines."""
    names = {name: getattr(exportkit, name) for name in exportkit.__all__}
    test = doctest.DocTestParser().get_doctest(
        SPECS[hook].__doc__ or "", dict(names), hook, hookspecs.__file__, None
    )
    assert test.examples, f"{hook} has no example"
    result = doctest.DocTestRunner(verbose=False).run(test, clear_globs=False)
    assert result.failed == 0
    return test.globs[hook]


@pytest.mark.parametrize("hook", CONTRACT)
def test_the_example_implements_the_hook(hook: str) -> None:
    implementation = example(hook)
    manager = pluggy.PluginManager("exportkit")
    manager.add_hookspecs(hookspecs)
    manager.register(SimpleNamespace(**{hook: implementation}))
    manager.check_pending()
    assert getattr(manager.hook, hook).get_hookimpls()


def arguments(tmp_path: Path) -> dict[str, Any]:
    import click

    keys = pa.array(["ann@example.com", "nobody"])
    draft = tmp_path / "draft"
    draft.write_text("whole")
    now = datetime.now(UTC)
    return {
        "connection": Connection("mill", "mill", "The mill", {"account": "a1"}),
        "session": {
            "seen": {"run-1"},
            "members": {"ann@example.com", "bob@example.com"},
            "draft": draft,
            "path": tmp_path / "file",
        },
        "options": {"tray": "A4", "sheets": 500},
        "planning": True,
        "mapping": FieldMapping((MappedField("email"), MappedField("birthday"))),
        "target": Target({}, Catalogue("A4"), tmp_path),
        "columns": pa.record_batch([pa.array(["a@b.c", None])], names=["email"]),
        "batch": Batch("run-1", "run", "add", pa.record_batch([keys], names=["email"]), keys),
        "receipts": ["r1"],
        "batch_of": lambda receipt: pytest.fail(f"nobody needs the batch of {receipt}"),
        "run": Run("r1", "vip", "succeeded", now, now),
        "prompt": lambda question: f"{question}?",
        "cli": click.Group("mill"),
    }


@pytest.mark.parametrize("hook", CONTRACT)
def test_the_example_does_what_the_contract_says(
    hook: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(tmp_path)
    manager = pluggy.PluginManager("exportkit")
    manager.add_hookspecs(hookspecs)
    manager.register(SimpleNamespace(**{hook: example(hook)}))
    answer = getattr(manager.hook, hook)(**{name: given[name] for name in CONTRACT[hook]})
    expected: dict[str, Any] = {
        "describe_destination": lambda: answer.title == "Paper mill" and answer.fields[0].key,
        "describe_job": lambda: answer.limits.batch_rows == 500,
        "connect": lambda: (
            isinstance(answer, AbstractContextManager) and answer.__enter__() == {"account": "a1"}
        ),
        "describe_target": lambda: answer == Catalogue("A4", members=3),
        "map_fields": lambda: [column.name for column in answer] == ["email", "birth_month"],
        "measure": lambda: answer.to_pylist() == [6, 1],
        "push": lambda: [rejection.key for rejection in answer.rejections] == ["nobody"],
        "settle": lambda: answer == [exportkit.Settlement("r1", "done")],
        "find_delivery": lambda: answer.state == "taken",
        "remove": lambda: given["session"]["members"] == {"bob@example.com"},
        "finish": lambda: (tmp_path / "file").read_text() == "whole",
        "run_finished": lambda: capsys.readouterr().out == "vip succeeded 0\n",
        "authorize": lambda: answer == {"api_key": "API key?"},
        "revoke": lambda: capsys.readouterr().out == "signed out of mill\n",
        "register_commands": lambda: list(given["cli"].commands) == ["weigh"],
    }
    assert expected[hook]()


def test_what_a_plugin_may_import_is_listed_and_there() -> None:
    assert exportkit.__all__ == sorted(exportkit.__all__)
    assert all(hasattr(exportkit, name) for name in exportkit.__all__)
