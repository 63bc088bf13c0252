"""The same expressions over the same profiles, on DuckDB and on PostgreSQL: the same answers.

The profiles are what the two could disagree about; the expressions are what people write.
"""

# ruff: noqa: E501 - a profile a line

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from conftest import Workspace

from exportkit.engines.databases import postgres_sql
from exportkit.engines.databases.dialects import Dialect
from exportkit.engines.predicates import ExpressionError

if TYPE_CHECKING:
    from postgresql import Database

COLUMNS = {
    "id": "INTEGER",
    "name": "TEXT",
    "odd": "TEXT",
    "visits": "INTEGER",
    "spent": "NUMERIC(10,2)",
    "score": "DOUBLE PRECISION",
    "news": "BOOLEAN",
    "born": "DATE",
    "seen": "TIMESTAMP",
    "clock": "TIMESTAMPTZ",
}
DECLARED = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
ROWS = """
(1, 'anna', '12', 7, 10.50, 2.5, true, '1990-02-28', '2024-02-29 23:59:59.5', '2024-03-31 00:30:00+00'),
(2, 'Bob', '-7', -7, 0.00, -2.5, false, '2000-12-31', '2024-01-01 00:00:00', '2024-01-01 00:00:00+03'),
(3, 'ÉMILE', '1.5', 2, 99.99, 0.125, NULL, '1999-01-01', NULL, '2023-12-31 22:15:00-05'),
(4, 'émile', '2024-02-30', 0, 1000.00, 1e16, true, NULL, '1970-01-01 12:30:00', NULL),
(5, 'a_b%c\\d', 'yes', 3, NULL, 'NaN', false, '2021-01-03', '2021-01-03 04:05:06', '2021-01-03 04:05:06+00'),
(6, '', ' 42 ', NULL, -5.25, 'Infinity', true, '2020-02-29', '2020-12-31 23:59:59', '1999-12-31 23:59:59+00'),
(7, NULL, NULL, 100, 0.005, -0.5, NULL, '2024-07-15', '2024-07-15 00:00:00', '2024-07-15 12:00:00+00'),
(8, 'Zoë O''Brien', 'abc', 1, 7.77, 0.1, true, '1985-06-15', '2024-06-15 15:00:00', '2024-06-15 15:00:00+00'),
(9, '  x ', 'x1', 5, 33.33, 3.5, false, '2001-09-09', '2001-09-09 01:46:40', '2001-09-09 01:46:40+00'),
(10, 'ab', '2024-02-29', 6, 12.00, 1.005, true, '2024-02-29', '2024-02-29 12:00:00', '2024-02-29 12:00:00+00'),
(11, 'Ab', 'TRUE', 8, 12.10, 2.675, true, '1900-03-01', '1900-03-01 00:00:01', '1900-03-01 00:00:01+00'),
(12, 'zz👩‍🚀', '9999999999', 9, 0.10, 5, false, '2038-01-19', '2038-01-19 03:14:07', '2038-01-19 03:14:07+00')
"""
CONDITIONS = """
news
not news
news is true or visits > 5
name > 'a'
name >= 'Z' and name < 'b'
name between 'A' and 'Z'
name = 'Bob' or name <> 'bob'
name in ('anna', 'Ab', null)
name not in ('anna', 'Ab')
lower(name) = 'émile'
upper(name) = 'ÉMILE'
lower(name) < lower(odd)
name like 'a%'
name like '%c\\_%'
name like '%\\d'
name like 'a!_b!%%' escape '!'
name not like '%é%'
name ilike '%É%'
name not ilike '%é%'
not name like 'a%'
name not like 'a!_b!%%' escape '!'
name not between 'A' and 'Z'
name is null or name = ''
length(name) >= 5
length(trim(name)) = 1
starts_with(name, 'a')
prefix(name, '')
ends_with(name, 'c\\d') or suffix(name, 'b')
contains(name, 'O''B')
strpos(name, 'b') = 2
left(name, 2) = 'ab' or right(name, 1) = ' '
substring(name, 2, 3) = 'mil' or substring(name, 3) = 'b'
replace(name, 'a', 'o') = 'onno'
name || odd is null
name || '-' || visits = 'Bob--7'
concat(name, null, visits) = 'anna7'
concat_ws('/', name, visits, null, news) = 'anna/7/true'
visits / 2 = 3.5
visits / 2 > 1
(visits + 1) / 3 < 1
visits // 2 = -3
visits % 3 = -1
-visits > 2
visits is distinct from 7
visits between -7 and 2
visits + 0.5 > 6.5
spent >= 10
spent = 99.99
spent * 2 > 20 and spent - 1 < 100
spent / 3 > 4
abs(spent) > 5
floor(spent) = 10 or ceil(spent) = 8
round(spent) = 11
round(spent, 1) = 12.1
round(score) = 3
round(case when score < 9 then cast(score as decimal(8, 3)) end, 2) >= 2.68
score > 1e15
score = 0.1
score < 0
greatest(visits, 5) = 5
least(name, 'b') = 'b'
regexp_matches(name, '^[A-Z]')
regexp_matches(name, 'b.c')
regexp_matches(name, '[^a-zé]')
not regexp_matches(name, '^\\w+$')
regexp_matches(odd, '^\\d{4}-\\d\\d-(?:29|30)$')
regexp_matches(odd, '^\\s')
regexp_matches(name, '(a|b)\\S*[\\d_]|O''B')
regexp_matches(name, '[\\w]%[\\]c]')
regexp_matches(odd, '^[+-]?\\d+\\.?\\d*?$')
coalesce(visits, 0) = 0
ifnull(name, 'nobody') = 'nobody'
nullif(name, '') is null
case when visits > 5 then news else visits = 0 end
if(visits > 5, name, 'x') = 'x'
born >= '2000-01-01'
born > date '1999-12-31' and born < '2021-01-03'
born + 1 = '2000-03-01' or born + 1 = '2001-01-01'
born - date '2000-01-01' > 7000
born + interval 1 month > '2024-03-01'
year(born) = 2024 and month(born) = 2 and day(born) = 29
extract(quarter from born) = 1
extract(year from clock) = 2023
dayofweek(born) = 0
extract(isodow from born) = 7
week(born) = 53
extract(doy from born) = 60
hour(seen) = 23 and minute(seen) = 59
date_trunc('month', born) = '2024-02-01'
date_trunc('year', seen) = timestamp '2024-01-01'
date_trunc('day', clock) = '2024-02-29'
seen < '2024-01-01'
seen - interval '12 hours' > '2024-06-15'
seen::date = '2024-02-29'
clock >= '2024-01-01'
clock < timestamptz '2024-01-01 00:00:00+03'
clock::date = born
clock > seen
born < current_date - interval 20 year
clock < now()
try_cast(odd as integer) > 0
try_cast(odd as integer) is null
try_cast(odd as bigint) > 100
try_cast(odd as double) > 1
try_cast(odd as date) = '2024-02-29'
try_cast(odd as boolean)
try_cast(odd as decimal(4,1)) < 0
try_cast(visits as varchar) = '7'
cast(visits as varchar) = '100'
cast(spent as integer) = 100
case when abs(score) < 100 then cast(score as integer) else 0 end = 2
cast(name as varchar(2)) = 'anna'
true
visits = 7 and name = 'anna' or spent > 1000
(visits = 7 or name = 'x') is null
""".strip().splitlines()
EXPRESSIONS = """
name || ' ' || odd
concat('#', visits, '-', news)
upper(name)
visits / 4
visits // 2
spent * 2
spent + visits
score
score * 2
round(score)
round(spent, 1)
born
born + interval 1 day
date_trunc('month', born)
seen
clock
year(born)
news
visits > 3
case when news then 'yes' else 'no' end
coalesce(visits, 0)
spent::decimal(12, 4)
visits::varchar
born::varchar
clock::varchar
left(name, 1) || '.'
length(name)
greatest(visits, 5)
born - date '2000-01-01'
""".strip().splitlines()


