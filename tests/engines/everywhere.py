"""Segments that are the same people in every database: each of its tests adds its own to these.

They ask for columns `name` (text), `visits`, `spent`, `news` (true or false), `born` and `seen`.
"""

EVERYWHERE = r"""
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
name like '%\_%'
name ilike 'É%'
lower(name) = 'émile'
upper(name) = 'ÉMILE'
starts_with(name, 'a')
ends_with(name, 'b%c')
length(name) = 5
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
