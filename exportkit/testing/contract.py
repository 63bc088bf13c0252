"""The contract as tests: an author subclasses `DestinationContract` and says what is special.

    from exportkit.testing import DestinationContract

    class TestMill(DestinationContract):
        type = "mill"
        connection_options = {"url": "{server}", "api_key": "a secret"}
        job_options = {"tray": "News"}

The tests stand in the order of a call's life. They call the plugin through the host's own facade.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from exportkit.errors import AccessDeniedError, ExportkitError
from exportkit.testing import checks, deliveries, secrecy, trials
from exportkit.testing.hearing import Ear
from exportkit.testing.proxy import FAULTS
from exportkit.testing.setting import load, no_network, rehearse
from exportkit.testing.verdicts import broken, told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from exportkit.records import Description
    from exportkit.testing.rehearsal import Rehearsal

    Row = Mapping[str, str | None]


class DestinationContract:
    """What every destination is held to. Subclass it as `Test...` in a test module of the plugin.

    `type` is the entry point's name; `plugin` is the module or object, if it is not installed.
    In all texts of the options, `{server}` stands for the address of the server, which is
    reached through a proxy that makes calls go wrong. `fields` are the mapped fields, or these
    with what a job says of them beside the column; left out, they are all that the destination
    declares. `key` is the field that tells people apart, where the destination declares none.
    `repeatable` promises that the same batch twice is as good as once. `patience` is how many
    seconds the last word on a receipt may take, `most_rows` how many rows are tried at most.
    """

    type: str = ""
    plugin: Any = None
    connection_options: Mapping[str, Any] = {}
    job_options: Mapping[str, Any] = {}
    credentials: Mapping[str, Any] = {}
    denied_options: ClassVar[Mapping[str, Any] | None] = None
    fields: ClassVar[Sequence[str] | Mapping[str, Mapping[str, Any]] | None] = None
    key: str | None = None
    repeatable: bool = False
    patience: float = 60.0
    most_rows: int = 500

    @contextmanager
    def server(self) -> Iterator[Any]:
        """A stand-in for the service: its address, or what has it as `url`. None: there is none."""
        yield None

    def connection_for(self, server: Any) -> Mapping[str, Any]:
        """The connection's options, if they depend on what `server` gave."""
        return self.connection_options

    def denied_for(self, server: Any) -> Mapping[str, Any] | None:
        """The same with credentials that the service does not accept; None if there is no such."""
        return self.denied_options

    def job_for(self, server: Any) -> Mapping[str, Any]:
        """The job's `destination:`, if it depends on what `server` gave."""
        return self.job_options

    def credentials_for(self, server: Any) -> Mapping[str, Any]:
        """What `authorize` would have answered."""
        return self.credentials

    def row(self, number: int) -> Row | None:
        """The profile of this number, by mapped field; None: the kit makes somebody up."""
        return None

    def bad_row(self, number: int) -> Row | None:
        """One that the host would send and the service refuses; None: there is no such."""
        return None

    def arrived(self, stand: Rehearsal) -> Collection[str] | None:
        """The keys at the target, as often as they are there; None: nobody can look."""
        return None

    def fields_of(self, facts: Description) -> dict[str, dict[str, Any]]:
        """The mapped fields, each with what the job says of it."""
        names = self.fields
        if names is None:
            names = [column.name for column in facts.fields] or ["email", "first_name", "last_name"]
        return {name: dict(names[name]) if isinstance(names, dict) else {} for name in names}

    @pytest.fixture
    def stand(self, tmp_path: Path) -> Iterator[Rehearsal]:
        """The destination, ready to be called, in a workspace of its own."""
        failure = None
        with ExitStack() as stack:
            try:
                stand = stack.enter_context(rehearse(self, tmp_path / "workspace"))
            except ExportkitError as error:
                failure = error
            else:
                yield stand
        if failure is not None:
            pytest.fail(f"the contract cannot begin: {failure}", pytrace=False)

    def test_it_describes_itself_offline(self) -> None:
        with no_network():
            began = time.monotonic()
            host = load(self, Ear())
            for plugin in host.broken:
                broken("describe_destination", f"it does not load: {plugin}", plugin.hint)
            first = host.destination(self.type).describe()
            again = load(self, Ear()).destination(self.type).describe()
            took = time.monotonic() - began
        if first != again:
            did = "it answers differently each time"
            broken("describe_destination", did, "facts, which do not change while files are read")
        if took > 2:
            did = f"it took {took:.1f} seconds"
            broken("describe_destination", did, "no time: it is asked while files are validated")

    @told
    def test_its_options_hold_together(self, stand: Rehearsal) -> None:
        for name in ("connection_options", "job_options"):
            checks.schema_holds_together(name, getattr(stand.description, name))

    @told
    def test_what_it_says_it_can_it_can(self, stand: Rehearsal) -> None:
        checks.says_what_it_can(stand)

    @told
    def test_it_connects_and_closes(self, stand: Rehearsal) -> None:
        threads = set(threading.enumerate())
        for _ in range(2):
            with stand.session() as session:
                stand.target(session)
        with stand.session() as session, stand.session() as other:
            stand.target(session)
            stand.target(other)
        checks.closes_after_an_error(stand)
        checks.leaves_nothing_open(stand, threads)

    @told
    def test_wrong_credentials_are_said_to_be_wrong(self, stand: Rehearsal, tmp_path: Path) -> None:
        if self.denied_for(stand.server) is None:
            pytest.skip("the test class names no `denied_options`")
        asked = "AccessDeniedError, at once or at the first call: then people authorize again"
        with rehearse(self, tmp_path / "denied", denied=True) as denied:
            try:
                with denied.session() as session:
                    target = denied.target(session)
                    denied.deliver(session, target, denied.batch(denied.rows(1)))
            except AccessDeniedError:
                return
            except ExportkitError as error:
                broken("connect", f"credentials that are refused gave {error!r}", asked)
        broken("connect", "it worked with credentials that are refused", asked)

    @told
    def test_it_describes_its_target(self, stand: Rehearsal) -> None:
        checks.describes_its_target(stand)

    @told
    def test_it_maps_without_a_call(self, stand: Rehearsal) -> None:
        checks.maps_purely(stand)

    @told
    def test_it_measures_what_it_sends(self, stand: Rehearsal) -> None:
        checks.measures(stand)

    @told
    def test_every_key_has_one_answer(self, stand: Rehearsal) -> None:
        deliveries.answers_once(stand)

    @told
    def test_odd_values_are_no_exceptions(self, stand: Rehearsal) -> None:
        deliveries.takes_odd_values(stand)

    @told
    def test_bad_rows_are_rejections(self, stand: Rehearsal) -> None:
        if self.bad_row(0) is None:
            pytest.skip("the test class has no `bad_row`")
        deliveries.rejects_bad_rows(stand)

    @told
    def test_it_takes_what_its_limits_allow(self, stand: Rehearsal) -> None:
        deliveries.keeps_its_limits(stand)

    @told
    def test_the_same_batch_again(self, stand: Rehearsal) -> None:
        deliveries.repeats(stand)

    @told
    def test_it_finds_what_was_taken(self, stand: Rehearsal) -> None:
        if not stand.destination.can("find_delivery"):
            pytest.skip("it has no find_delivery: at most the one batch in doubt is sent twice")
        deliveries.finds(stand)

    @told
    def test_a_later_session_settles(self, stand: Rehearsal) -> None:
        if not stand.destination.can("settle"):
            pytest.skip("it answers at once")
        deliveries.settles(stand)

    @told
    def test_who_is_removed_is_gone(self, stand: Rehearsal) -> None:
        if not stand.destination.can("remove"):
            pytest.skip("it cannot remove")
        deliveries.removes(stand)

    @told
    def test_a_whole_shows_at_its_end(self, stand: Rehearsal) -> None:
        if not stand.description.whole:
            pytest.skip("its target is not replaced as a whole")
        deliveries.shows_at_its_end(stand)

    @told
    def test_it_waits_as_long_as_it_is_asked_to(self, stand: Rehearsal) -> None:
        trials.is_throttled(stand)

    @pytest.mark.parametrize("fault", FAULTS)
    @told
    def test_it_survives_a_faulty_server(self, stand: Rehearsal, fault: str) -> None:
        trials.survives(stand, FAULTS[fault], fault)

    @told
    def test_it_says_nothing_of_people_and_secrets(
        self, stand: Rehearsal, capfd: pytest.CaptureFixture[str]
    ) -> None:
        secrecy.live_through_everything(stand)
        secrecy.says_nothing_personal(stand, "".join(capfd.readouterr()))
