"""What tests of several rooms need: the engines of a run."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from mariadb import mariadb, mariadb_server  # noqa: F401 - fixtures
from postgresql import postgresql, postgresql_module, postgresql_server  # noqa: F401 - fixtures
from sparkservers import apache, sail, spark  # noqa: F401 - fixtures

from exportkit.engines.desk import Desk, open_desk
from exportkit.engines.duckdb import DuckEngine
from exportkit.engines.jail import close_jail, open_connection
from exportkit.errors import SourceError
from exportkit.redaction import forget_everything

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _a_process_of_its_own() -> Iterator[None]:
    """No test takes the secrets and people of another out of its texts."""
    forget_everything()  # what tests of plugins have left
    yield
    forget_everything()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    """An engine as a run has it: jailed, so that it opens no file by itself."""
    with closing(open_connection(tmp_path_factory.mktemp("spill"))) as connection:
        close_jail(connection, [])
        yield DuckEngine(lambda: connection, lambda error: SourceError(type(error).__name__))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The engine on which a run compares its own files."""
    with open_desk(tmp_path_factory.mktemp("spill")) as desk:
        yield desk
