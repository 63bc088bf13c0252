"""The installed plugins: each loaded in isolation, checked, and registered under its name."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from contextlib import contextmanager
from threading import Timer
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import pluggy

from exportkit import __version__, hookspecs
from exportkit.errors import ConfigError, ExportkitError, Location, PluginError
from exportkit.host.containment import contained, isolated, quiet
from exportkit.host.destination import Destination
from exportkit.host.inspection import SPECS, Defect, inspect_hooks
from exportkit.host.installed import (
    GROUP,
    brought_by,
    refuse_ambiguous,
    refuse_for_another_host,
)
from exportkit.host.installed import (
    entry_points as installed,
)
from exportkit.host.memory import Memory
from exportkit.host.plugin import BrokenPlugin, Plugin
from exportkit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from importlib.metadata import EntryPoint

    import click

    from exportkit.config.documents import Document
    from exportkit.records import Run

T = TypeVar("T")
log = logging.getLogger("exportkit.host")
PATIENCE = 3.0
"""Seconds that a plugin may take to load before it is named."""


class Host:
    """The plugins of this installation: those that work, and those that do not and why."""

    def __init__(
        self,
        manager: pluggy.PluginManager,
        plugins: Iterable[Plugin],
        broken: Iterable[BrokenPlugin],
        waiting: Mapping[str, EntryPoint] = MappingProxyType({}),
    ) -> None:
        self._manager = manager
        self.plugins = tuple(plugins)
        self.broken = tuple(broken)
        self._waiting = dict(waiting)  # remembered, and not loaded before somebody asks for them

    @property
    def destinations(self) -> tuple[str, ...]:
        """The types that jobs can deliver to."""
        return tuple(plugin.name for plugin in self.plugins if plugin.destination)

    def destination(
        self,
        type: str,  # noqa: A002 - the word of the contract
        at: Location | None = None,
        *,
        job: Document | None = None,
    ) -> Destination:
        """The destination of this type; `at` is where its name stands.

        `job` is the file in which the destination's own `JobError`s get their place. Raises
        `ConfigError` if nothing of that name is installed, `PluginError` if it does not work.
        """
        self._ready(type)
        plugin = next((each for each in self.plugins if each.name == type), None)
        if plugin is None or not plugin.destination:
            raise self._missing(type, plugin, at)
        chain = [plugin, *(each for each in self.plugins if not each.destination)]
        callers = {hook: self._only(hook, chain) for hook in SPECS}
        return Destination(chain, callers, job)

    @property
    def commands(self) -> Mapping[str, Callable[[click.Group], None]]:
        """By plugin: what adds its own commands to a group. Nothing is called before that."""
        return {
            plugin.name: self._registrar(plugin)
            for plugin in self.plugins
            if "register_commands" in plugin.hooks
        }

    def run_command(self, name: str, call: Callable[[], T]) -> T:
        """Answer `call()`, which runs a plugin's own command: what fails there is its fault."""
        plugin = next(each for each in self.plugins if each.name == name)
        return isolated([plugin], "a command of its own", call)

    def run_finished(self, run: Run) -> tuple[str, ...]:
        """Tell every listener; answers one line for each that failed."""
        for plugin in self.plugins:
            if "run_finished" in plugin.hooks:
                self._ready(plugin.name)
        listeners = [plugin for plugin in self.plugins if "run_finished" in plugin.hooks]
        failures = [self._tell(listener, run) for listener in listeners]
        return tuple(failure for failure in failures if failure)

    def _ready(self, name: str) -> None:
        """Load the plugin if it was only remembered; it may have come to be another, or broken."""
        entry_point = self._waiting.pop(name, None)
        if entry_point is None:
            return
        others = [plugin for plugin in self.plugins if plugin.name != name]
        try:
            with _named_if_slow(entry_point):
                others.append(_load(self._manager, entry_point))
        except Defect as defect:
            self.broken = (*self.broken, _broken(entry_point, defect))
        self.plugins = tuple(sorted(others, key=lambda plugin: plugin.name))

    def _tell(self, listener: Plugin, run: Run) -> str | None:
        caller = self._only("run_finished", [listener])
        try:
            contained([listener], "run_finished", lambda: caller(run=run))
        except ExportkitError as error:
            return f"{listener}: {error.message.removeprefix(f'{listener} ')}"
        return None

    def _only(self, hook: str, plugins: Iterable[Plugin]) -> pluggy.HookCaller:
        """The hook as these plugins alone implement it."""
        names = {plugin.name for plugin in plugins}
        others = [
            implementation
            for name, implementation in self._manager.list_name_plugin()
            if name not in names and implementation is not None
        ]
        return self._manager.subset_hook_caller(hook, others)

    def _registrar(self, plugin: Plugin) -> Callable[[click.Group], None]:
        def register(cli: click.Group) -> None:
            self._ready(plugin.name)
            caller = self._only("register_commands", [plugin])
            contained([plugin], "register_commands", lambda: caller(cli=cli))

        return register

    def _missing(self, name: str, plugin: Plugin | None, at: Location | None) -> ExportkitError:
        from exportkit.config.names import nearest

        broken = [each for each in self.broken if each.name == name]
        if broken:
            found = "; ".join(dict.fromkeys(str(each) for each in broken))
            return PluginError(found, hint=broken[0].hint, location=at)
        what = "is no destination" if plugin else "is not installed"
        guess = nearest(name, self.destinations)
        meant = f"did you mean '{guess}'? " if guess else ""
        return ConfigError(
            f"the destination {name!r} {what}",
            hint=f"{meant}installed: {', '.join(self.destinations) or 'none'}",
            location=at,
        )


