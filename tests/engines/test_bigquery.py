"""BigQuery through SQLAlchemy, as far as bqemulator is like it: the same segments as on files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from bigqueries import PROJECT, bigquery  # noqa: F401 - a fixture
from conftest import Workspace
from everywhere import EVERYWHERE

from exportkit.engines.databases.translations import dialect_of
from exportkit.engines.databases.wording import as_text, without_rows
from exportkit.engines.predicates import ExpressionError
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
OWN = r"""
name not like 'a!_b!%%' escape '!'
name ilike 'A!_B!%%' escape '!'
name like 'a\b'
name like 'a\%'
name = 'a\b'
name like '__%'
"select" = '%%'
"select" = '%'
"select" = '`'
"select" = 'שלום'
trim("select") = 'x'
trim("select") = ''
contains(name, 'O''B') or contains(name, 'ann')
contains(name, 'o''b')
nullif(name, '') is null
name || 'x' = 'annax'
cast(spent as decimal(10, 1)) = 7.8
cast(visits as varchar) = '-7'
seen + interval 1 month < '2021-02-04'
left_at > '2024-01-01'
left_at + interval 1 month = '2024-02-29'
left_at > date '2024-01-31'
left_at >= current_date - interval 30 year
left_at between seen and now()
seen < now()
left_at < now() - interval 1 year
""".strip().splitlines()
CONDITIONS = [*EVERYWHERE, *OWN]
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


@pytest.mark.parametrize("column", [*COLUMNS, *VALUES])
def test_a_column_is_the_same(both, column):
    there, here = both
    assert list(map(plain, there[column])) == list(map(plain, here[column]))


def plain(value: Any) -> Any:
    """Decimals as numbers: the emulator writes zeros at their end, which BigQuery does not."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def test_what_is_pinned_though_the_emulator_would_not_tell():
    """It has DuckDB's own TRIM, LIKE and moments; BigQuery's documentation has others."""
    kinds = {"name": "text", "at": "timestamptz", "n": "numeric"}
    said = {
        "trim(name)": "TRIM(`name`, ' ')",
        "ltrim(name)": "LTRIM(`name`, ' ')",
        "name like 'a\\b%'": r"REGEXP_CONTAINS(`name`, '(?s)^a\\\\b.*$')",
        "at > at - interval 2 years": "`at` > CAST(CAST(`at` AS DATETIME) - INTERVAL 2 YEAR "
        "AS TIMESTAMP)",
        "at >= current_date - interval 30 day": "`at` >= CAST(CURRENT_DATE - INTERVAL 30 DAY "
        "AS TIMESTAMP)",
        "at > at - interval 2 day": "`at` > `at` - INTERVAL 2 DAY",
        "cast(n as decimal(30, 12))": "ROUND(CAST(`n` AS BIGNUMERIC), 12)",
        "cast(n as decimal(10, 2))": "ROUND(CAST(`n` AS NUMERIC), 2)",
    }
    dialect = dialect_of("bigquery")
    assert {sql: dialect.expression(sql, list(kinds), kinds) for sql in said} == said


def test_a_pattern_that_is_no_text_in_quotes_is_refused():
    with pytest.raises(ExpressionError, match="the pattern of `like` is a text in quotes"):
        dialect_of("bigquery").expression("a like b", ["a", "b"], {"a": "text", "b": "text"})


TYPES = {
    "j": ("JSON", """JSON '{"a": [1, null]}'""", '{"a":[1,null]}'),
    "nothing": ("JSON", "NULL", None),
    "names": ("ARRAY<STRING>", "['a', 'O\\'Brien']", '["a","O\'Brien"]'),
    "whole": ("STRUCT<a INT64, b STRING>", "STRUCT(1, 'x')", '{"a":1,"b":"x"}'),
    "clock": ("TIME", "TIME '01:02:03'", "01:02:03"),
    "half": ("FLOAT64", "0.5", "0.5"),
    "yes": ("BOOL", "true", "true"),
    "big": ("INT64", "9223372036854775807", "9223372036854775807"),
    "moment": ("TIMESTAMP", "TIMESTAMP '2024-02-29 01:02:03+02'", "2024-02-28 23:02:03+00"),
    "odd name": ("STRING", "'%s %%'", "%s %%"),
}


def test_types_that_have_no_form_of_their_own_are_json(here, bigquery):  # noqa: F811
    declared = ", ".join(f"`{name}` {kind}" for name, (kind, _, _) in TYPES.items())
    values = ", ".join(value for _, value, _ in TYPES.values())
    bigquery.run(
        f"CREATE OR REPLACE TABLE kinds (id INT64, {declared})",
        f"INSERT INTO kinds VALUES (1, {values})",
    )
    (row,) = here.texts(database=bigquery.url, table="kinds")
    assert row == {"id": "1", **{name: text for name, (_, _, text) in TYPES.items()}}


def test_a_place_on_earth_is_text_by_a_function_of_its_own():
    dialect = dialect_of("bigquery")
    said = as_text(dialect, "home", "other", "geography")
    assert said == "CASE WHEN `home` IS NOT NULL THEN ST_ASTEXT(`home`) END"


def test_bytes_are_no_text(here, bigquery):  # noqa: F811
    bigquery.run("CREATE OR REPLACE TABLE photos (id INT64, photo BYTES, words STRING)")
    with (
        here.open(database=bigquery.url, table="photos") as opened,
        pytest.raises(SourceError, match="column 'photo' holds bytes"),
    ):
        opened.select(texts={"words": "words", "photo": "photo"}, segments=["all"])


def test_a_table_may_be_named_with_its_project(here, bigquery):  # noqa: F811
    url = bigquery.url.replace("/people?", "?")
    with here.open(database=url, table=f"{PROJECT}.people.profiles", key="ID") as opened:
        assert opened.count(["all"]) == {"all": 10}


def test_rows_come_in_parts(here, bigquery):  # noqa: F811
    with here.open(database=bigquery.url, query=MANY) as opened:
        sizes = [batch.num_rows for batch in opened._session.stream(MANY)]
    assert sizes == [10_000, 10_000, 5_000]


MANY = "select cast(n as string) as id, 'x' as t from unnest(generate_array(1, 25000)) as n"


def test_asking_for_columns_is_for_free():
    """By LIMIT 0 it is known that nothing will be read, so nothing is billed."""
    assert without_rows(dialect_of("bigquery"), "select 1").endswith("LIMIT 0")
    assert "LIMIT" not in without_rows(dialect_of("snowflake"), "select 1")
