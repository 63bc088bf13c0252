"""Snowflake through SQLAlchemy, as far as fakesnow is like it: the same segments as on files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conftest import Workspace
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
CONDITIONS = """
news
not news
visits > 5 or news
name = 'anna'
name <> 'bob'
name in ('Anna', 'Bob')
name not in ('BOB', 'anna')
name > 'a'
name between 'A' and 'Z'
name like 'a%'
name not like 'A%'
name like 'a!_b!%%' escape '!'
name like '%\\_%'
name ilike 'É%'
lower(name) = 'émile'
upper(name) = 'ÉMILE'
starts_with(name, 'a')
ends_with(name, 'b%c')
contains(name, 'O''B') or contains(name, 'ann')
length(name) = 5
nullif(name, '') is null
coalesce(name, 'nobody') = 'nobody'
left(name, 1) = 'a' or right(name, 1) = 'b'
substring(name, 2, 3) = 'mil'
replace(name, 'n', 'm') = 'amma'
visits / 2 = 3.5
visits is distinct from 7
spent >= 10
spent * 2 > 20
abs(spent) > 5
round(spent) = 11
floor(spent) = 10 or ceil(spent) = 8
case when visits > 5 then news else visits = 0 end
born >= '2000-01-01'
born > date '1999-12-31' and born < date '2021-01-03'
born < current_date - interval 20 year
year(born) = 2024 and month(born) = 7
seen < '2024-01-01'
seen::date = '2024-02-29'
name is null
""".strip().splitlines()


@pytest.fixture(scope="module")
def both(snowflake: Snowflake, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:  # noqa: F811
    snowflake.run(f"CREATE TABLE people ({DECLARED})", f"INSERT INTO people VALUES {ROWS}")
    root = tmp_path_factory.mktemp("people")
    with duckdb.connect() as here:
        here.execute(f"CREATE TABLE people ({DECLARED}); INSERT INTO people VALUES {ROWS}")
        here.execute(f"COPY people TO '{root}/people.parquet'")
    places = {"database": snowflake.url, "table": "PEOPLE"}, {"file": "people.parquet"}
    return [answers(Workspace(root), place) for place in places]


def answers(workspace: Workspace, place: dict[str, str]) -> dict[str, Any]:
    segments = {f"s{n}": {"where": where} for n, where in enumerate(CONDITIONS)}
    with workspace.open(**place, segments={**segments, "all": {}}) as opened:
        assert opened.complaints() == []
        counts = opened.count(list(segments))
        frame = opened.select(
            texts={name: name for name in COLUMNS},
            values={"latest": "seen", "most": "spent", "eager": "news"},
            flags={f"? {where}": [name] for name, where in zip(segments, CONDITIONS, strict=True)},
            segments=["all"],
        )
        with opened.explained():
            found = frame.sort("ID").collect("pyarrow").to_native().to_pydict()
    assert list(counts.values()) == [sum(found[f"? {where}"]) for where in CONDITIONS]
    return found


@pytest.mark.parametrize("where", CONDITIONS)
def test_a_segment_is_the_same_people(both, where):
    there, here = both
    assert there[f"? {where}"] == here[f"? {where}"]


@pytest.mark.parametrize("column", [*COLUMNS, "latest", "most", "eager"])
def test_a_column_is_the_same(both, column):
    there, here = both
    same = [float(v) if column == "most" and v is not None else v for v in here[column]]
    assert there[column] == same


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"table": "POEPLE"}, r"does not answer what is declared here \(did you mean 'PEOPLE'\?\)"),
        ({"query": "select nmae from people"}, "does not answer what is declared here"),
        ({"query": "select from from people"}, "does not answer what is declared here"),
        ({"query": "delete from people"}, "DELETE writes"),
    ],
)
def test_what_is_not_there(workspace, both, snowflake, keys, why):  # noqa: F811
    with (
        pytest.raises(SourceError, match=why) as caught,
        workspace.open(database=snowflake.url, **keys),
    ):
        pass
    assert "geheim" not in str(caught.value)


def test_bytes_are_no_text(workspace, both, snowflake):  # noqa: F811
    snowflake.run("CREATE TABLE photos (id integer, photo binary, words text)")
    with (
        workspace.open(database=snowflake.url, table="PHOTOS") as opened,
        pytest.raises(SourceError, match="column 'photo' holds bytes"),
    ):
        opened.select(texts={"words": "words", "photo": "photo"}, segments=["all"])


def test_rows_come_in_parts(workspace, both, snowflake):  # noqa: F811
    rows = "table(generator(rowcount => 25000))"
    query = f"select to_varchar(seq4()) as id, repeat('x', 50) as t from {rows}"
    with workspace.open(database=snowflake.url, query=query, key="ID") as opened:
        sizes = [batch.num_rows for batch in opened._session.stream(query)]
    assert sizes == [10_000, 10_000, 5_000]