@pytest.fixture(scope="module")
def both(postgresql_module: Database, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What a server and a file answer to everything: a list of rows each."""
    # The column's own collation knows ASCII alone, as a database whose locale is C.
    there = DECLARED.replace("name TEXT", 'name TEXT COLLATE "C"')
    postgresql_module.run(
        f"SET TimeZone = 'UTC'; CREATE TABLE people ({there}); INSERT INTO people VALUES {ROWS}"
    )
    root = tmp_path_factory.mktemp("people")
    with duckdb.connect() as here:
        here.execute("SET TimeZone = 'UTC'")
        here.execute(f"CREATE TABLE people ({DECLARED})")
        here.execute(f"INSERT INTO people VALUES {ROWS}")
        here.execute(f"COPY people TO '{root}/people.parquet'")
    places = {"database": postgresql_module.url, "table": "people"}, {"file": "people.parquet"}
    return [answers(Workspace(root), place) for place in places]


def answers(workspace: Workspace, place: dict[str, str]) -> dict[str, list[Any]]:
    return workspace.answers(
        place,
        CONDITIONS,
        texts={"key": "id", **{name: name for name in COLUMNS}},
        expressions={f"= {sql}": sql for sql in EXPRESSIONS},
    )


@pytest.mark.parametrize("where", CONDITIONS)
def test_a_segment_is_the_same_people(both, where):
    there, here = both
    assert there[f"? {where}"] == here[f"? {where}"]


@pytest.mark.parametrize("sql", EXPRESSIONS)
def test_an_expression_is_the_same_text(both, sql):
    there, here = both
    assert there[f"= {sql}"] == here[f"= {sql}"]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_is_the_same_text(both, column):
    there, here = both
    assert there[column] == here[column]


def test_each_segment_tells_people_apart(both):
    _, here = both
    blind = [where for where in CONDITIONS if len(set(here[f"? {where}"])) == 1]
    assert blind == ["true"]


REFUSED = {
    "regexp_matches(name, '\\bx')": "would read this regular expression in another way",
    "regexp_matches(name, '(?i)x')": "would read this regular expression in another way",
    "regexp_matches(name, '[[:alpha:]]')": "would read this regular expression in another way",
    "regexp_matches(name, 'x{300}')": "would read this regular expression in another way",
    "regexp_matches(name, odd)": "would read this regular expression in another way",
    "regexp_replace(name, 'x', '') = ''": "regexp_replace() is not translated for PostgreSQL",
    "strftime(born, '%Y') = '2024'": "is not translated for PostgreSQL",
    "date_diff('day', born, seen) > 3": "is not translated for PostgreSQL",
    "extract(epoch from seen) > 0": "extract(epoch from …) is not translated",
    "substring(name, -2) = 'x'": "a substring starts at a plain number from 1 on",
    "score || 'x' = ''": "writes floating-point numbers as text in its own way",
    "score::varchar = '5.0'": "writes floating-point numbers as text in its own way",
    "score // 2 = 1": "divides integers alone",
    "round(score, 2) > 1": "does not round floating-point numbers to decimals the same way",
    "cast(visits as uinteger) = 1": "the type uint is not translated",
}


@pytest.mark.parametrize(("where", "why"), REFUSED.items())
def test_what_would_mean_something_else_is_refused(workspace, both, postgresql_module, where, why):
    place = {"database": postgresql_module.url, "table": "people"}
    with workspace.open(**place, segments={"them": {"where": where}}) as opened:
        (complaint,) = opened.complaints()
    assert why in complaint.message
    assert complaint.hint


def test_texts_compare_byte_by_byte_whatever_the_collation():
    """No server here sorts like a dictionary, so what is sent to it is looked at."""
    dialect, kinds = postgres_sql.dialect(180000, "pg_c_utf8"), {"name": "text", "id": "integer"}
    said = dialect.expression("name > 'a' and id > 1 and lower(name) <= 'b'", kinds, kinds)
    assert said == (
        """(("name") COLLATE "C") > (('a') COLLATE "C") AND "id" > 1 """
        """AND ((LOWER((("name") COLLATE "pg_c_utf8"))) COLLATE "C") <= (('b') COLLATE "C")"""
    )


def test_lower_needs_a_collation_that_knows_unicode():
    dialect = postgres_sql.dialect(160000, None)
    with pytest.raises(ExpressionError, match="know ASCII alone"):
        dialect.expression("lower(name) = 'x'", ["name"], {"name": "text"})


def test_try_cast_needs_a_server_that_can_be_asked():
    dialect = postgres_sql.dialect(150000, None)
    with pytest.raises(ExpressionError, match="try_cast to int is not translated"):
        dialect.expression("try_cast(name as integer)", ["name"], {"name": "text"})


def test_a_dialect_nobody_pinned_takes_what_all_understand():
    dialect = Dialect("trino", "Trino")
    dialect.check("spent >= 10 and lower(name) like 'a%'")
    with pytest.raises(ExpressionError, match="greatest\\(\\) is not translated for Trino"):
        dialect.check("greatest(a, b) = 1")