def load_plugins(
    entry_points: Iterable[EntryPoint] | None = None, *, everything: bool = False
) -> Host:
    """The installed plugins, or those given. Never raises: what fails is in `broken`.

    A destination whose installation is as it was when it was last loaded is not imported before
    somebody asks for it, unless `everything` is to be looked at.
    """
    damaged: list[BrokenPlugin] = []
    memory = Memory() if entry_points is None else None
    if entry_points is None:
        entry_points, damaged = installed()
    named: defaultdict[str, list[EntryPoint]] = defaultdict(list)
    for entry_point in entry_points:
        named[entry_point.name].append(entry_point)

    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    plugins: list[Plugin] = []
    loaded: list[tuple[EntryPoint, Plugin]] = []
    waiting: dict[str, EntryPoint] = {}
    broken = damaged
    for name in sorted(named):
        first = named[name][0]
        try:
            refuse_ambiguous(name, named[name])
            if memory and not everything and (known := memory.recall(first)):
                plugins.append(known)
                waiting[name] = first
                continue
            with _named_if_slow(first):
                plugins.append(_load(manager, first))
            loaded.append((first, plugins[-1]))
        except Defect as defect:
            broken += [_broken(entry_point, defect) for entry_point in named[name]]
    if memory:
        memory.keep(loaded)
    return Host(manager, plugins, broken, waiting)


def _broken(entry_point: EntryPoint, defect: Defect) -> BrokenPlugin:
    about = entry_point.name, *brought_by(entry_point)
    return BrokenPlugin(*about, defect.reason, defect.hint)


def _load(manager: pluggy.PluginManager, entry_point: EntryPoint) -> Plugin:
    name = entry_point.name
    distribution, version = brought_by(entry_point)
    refuse_for_another_host(entry_point)
    began = time.perf_counter()
    try:
        with quiet():
            implementation = entry_point.load()
            hooks = inspect_hooks(manager, implementation)
            manager.register(implementation, name)
    except Defect:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a broken plugin is a line in a list
        raise Defect(
            f"it cannot be loaded: {type(error).__name__}: {_first_line(error)}",
            _remedy(error, distribution),
        ) from None
    plugin = Plugin(
        name,
        distribution,
        version,
        _frames_of(entry_point.module),
        hooks.answers,
        hooks.wraps,
        hooks.destination,
        round(time.perf_counter() - began, 3),
    )
    if plugin.destination:
        _check_description(manager, plugin)
    return plugin


def _check_description(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    """A destination that cannot describe itself is of no use to anybody."""
    try:
        found = Host(manager, [plugin], []).destination(plugin.name).describe()
        if found.whole and "finish" not in plugin.hooks:
            raise PluginError(
                "it replaces its target as a whole, but has no hook 'finish' to do it",
                hint="implement finish",
            )
    except ExportkitError as error:
        manager.unregister(name=plugin.name)
        reason = error.message.removeprefix(f"{plugin}: ").removeprefix(f"{plugin} ")
        raise Defect(reason, error.hint or "") from None


@contextmanager
def _named_if_slow(entry_point: EntryPoint) -> Iterator[None]:
    """Say which plugin everybody waits for, while it is still loading."""
    who = "{} ({} {})".format(entry_point.name, *brought_by(entry_point))
    said = "the plugin %s has been loading for %.0f seconds; every command waits for it"
    timer = Timer(PATIENCE, log.warning, (said, who, PATIENCE))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _remedy(error: BaseException, distribution: str) -> str:
    missing = error.name if isinstance(error, ImportError) else None
    if missing and missing.partition(".")[0] == GROUP:
        return f"it is written for another exportkit than {__version__}: update {distribution}"
    return f"reinstall {distribution}, or uninstall it"


def _first_line(error: BaseException) -> str:
    """What went wrong at import: no profile has been read, so the text may be shown."""
    try:
        return redact(next(iter(str(error).splitlines()), ""))
    except Exception:  # noqa: BLE001 - the exception is the plugin's own class
        return ""


def _frames_of(module: str) -> str:
    """The package whose frames are the plugin's; a plugin inside the host owns its module alone."""
    package = module.split(".")[0]
    return module if package == GROUP else package
