"""Snowflake through SQLAlchemy, as far as fakesnow is like it: the same segments as on files."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conftest import Workspace
from everywhere import EVERYWHERE
from snowflakes import snowflake  # noqa: F401 - a fixture

from exportkit.errors import SourceError

if TYPE_CHECKING:
    from snowflakes import Snowflake

COLUMNS = {
    "ID": "integer",
    "NAME": "text",
    "VISITS": "integer",
    "SPENT": "decimal(10,2)",
    "NEWS": "boolean",
    "BORN": "date",
    "SEEN": "timestamp",
}
DECLARED = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
ROWS = """
(1, 'anna', 7, 10.50, true, '1990-02-28', '2024-02-29 23:59:59'),
(2, 'Bob', -7, 0.00, false, '2000-12-31', '2024-01-01 00:00:00'),
(3, 'ÉMILE', 2, 99.99, NULL, '1999-01-01', NULL),
(4, 'émile', 0, 1000.00, true, NULL, '1970-01-01 12:30:00'),
(5, 'a_b%c', 3, NULL, false, '2021-01-03', '2021-01-03 04:05:06'),
(6, '', NULL, -5.25, true, '2020-02-29', '2020-12-31 23:59:59'),
(7, NULL, 100, 0.01, NULL, '2024-07-15', '2024-07-15 00:00:00'),
(8, 'Zoë O''Brien', 1, 7.77, true, '1985-06-15', '2024-06-15 15:00:00'),
(9, 'zz👩‍🚀', 9, 0.10, false, '2038-01-19', '2038-01-19 03:14:07')
"""
CONDITIONS = [
    *EVERYWHERE,
    "contains(name, 'O''B') or contains(name, 'ann')",
    "nullif(name, '') is null",
]


@pytest.fixture(scope="module", params=["url", "adbc"])
def database(request: pytest.FixtureRequest, snowflake: Snowflake) -> str:  # noqa: F811
    """The server's URL: by SQLAlchemy, by the driver for ADBC."""
    if request.param == "adbc":
        pytest.importorskip("adbc_driver_snowflake")
    return str(getattr(snowflake, request.param))


@pytest.fixture(scope="module")
def here(snowflake: Snowflake, tmp_path_factory: pytest.TempPathFactory) -> Workspace:  # noqa: F811
    """A workspace with the profiles of the server in a file."""
    snowflake.run(f"CREATE TABLE people ({DECLARED})", f"INSERT INTO people VALUES {ROWS}")
    root = tmp_path_factory.mktemp("people")
    with duckdb.connect() as here:
        here.execute(f"CREATE TABLE people ({DECLARED}); INSERT INTO people VALUES {ROWS}")
        here.execute(f"COPY people TO '{root}/people.parquet'")
    return Workspace(root)


@pytest.fixture(scope="module")
def both(here: Workspace, database: str) -> list[dict[str, Any]]:
    places = {"database": database, "table": "PEOPLE"}, {"file": "people.parquet"}
    return [answers(here, place) for place in places]


def answers(workspace: Workspace, place: dict[str, str]) -> dict[str, Any]:
    texts = {name: name for name in COLUMNS}
    values = {"latest": "seen", "most": "spent", "eager": "news"}
    return workspace.answers(place, CONDITIONS, by="ID", texts=texts, values=values)


@pytest.mark.parametrize("where", CONDITIONS)
def test_a_segment_is_the_same_people(both, where):
    there, here = both
    assert there[f"? {where}"] == here[f"? {where}"]


@pytest.mark.parametrize("column", [*COLUMNS, "latest", "most", "eager"])
def test_a_column_is_the_same(both, database, column):
    there, here = both
    known = here[column]
    if column == "latest" and database.startswith("adbc"):
        # fakesnow's null is a moment whose parts are null, which this driver takes for 1970.
        known = [each for each in known if each is not None]
        there = {column: [each for each in there[column] if each.year > 1970 or each in known]}
    assert list(map(plain, there[column])) == list(map(plain, known))


def plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


WRONG = {
    "table": ({"table": "POEPLE"}, "does not answer what is declared here|no table or column"),
    "column": ({"query": "select nmae from people"}, "does not answer|no table or column"),
    "sql": ({"query": "select from from people"}, "does not answer what is declared here"),
    "writing": ({"query": "delete from people"}, "DELETE writes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_there(here, database, case):
    keys, why = WRONG[case]
    with pytest.raises(SourceError, match=why) as caught, here.open(database=database, **keys):
        pass
    assert "geheim" not in str(caught.value)


def test_the_nearest_table_is_named_as_it_is(here, snowflake):  # noqa: F811
    with (
        pytest.raises(SourceError, match=r"did you mean 'PEOPLE'\?"),
        here.open(database=snowflake.url, table="POEPLE"),
    ):
        pass


def test_bytes_are_no_text(here, database, snowflake):  # noqa: F811
    snowflake.run("CREATE OR REPLACE TABLE photos (id integer, photo binary, words text)")
    with (
        here.open(database=database, table="PHOTOS") as opened,
        pytest.raises(SourceError, match="column 'photo' holds bytes"),
    ):
        opened.select(texts={"words": "words", "photo": "photo"}, segments=["all"])


def test_rows_come_in_parts(here, snowflake):  # noqa: F811
    rows = "table(generator(rowcount => 25000))"
    query = f"select to_varchar(seq4()) as id, repeat('x', 50) as t from {rows}"
    with here.open(database=snowflake.url, query=query, key="ID") as opened:
        sizes = [batch.num_rows for batch in opened._session.stream(query)]
    assert sizes == [10_000, 10_000, 5_000]


def test_what_a_dialect_takes_beside_its_url_is_handed_over(workspace, monkeypatch):
    """A service account signs in by a key, whose file no URL of this dialect may name."""
    called: list[Any] = []

    def create_engine(url: Any, **options: Any) -> None:
        called.append((url.render_as_string(), options["connect_args"]))
        raise ValueError

    monkeypatch.setattr("sqlalchemy.create_engine", create_engine)
    url = "snowflake://me@acc/db?private_key_file=keys/rsa.p8&warehouse=w&host=h"
    with pytest.raises(SourceError, match="not the URL"), workspace.open(database=url, table="T"):
        pass
    ((said, given),) = called
    assert said == "snowflake://me@acc/db?warehouse=w"
    assert given.pop("session_parameters")["TIMEZONE"] == "UTC"
    assert given == {"private_key_file": f"{workspace.root}/keys/rsa.p8", "host": "h"}
