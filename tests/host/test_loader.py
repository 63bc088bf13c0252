from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from exportkit import Counts, Run
from exportkit.errors import ConfigError, Location, PluginError
from exportkit.host import BrokenPlugin, load_plugins

from .conftest import SOUND, Site

if TYPE_CHECKING:
    from pathlib import Path

RUN = Run("r1", "vip", "succeeded", datetime.now(UTC), datetime.now(UTC), Counts(sent=3))


def only_broken(site: Site) -> BrokenPlugin:
    host = site.load()
    assert host.plugins == ()
    (broken,) = host.broken
    return broken


def test_a_sound_plugin_is_listed_with_its_distribution_and_hooks(site: Site) -> None:
    site.install(SOUND)
    (plugin,) = site.load().plugins
    assert (plugin.name, plugin.distribution, plugin.version) == ("mill", "exportkit-mill", "1.2.3")
    assert plugin.hooks == ("describe_destination", "connect", "push")
    assert plugin.destination
    assert str(plugin) == "mill (exportkit-mill 1.2.3)"


def test_an_installation_without_plugins_is_fine() -> None:
    host = load_plugins([])
    assert (host.plugins, host.broken, host.destinations, host.commands) == ((), (), (), {})
    assert host.run_finished(RUN) == ()


def test_an_instance_may_be_a_plugin(site: Site) -> None:
    source = """
        from exportkit import hookimpl
        class Listener:
            @hookimpl
            def run_finished(self, run):
                pass
        listener = Listener()
    """
    site.install(source, target="exportkit_mill:listener")
    (plugin,) = site.load().plugins
    assert plugin.hooks == ("run_finished",)
    assert not plugin.destination


