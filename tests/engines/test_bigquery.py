"""BigQuery through SQLAlchemy, as far as bqemulator is like it: the same segments as on files."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from bigqueries import PROJECT, bigquery, started_server  # noqa: F401 - a fixture
from conftest import Workspace

from exportkit.engines.databases.translations import dialect_of
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from bigqueries import BigQuery

# Column: its type here, its type there.
COLUMNS = {
    "ID": ("integer", "INT64"),
    "Name": ("text", "STRING"),
    "visits": ("integer", "INT64"),
    "spent": ("decimal(10,2)", "NUMERIC"),
    "news": ("boolean", "BOOL"),
    "born": ("date", "DATE"),
    "seen": ("timestamp", "DATETIME"),
    "left_at": ("timestamptz", "TIMESTAMP"),
    "select": ("text", "STRING"),
}
ROWS = """
(1, 'anna', 7, 10.50, true, '1990-02-28', '2024-02-29 23:59:59', '2024-02-29 23:59:59+00', 'a'),
(2, 'Bob', -7, 0.00, false, '2000-12-31', '2024-01-01 00:00:00', '2024-01-31 00:00:00+00', '\t'),
(3, 'ÉMILE', 2, 99.99, NULL, '1999-01-01', NULL, NULL, NULL),
(4, 'émile', 0, 1000.00, true, NULL, '1970-01-01 12:30:00', '1970-01-01 12:30:00+00', ''),
(5, 'a_b%c', 3, NULL, false, '2021-01-03', '2021-01-03 04:05:06', '2021-01-03 04:05:06+00', '%%'),
(6, '', NULL, -5.25, true, '2020-02-29', '2020-12-31 23:59:59', '2020-12-31 23:59:59+00', '%'),
(7, NULL, 100, 0.01, NULL, '2024-07-15', '2024-07-15 00:00:00', '2024-07-15 00:00:00+00', ' x '),
(8, 'Zoë O{quote}Brien', 1, 7.77, true, '1985-06-15', '2024-06-15 15:00:00', NULL, '`'),
(9, 'zz👩‍🚀', 9, 0.10, false, '2038-01-19', '2038-01-19 03:14:07', NULL, 'שלום'),
(10, 'a{slash}b', 9, 2.50, false, '2038-01-19', '2038-01-19 03:14:07', NULL, 'مرحبا')
"""
CONDITIONS = r"""
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
name not like 'a!_b!%%' escape '!'
name ilike 'A!_B!%%' escape '!'
name like '%\_%'
name like 'a\b'
name like 'a\%'
name = 'a\b'
name ilike 'É%'
name like '__%'
"select" = '%%'
"select" = '%'
"select" = '`'
"select" = 'שלום'
trim("select") = 'x'
trim("select") = ''
lower(name) = 'émile'
upper(name) = 'ÉMILE'
starts_with(name, 'a')
ends_with(name, 'b%c')
contains(name, 'O''B') or contains(name, 'ann')
contains(name, 'o''b')
length(name) = 5
nullif(name, '') is null
coalesce(name, 'nobody') = 'nobody'
left(name, 1) = 'a' or right(name, 1) = 'b'
substring(name, 2, 3) = 'mil'
replace(name, 'n', 'm') = 'amma'
name || 'x' = 'annax'
visits / 2 = 3.5
visits is distinct from 7
spent >= 10
spent * 2 > 20
abs(spent) > 5
round(spent) = 11
floor(spent) = 10 or ceil(spent) = 8
cast(spent as decimal(10, 1)) = 7.8
cast(visits as varchar) = '-7'
case when visits > 5 then news else visits = 0 end
born >= '2000-01-01'
born > date '1999-12-31' and born < date '2021-01-03'
born < current_date - interval 20 year
year(born) = 2024 and month(born) = 7
seen < '2024-01-01'
seen + interval 1 month < '2021-02-04'
seen::date = '2024-02-29'
left_at > '2024-01-01'
left_at + interval 1 month = '2024-02-29'
left_at < now() - interval 1 year
name is null
""".strip().splitlines()
VALUES = {"latest": "seen", "most": "spent", "eager": "news"}


@pytest.fixture(scope="module")
def here(bigquery: BigQuery, tmp_path_factory: pytest.TempPathFactory) -> Workspace:  # noqa: F811
    """A workspace with the key of an account, and the profiles of the server in a file."""
    there = ", ".join(f"`{name}` {kinds[1]}" for name, kinds in COLUMNS.items())
    rows = ROWS.format(quote="\\'", slash="\\\\")
    bigquery.run(f"CREATE TABLE profiles ({there})", f"INSERT INTO profiles VALUES {rows}")
    root = tmp_path_factory.mktemp("people")
    bigquery.tokens.write_key(root / "keys" / "bigquery.json")
    with duckdb.connect() as engine:
        own = ", ".join(f'"{name}" {kinds[0]}' for name, kinds in COLUMNS.items())
        rows = ROWS.format(quote="''", slash="\\")
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(f"CREATE TABLE people ({own}); INSERT INTO people VALUES {rows}")
        engine.execute(f"COPY people TO '{root}/people.parquet'")
    return Workspace(root)


@pytest.fixture(scope="module")
def both(here: Workspace, bigquery: BigQuery) -> list[dict[str, Any]]:  # noqa: F811
    places = {"database": bigquery.url, "table": "profiles"}, {"file": "people.parquet"}
    texts = {name: name for name in COLUMNS}
    return [
        here.answers(place, CONDITIONS, by="ID", texts=texts, values=VALUES) for place in places
    ]


@pytest.mark.parametrize("where", CONDITIONS)
def test_a_segment_is_the_same_people(both, where):
    there, here = both
    assert there[f"? {where}"] == here[f"? {where}"]
