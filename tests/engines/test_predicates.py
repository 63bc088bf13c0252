"""What users may write as SQL, that it means what the engine means by it, and what is refused."""

from __future__ import annotations

import duckdb
import pytest

from exportkit.engines.predicates import ExpressionError, check_expression

COLUMNS = ("n", "f", "s", "e", "d", "t", "b", "z", "j", "Order", "with space")

ROWS = """
    (1, 5.5::double, 'Ann', 'ann@x.com', date '2024-01-31', timestamp '2024-01-31 10:00', true,
     '0123', '{"x": {"y": "z"}}', 1, 'a'),
    (2, -2.25, 'O''Brien', null, date '2023-02-28', timestamp '2023-02-28 23:59:59', false,
     'a\\b', '{}', 2, 'b'),
    (-7, null, 'Zoë %_ x', '', null, null, null, '99', null, null, null),
    (null, 0.0, '  pad ', 'B@Y.org', date '2000-12-25', timestamp '2000-12-25', true, null, '[1]',
     3, 'c')
"""

ALLOWED = r"""
n = 1
N >= 1 and F < 10
n <> 1 or f is null
not b
not b or b and n > 1
not (b and n > 1) or not b
b is not false
n in (1, 2, null)
n not in (1, 2)
not n in (1, 2) and b
s like '%n%'
s not like 'A%'
s ilike 'ann'
s like '%!%%' escape '!'
z = 'a\b'
n between 1 and 2 and b
n not between 1 and 2
d > date '2023-12-31'
d > '2023-12-31'
d > current_date - interval 30 day
d > current_date - interval '30 days'
d > current_date - 30
t < now() - interval '1 year' + interval 2 month
t < current_timestamp
date_diff('day', d, date '2024-02-10')
datediff('year', d, date '2024-02-10')
date_add(d, interval 1 month)
date_sub('month', d, date '2024-02-10')
date_trunc('month', t)
date_trunc('week', d)
extract(year from d)
extract(dow from d)
extract(epoch from t)
year(d) = 2024 and month(d) = 1 and day(d) > 3
quarter(d)
week(d)
dayofweek(d)
isodow(d)
dayofyear(d)
last_day(d)
dayname(d) = 'Sunday'
strftime(d, '%d/%m/%Y')
strptime('31/01/2024', '%d/%m/%Y') > t
try_strptime(z, '%d%m')
cast(n as varchar)
z::text
cast(f as decimal(10, 2))
try_cast(z as integer)
coalesce(e, s, 'none')
ifnull(e, 'x')
nullif(e, '')
case when n > 1 then 'a' when n < 0 then 'b' else s end
case n when 1 then 'one' end
if(n > 1, 'a', 'b')
n - 1 - 1
n - (f - 1)
(n + 2) * 3 - -n
n / 2
n // 2
n % 2
2 ^ n
abs(n) + sign(n)
round(f, 1)
floor(f) + ceil(f) + trunc(f)
greatest(n, f, 0)
least(n, f)
lower(s) || upper(s)
s || e like '%x%'
trim(s)
ltrim(s)
rtrim(s)
trim(both 'A' from s)
length(s)
substring(s, 2, 2)
substr(s, 2)
left(s, 2) || right(s, 2)
replace(s, 'n', 'm')
concat(s, e, n)
concat_ws('-', s, e)
lpad(z, 6, '0')
reverse(s)
regexp_matches(s, '^A')
regexp_matches(s, 'ann', 'i')
regexp_full_match(s, 'n.*')
regexp_replace(s, 'n', 'm', 'g')
regexp_extract(e, '@(.*)$', 1)
starts_with(s, 'A')
ends_with(s, 'n')
contains(s, 'nn')
strpos(s, 'n')
position('n' in s)
split_part(e, '@', 2)
strip_accents(s)
e is distinct from s
e is not distinct from s
(n, f) = (1, 5.5)
null is null
'it''s' = s
"n" = 1
"Order" = 1
"ORDER" = 1 and "with space" = 'a'
j ->> '$.x.y' = 'z'
json_extract_string(j, '$.x.y')
t at time zone 'Europe/Athens'
n = 1e0 or f = .5
""".strip().splitlines()


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as connection:
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        connection.execute(f"create table p as from (values {ROWS}) p({names})")
        connection.execute("set timezone = 'UTC'")
        # One transaction: now() stays what it is.
        connection.execute("begin")
        yield connection


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_runs_means_what_was_written(engine, sql):
    checked = check_expression(sql, COLUMNS)
    written = engine.execute(f"select ({sql}) from p").fetchall()
    assert engine.execute(f"select ({checked}) from p").fetchall() == written
    assert check_expression(checked, COLUMNS) == checked


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("read_csv('/etc/passwd')", "the function read_csv is not allowed"),
        ("n in (select n from p)", "a query inside an expression"),
        ("exists (select 1)", "is not allowed"),
        ("(select 1) = 1", "a query inside an expression"),
        ("(with x as (select 1) select * from x) = 1", "a query inside an expression"),
        ("(from p) = 1", "a query inside an expression"),
        ("n = any (select 1)", "is not allowed"),
        ("select 1", "not one SQL expression"),
        ("from p", "not one SQL expression"),
        ("n = 1; drop table p", "not one SQL expression"),
        ("n = 1; n = 2", "more than one expression"),
        ("n = 1) or (n = 2", "not one SQL expression"),
        ("n = 1, n = 2", "not one SQL expression"),
        ("n = 1 as x", "not one SQL expression"),
        ("n = 1 from p", "not one SQL expression"),
        ("n = 1 union select 1", "not one SQL expression"),
        ("n = 1 -- and b", "comments"),
        ("n = 1 /* and b */", "comments"),
        ("/* */ n = 1", "comments"),
        ("copy p to 'x.csv'", "not one SQL expression"),
        ("attach 'x.db'", "not one SQL expression"),
        ("install httpfs", "not one SQL expression"),
        ("load httpfs", "not one SQL expression"),
        ("pragma database_list", "not one SQL expression"),
        ("set memory_limit = '1GB'", "not one SQL expression"),
        ("getenv('HOME')", "the function getenv is not allowed"),
        ("current_setting('temp_directory')", "the function current_setting is not allowed"),
        ("getvariable('x')", "the function getvariable is not allowed"),
        ("nextval('x')", "the function nextval is not allowed"),
        ("glob('*')", "is not allowed"),
        ("current_user = 'x'", "is not allowed"),
        ("version() = 'x'", "is not allowed"),
        ("current_database() = 'x'", "is not allowed"),
        ("random() < 0.5", "is not allowed"),
        ("uuid() = 'x'", "is not allowed"),
        ("error('x')", "is not allowed"),
        ("query('select 1')", "is not allowed"),
        ("main.lower(s) = 'x'", "is not allowed"),
        ("s.lower() = 'x'", "is not allowed"),
        ("list_filter([n], x -> x > 1)", "is not allowed"),
        ("list_filter([n], lambda x: x > 1)", "not"),
        ("[x for x in [n]]", "is not allowed"),
        ("columns(*)", "is not allowed"),
        ("*", "is not allowed"),
        ("p.n = 1", "without a table"),
        ("#1 = 1", "is not allowed"),
        ("n = $1", "is not allowed"),
        ("n = ?", "is not allowed"),
        ("n = $x", "is not allowed"),
        ("$$x$$ = s", "is not allowed"),
        ("e'x' = s", "is not allowed"),
        ("count(*) > 1", "one row at a time"),
        ("sum(n) > 1", "one row at a time"),
        ("sum(n) over () > 1", "one row at a time"),
        ("row_number() over (order by n) = 1", "one row at a time"),
        ("sum(n) filter (b) > 1", "is not allowed"),
        ("string_agg(s) = 'x'", "one row at a time"),
        ("s ~ 'n'", "the operator ~ is not allowed"),
        ("s !~ 'n'", "the operator ~ is not allowed"),
        ("unnest([1]) = 1", "is not allowed"),
        ("cast(s as blob) = s", "the type"),
        ("cast(s as struct(a int)) is null", "is not allowed"),
        ("cast(s as nosuch) is null", "is not allowed"),
        ("lpad(s, 2000000000, 'x') = s", "padding takes a plain number up to 1000"),
        ("rpad(s, n, 'x') = s", "padding takes a plain number up to 1000"),
        ("repeat(s, 10) = s", "the function repeat is not allowed"),
        ("n = 'x", "cannot be read"),
        ("n = 1 and", "not one SQL expression near 'and'"),
        ("(n = 1", "not one SQL expression"),
        ("", "is empty"),
        ("  \n ", "is empty"),
        ("(" * 2000 + "n" + ")" * 2000, "nested too deeply"),
    ],
)
def test_refused(sql, said):
    with pytest.raises(ExpressionError) as caught:
        check_expression(sql, COLUMNS)
    assert said in caught.value.message


def test_a_wrong_column_is_named_with_its_place():
    with pytest.raises(ExpressionError, match="there is no column 'lifetime'") as caught:
        check_expression("n > 1 and lifetime > 2", COLUMNS)
    assert (caught.value.name, caught.value.offset) == ("lifetime", 10)
    assert caught.value.known == COLUMNS


@pytest.mark.parametrize(
    ("sql", "offset"),
    [("n = 1 and getenv('x') = 'y'", 10), ("n = 1 b", 6), ("n = 1 and count(s) > 2", 10)],
)
def test_the_place_of_what_is_refused(sql, offset):
    with pytest.raises(ExpressionError) as caught:
        check_expression(sql, COLUMNS)
    assert caught.value.offset == offset


def test_columns_come_out_as_the_source_spells_them():
    assert check_expression("ORDER = 1", COLUMNS) == '"Order" = 1'


def test_names_cannot_break_out_of_their_quotes():
    evil = "x\" = 1 or getenv('HOME') = \"y"
    quoted = evil.replace('"', '""')
    assert check_expression(f'"{quoted}" = 1', (evil,)) == f'"{quoted}" = 1'