DEFECTS = {
    "import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax": ("def push(:", "SyntaxError"),
    "raises": ("raise RuntimeError('half installed')", "RuntimeError: half installed"),
    "beyond": ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
    "lines": ("raise ValueError('one\\ntwo')", "ValueError: one"),
    "unprintable": (
        "class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd",
        "it cannot be loaded: Odd",
    ),
    "exit": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "no hooks": ("x = 1", "implements no hook"),
    "misspelled": (
        SOUND + "\n    @hookimpl\n    def setle(session, receipts): return []\n",
        "no hook 'setle'",
    ),
    "misspelled specname": (
        SOUND + "\n    @hookimpl(specname='finnish')\n    def commit(session): pass\n",
        "no hook 'finnish'",
    ),
    "argument": (
        SOUND.replace("push(session, batch)", "push(session, rows)"),
        "push has no argument 'rows'",
    ),
    "default": (
        SOUND.replace("push(session, batch)", "push(session, batch, target=None)"),
        "argument 'target' has a default, so it is never passed",
    ),
    "keyword": (
        SOUND.replace("push(session, batch)", "push(*, session, batch)"),
        "argument 'session' is keyword-only",
    ),
    "starred": (
        SOUND.replace("push(session, batch)", "push(session, **others)"),
        "push takes *others",
    ),
    "async": (SOUND.replace("def push", "async def push"), "push is asynchronous"),
    "generator": (SOUND.replace("return Delivery()", "yield Delivery()"), "push has a `yield`"),
    "no wrapper": (
        "from exportkit import hookimpl\n"
        "@hookimpl(wrapper=True)\n"
        "def push(session, batch): return None\n",
        "push is marked as a wrapper but has no `yield`",
    ),
    "missing": (
        SOUND.replace("    @hookimpl\n    def push", "    def push"),
        "push is missing",
    ),
    "half": (
        "from exportkit import hookimpl\n@hookimpl\ndef push(session, batch): pass\n",
        "describe_destination, connect are missing",
    ),
    "no destination": (
        "from exportkit import hookimpl\n@hookimpl\ndef finish(session): pass\n",
        "answers finish but is no destination",
    ),
    "description": (
        SOUND.replace('Description("Paper mill")', '{"title": "Paper mill"}'),
        "describe_destination must answer a Description, not a dict",
    ),
    "description raises": (
        SOUND.replace('return Description("Paper mill")', "1 / 0"),
        "failed in describe_destination: ZeroDivisionError at exportkit_mill:7",
    ),
    "whole": (
        SOUND.replace('Description("Paper mill")', 'Description("Paper mill", whole=True)'),
        "has no hook 'finish'",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_a_line_in_a_list(site: Site, defect: str) -> None:
    source, reason = DEFECTS[defect]
    site.install(source)
    broken = only_broken(site)
    assert reason in broken.reason
    assert (broken.name, broken.distribution, broken.version) == (
        "mill",
        "exportkit-mill",
        "1.2.3",
    )
    assert broken.hint
    assert "\n" not in str(broken)


def test_the_hints_say_what_to_write(site: Site) -> None:
    site.install(DEFECTS["misspelled"][0])
    site.install(DEFECTS["missing"][0], name="paper", module="exportkit_paper")
    site.install(DEFECTS["argument"][0], name="wool", module="exportkit_wool")
    hints = {broken.name: broken.hint for broken in site.load().broken}
    assert hints == {
        "mill": "did you mean 'settle'?",
        "paper": "mark push with @exportkit.hookimpl",
        "wool": "its arguments are session, batch, target",
    }


def test_a_class_is_no_plugin(site: Site) -> None:
    source = """
        from exportkit import hookimpl
        class Listener:
            @hookimpl
            def run_finished(self, run): pass
    """
    site.install(source, target="exportkit_mill:Listener")
    assert "names the class Listener" in only_broken(site).reason


def test_an_object_that_cannot_be_hashed_is_no_plugin(site: Site) -> None:
    source = """
        from dataclasses import dataclass
        from exportkit import hookimpl
        @dataclass
        class Listener:
            @hookimpl
            def run_finished(self, run): pass
        listener = Listener()
    """
    site.install(source, target="exportkit_mill:listener")
    assert "names 'Listener', which cannot be hashed" in only_broken(site).reason


def test_a_hook_of_a_later_contract_may_be_optional(site: Site) -> None:
    later = "@hookimpl(optionalhook=True)\ndef after_settle(session): pass\n"
    site.install(textwrap.dedent(SOUND) + later)
    (plugin,) = site.load().plugins
    assert plugin.hooks == ("describe_destination", "connect", "push")


def test_two_plugins_with_one_name_are_both_refused(site: Site) -> None:
    site.install(SOUND, distribution="exportkit-mill")
    site.install(SOUND, distribution="other-mill", module="other_mill", version="9")
    host = site.load()
    assert host.plugins == ()
    assert sorted(broken.distribution for broken in host.broken) == ["exportkit-mill", "other-mill"]
    with pytest.raises(PluginError) as error:
        host.destination("mill")
    assert "exportkit-mill 1.2.3" in str(error.value)
    assert "other-mill 9" in str(error.value)
    assert "uninstall all but one" in str(error.value)


def test_one_module_under_two_names_is_refused_once(site: Site) -> None:
    site.install(SOUND)
    again = EntryPoint("paper", "exportkit_mill", "exportkit")
    host = load_plugins([*site.entry_points(), again])
    assert [plugin.name for plugin in host.plugins] == ["mill"]
    assert [broken.name for broken in host.broken] == ["paper"]
    assert host.broken[0].reason == "the entry point names what is already loaded as 'mill'"
    assert host.broken[0].distribution == "an unknown distribution"


@pytest.mark.parametrize("name", ["Mill", "-mill", "mill.x", "mühle", "a b"])
def test_an_invalid_name_is_refused(site: Site, name: str) -> None:
    site.install(SOUND)
    host = load_plugins([EntryPoint(name, "exportkit_mill", "exportkit")])
    assert host.plugins == ()
    assert repr(name) in host.broken[0].reason


def test_one_broken_plugin_leaves_the_others_alone(site: Site) -> None:
    site.install("raise ValueError", name="bad", module="exportkit_bad")
    site.install(SOUND)
    host = site.load()
    assert host.destinations == ("mill",)
    assert host.destination("mill").describe().title == "Paper mill"


def test_a_keyboard_interrupt_passes(site: Site) -> None:
    site.install("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.load()


def test_what_is_printed_at_import_goes_to_stderr(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install("print('hello from the mill')\n" + DEFECTS["half"][0])
    site.load()
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello from the mill\n")


def test_an_unknown_type_is_a_complaint_at_its_place(site: Site) -> None:
    site.install(SOUND)
    with pytest.raises(ConfigError) as error:
        site.load().destination("mil", Location("connections/a.yaml", 4, 7, "type"))
    assert str(error.value) == (
        "connections/a.yaml:4:7: type: the destination 'mil' is not installed "
        "(did you mean 'mill'? installed: mill)"
    )
    with pytest.raises(ConfigError, match="installed: mill"):
        site.load().destination("zzz")


def test_a_broken_type_says_which_distribution_and_why(site: Site) -> None:
    site.install("import no_such_module")
    with pytest.raises(PluginError) as error:
        site.load().destination("mill", Location("connections/a.yaml", 4, 7, "type"))
    text = str(error.value)
    assert text.startswith("connections/a.yaml:4:7: type: mill (exportkit-mill 1.2.3): ")
    assert "No module named 'no_such_module'" in text


LISTENER = """
    from exportkit import hookimpl
    @hookimpl
    def run_finished(run):
        {body}
"""


def test_a_listener_is_no_destination(site: Site) -> None:
    site.install(LISTENER.format(body="pass"))
    host = site.load()
    assert host.destinations == ()
    with pytest.raises(ConfigError, match="is no destination"):
        host.destination("mill")


def test_every_listener_hears_of_a_run_whatever_the_others_do(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    bodies = {
        "a": "raise ValueError('ann@example.com')",
        "b": "import sys; sys.exit(3)",
        "c": f"import pathlib; pathlib.Path({str(heard)!r}).write_text(run.job)",
        "d": "print('done')",
    }
    for name, body in bodies.items():
        site.install(LISTENER.format(body=body), name=name, module=f"exportkit_{name}")
    failures = site.load().run_finished(RUN)
    assert heard.read_text() == "vip"
    assert [line.split(" at ")[0] for line in failures] == [
        "a (exportkit-a 1.2.3): failed in run_finished: ValueError",
        "b (exportkit-b 1.2.3): failed in run_finished: SystemExit",
    ]
    assert "ann@example.com" not in "".join(failures)
    assert capsys.readouterr().out == ""


def test_commands_are_registered_only_when_they_are_used(site: Site) -> None:
    import click

    source = """
        from exportkit import hookimpl
        @hookimpl
        def register_commands(cli):
            @cli.command()
            def weigh():
                print("12 kg")
    """
    site.install(textwrap.dedent(SOUND) + textwrap.dedent(source))
    site.install(source.replace("12 kg", "1 kg"), name="scales", module="exportkit_scales")
    commands = site.load().commands
    assert sorted(commands) == ["mill", "scales"]
    group = click.Group("mill")
    commands["mill"](group)
    assert list(group.commands) == ["weigh"]
    from click.testing import CliRunner

    assert CliRunner().invoke(group, ["weigh"]).output == "12 kg\n"


def test_a_failing_registration_is_a_plugin_error(site: Site) -> None:
    import click

    site.install(
        SOUND + "\n    @hookimpl\n    def register_commands(cli): cli.no_such_thing()\n",
    )
    with pytest.raises(PluginError, match="AttributeError"):
        site.load().commands["mill"](click.Group("mill"))


def test_the_host_is_imported_without_the_heavy_libraries() -> None:
    code = (
        "import sys, exportkit.host; "
        "print([m for m in ('pyarrow', 'narwhals', 'jsonschema', 'duckdb', 'rapidfuzz', 'yaml',"
        " 'sqlalchemy', 'click', 'rich') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
