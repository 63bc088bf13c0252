"""The setting of a rehearsal: a workspace of real files, the plugin with an ear, its server."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from exportkit.config.secrets import is_secret, looks_secret
from exportkit.errors import ExportkitError
from exportkit.host.installed import GROUP
from exportkit.host.loader import Host, load_plugins
from exportkit.services import Uncounted
from exportkit.testing.hearing import Ear
from exportkit.testing.proxy import FaultyProxy
from exportkit.testing.rehearsal import Rehearsal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from exportkit.pipeline.prepare import Prepared
    from exportkit.records import Description
    from exportkit.testing.contract import DestinationContract

EAR = "kit-ear"
NAME = "rehearsal"


class Kept:
    """Credentials in memory, for one rehearsal."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else has them."""
        yield

    def read(self) -> dict[str, Any]:
        """What is kept now."""
        return dict(self.values)

    def replace(self, values: Mapping[str, Any], /) -> None:
        """Keep these."""
        self.values = dict(values)


@contextmanager
def rehearse(
    contract: DestinationContract, folder: Path, *, denied: bool = False
) -> Iterator[Rehearsal]:
    """A rehearsal of what the contract describes; `denied`, with its wrong credentials."""
    with ExitStack() as stack:
        server = stack.enter_context(contract.server())
        address = getattr(server, "url", server)
        proxy = None
        if isinstance(address, str):
            proxy = stack.enter_context(FaultyProxy(address))
        given = contract.denied_for(server) if denied else contract.connection_for(server)
        options = _filled(given or {}, proxy.url if proxy else "")
        job_options = _filled(contract.job_for(server), proxy.url if proxy else "")
        ear = Ear()
        host, hidden = load(contract, ear), dict[str, str]()
        prepared = stack.enter_context(
            _prepared(contract, host, folder, (options, job_options), hidden)
        )
        connection = replace(
            prepared.resolved_connection(),
            credentials=Kept(contract.credentials_for(server)),
            calls=Uncounted,
        )
        engine = stack.enter_context(_engine(folder))
        secrets = tuple(hidden.values())
        yield Rehearsal(contract, prepared, connection, ear, engine, secrets, server, proxy)


def load(contract: DestinationContract, ear: Ear) -> Host:
    """The plugin alone, with an ear around it."""
    if contract.plugin is not None:
        found = [_entry_point(contract.type, contract.plugin)]
    else:
        found = list(entry_points(group=GROUP, name=contract.type))
    return load_plugins([*found, _entry_point(EAR, ear)])


def _entry_point(name: str, plugin: Any) -> EntryPoint:
    module = getattr(plugin, "__name__", type(plugin).__module__)
    found = EntryPoint(name, module, GROUP)
    vars(found)["load"] = lambda: plugin  # it need not be installed
    return found


def _filled(options: Any, address: str) -> Any:
    """The options with the proxy's address in the place of `{server}`."""
    if isinstance(options, str):
        return options.replace("{server}", address)
    if isinstance(options, dict):
        return {name: _filled(value, address) for name, value in options.items()}
    if isinstance(options, list | tuple):
        return [_filled(value, address) for value in options]
    return options


@contextmanager
def _prepared(
    contract: DestinationContract,
    host: Host,
    folder: Path,
    options: tuple[dict[str, Any], dict[str, Any]],
    hidden: dict[str, str],
) -> Iterator[Prepared]:
    """The job in a workspace of real files, so that all that the host checks is checked.

    `options` are the connection's and the job's; what is secret among them goes to `hidden`.
    """
    from exportkit.config.workspace import open_workspace
    from exportkit.pipeline.prepare import prepare

    facts = _facts(host, contract, options[1])
    for name, content in _files(contract, facts, *options, hidden).items():
        _write(folder / f"{name}.yaml", content)
    before = {name: os.environ.get(name) for name in hidden}
    os.environ.update(hidden)
    try:
        workspace = open_workspace(folder)
        yield prepare(workspace, host, workspace.job(NAME))
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _facts(host: Host, contract: DestinationContract, options: Mapping[str, Any]) -> Description:
    """The destination's facts, as they are for this job."""
    plugin = host.destination(contract.type)
    facts = plugin.describe()
    known = facts.job_options.get("properties", {})
    defaults = {name: part["default"] for name, part in known.items() if "default" in part}
    try:
        return plugin.for_job({**defaults, **options}).describe()
    except ExportkitError:  # options that do not fit: that is said when they are checked
        return facts


def _files(
    contract: DestinationContract,
    facts: Description,
    options: dict[str, Any],
    job_options: dict[str, Any],
    hidden: dict[str, str],
) -> dict[str, dict[str, Any]]:
    """The workspace; secrets go to `hidden`, by the variable that stands for each."""
    schema = facts.connection_options.get("properties", {})
    fields = contract.fields_of(facts)
    key = contract.key or _key_of(fields, facts)
    job = {
        "name": NAME,
        "source": "people",
        "segments": ["everyone"],
        "connection": NAME,
        "destination": job_options,
        "map": {name: {"column": name, **more} for name, more in fields.items()},
        **({"key": key} if key else {}),
    }
    return {
        "exportkit": {},
        "sources/people": {
            "name": "people",
            "file": "people.csv",
            "key": "id",
            "segments": {"everyone": {}},
        },
        f"connections/{NAME}": {
            "name": NAME,
            "type": contract.type,
            "options": {n: _hidden(n, v, schema.get(n), hidden) for n, v in options.items()},
        },
        f"jobs/{NAME}": job,
    }


def _key_of(fields: Mapping[str, Any], facts: Description) -> str | None:
    if any(column.key for column in facts.fields):
        return None
    return next((name for name in fields if "email" in name), next(iter(fields), None))


def _hidden(name: str, value: Any, marks: Any, hidden: dict[str, str]) -> Any:
    """A secret as the reference that the host asks for; its value goes to the environment."""
    if isinstance(value, dict):
        return {key: _hidden(key, part, None, hidden) for key, part in value.items()}
    if isinstance(value, str) and (is_secret(name, marks) or looks_secret(value)):
        variable = f"EXPORTKIT_REHEARSAL_{len(hidden)}"
        hidden[variable] = value
        return f"${{env:{variable}}}"
    return value


def _write(path: Path, content: dict[str, Any]) -> None:
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({"version": 1, **content}, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


@contextmanager
def _engine(folder: Path) -> Iterator[Any]:
    """An engine as a run has it, with no file open; it opens when it is needed."""
    from exportkit.engines.duckdb import DuckEngine
    from exportkit.engines.jail import close_jail, open_connection

    with ExitStack() as stack:

        def connected() -> Any:
            spill = folder / "spill"
            spill.mkdir(exist_ok=True)
            connection = stack.enter_context(closing(open_connection(spill)))
            close_jail(connection, [])
            return connection

        yield DuckEngine(connected, lambda error: ExportkitError(str(error)))


@contextmanager
def no_network() -> Iterator[None]:
    """Whoever opens a connection in here fails with OSError."""

    def refused(*_args: Any, **_more: Any) -> Any:
        raise OSError("there is no network here")

    before = socket.socket.connect, socket.getaddrinfo
    socket.socket.connect = refused  # type: ignore[method-assign]
    socket.getaddrinfo = refused
    try:
        yield
    finally:
        socket.socket.connect, socket.getaddrinfo = before  # type: ignore[method-assign]
