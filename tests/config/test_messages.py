"""What people read: every line here is a mistake and the whole message about it."""

from __future__ import annotations

import pytest

from exportkit.config.job import check_job
from exportkit.config.schemas import check
from exportkit.errors import ConfigError

STARTS = {
    "job": "version: 1\nname: x\nsource: customers\nsegments: [vip]\n",
    "source": "version: 1\nname: customers\nkey: id\n",
    "connection": "version: 1\nname: marketing\ntype: paper\n",
    "workspace": "version: 1\n",
}

JOBS = {
    "map: {email: email}\nmode: mirorr": (
        "job:6:7: mode: found the text 'mirorr', expected one of: upsert, insert, mirror, full"
        " (did you mean 'mirror'?)"
    ),
    "map: {email: email}\nlimit: {}": (
        "job:6:1: limit: there is no key 'limit' here (did you mean 'limits'?)"
    ),
    "map: {email: email}\nlimits: {removals: 5 %, settle: 90}": (
        "job:6:20: limits.removals: found the text '5 %', expected a whole number, or a share such"
        " as 10%\n"
        "job:6:33: limits.settle: found the number 90, expected a duration such as 24h, 30m, 7d or"
        " 1h30m"
    ),
    "map: {email: email}\ndescription: 5": (
        "job:6:14: description: found the number 5, expected text (put it in quotes)"
    ),
    "map: {email: email}\ntimezone: Europe/Athen": (
        "job:6:11: timezone: there is no time zone 'Europe/Athen' (did you mean 'Europe/Athens'?)"
    ),
    "map: {email: email}\nkey: mail": (
        "job:6:6: key: the key 'mail' is not a field of the map (did you mean 'email'?)"
    ),
    "map: {email: email}\nsuppress: [a, b, a]": (
        "job:6:18: suppress[2]: found the text 'a' a second time (take it out)"
    ),
    "map: {email: email}\nconnection: My Account": (
        "job:6:13: connection: found the text 'My Account', expected a name of lower-case letters,"
        " digits, '-' and '_' (for example 'my-account')"
    ),
    "map: {email: email}\non_duplicate: {order: desc}": (
        "job:6:15: on_duplicate: the key 'prefer' is missing (for example `prefer: updated_at`)\n"
        "job:6:23: on_duplicate.order: found the text 'desc', expected one of: ascending,"
        " descending (did you mean 'descending'?)"
    ),
    "map: {email: email}\nnotify: {to: '${env:A}', on: [fail]}": (
        "job:6:31: notify.on[0]: found the text 'fail', expected one of: failure, guard, recovery,"
        " always (did you mean 'failure'?)"
    ),
    "map: {email: email}\nnotify: {to: slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7F}": (
        "job:6:14: notify.to: found text (not shown), expected a reference to the address, such as"
        " ${env:EXPORTKIT_ALERTS}"
    ),
    "map: {email: email}\nretention: {}": (
        "job:6:12: retention: found an empty mapping, expected runs, rejections, or both"
    ),
    "map: {}": "job:5:6: map: found an empty mapping, expected at least one line `field: column`",
    "map: {email: }": (
        "job:5:14: map.email: found nothing, expected a column of the source, or an object with"
        " one of column, value, sql"
    ),
    "map: {email: {colum: x}}": (
        "job:5:15: map.email.colum: there is no key 'colum' here (did you mean 'column'?)"
    ),
    "map: {email: {column: a, value: b}}": (
        "job:5:26: map.email.value: found column and value together, expected exactly one of"
        " column, value, sql"
    ),
    "map: {email: {transform: trim}}": (
        "job:5:14: map.email: expected exactly one of column, value, sql; there is none"
    ),
    "map: {email: {column: a, transform: [trim, titel]}}": (
        "job:5:44: map.email.transform[1]: found the text 'titel', expected one of trim, collapse,"
        " lower, upper, title, digits, or {date: \"%d/%m/%Y\"} (did you mean 'title'?)"
    ),
    "map: {email: {column: a, transform: {date: '%d'}}}": (
        "job:5:44: map.email.transform.date: found the text '%d', expected a pattern with %d, %m"
        ' and %Y or %y (and %H, %M, %S), such as "%d/%m/%Y"'
    ),
    "map: {email: {column: a, required: yes, max_length: '5'}}": (
        "job:5:36: map.email.required: found the text 'yes', expected true or false (write true,"
        " without quotes)\n"
        "job:5:53: map.email.max_length: found the text '5', expected a whole number from 1 up"
        " (take the quotes off)"
    ),
    "map: {exportkit.key: a}": (
        "job:5:7: map[\"exportkit.key\"]: found the key 'exportkit.key', expected a field name;"
        " names that start with 'exportkit.' are reserved"
    ),
    "map: {a: b}\ndestination: {nested: {clientSecret: hunter2}}": (
        "job:6:24: destination.nested.clientSecret: found a secret in plain text (secrets belong"
        " in the connection, as a reference such as ${env:NAME})"
    ),
    "map: {a: b}\ndestination: {list: '${env:LIST}'}": (
        "job:6:21: destination.list: found a reference, which is not replaced in a job (references"
        " belong in connections/ and sources/)"
    ),
}

SOURCES = {
    "": "source:1:1: expected exactly one of file, database, spark; there is none",
    "file: a\ndatabase: b": (
        "source:5:1: database: found file and database together, expected exactly one of file,"
        " database, spark"
    ),
    "database: postgresql://crm@db/w": (
        "source:1:1: expected `database` with exactly one of table, query; there is none"
    ),
    "spark: sc://x\ntable: a\nquery: b": (
        "source:6:1: query: found table and query together, expected `spark` with exactly one of"
        " table, query, file"
    ),
    "database: postgresql://crm:hunter2@db/w\ntable: a": (
        "source:4:11: database: found a password or token in plain text (write it as a reference:"
        " postgresql://user:${env:PASSWORD}@host/database)"
    ),
    "file: a\nsegments: {VIP: {}, b: {wher: x}}": (
        "source:5:12: segments.VIP: found the key 'VIP', expected a name of lower-case letters,"
        " digits, '-' and '_' (for example 'vip')\n"
        "source:5:25: segments.b.wher: there is no key 'wher' here (did you mean 'where'?)"
    ),
    "database: a\ntable: b\nencoding: latin-1": (
        "source:6:1: encoding: 'encoding' goes with file, which is not here"
    ),
    "file: ${HOME}/x": (
        "source:4:7: file: found ${HOME}, expected ${env:NAME}, ${file:PATH} or"
        " ${keyring:SERVICE/NAME}"
    ),
}

CONNECTIONS = {
    "use: [admin, contributer]": (
        "connection:4:14: use[1]: found the text 'contributer', expected one of: admin,"
        " contributor (did you mean 'contributor'?)"
    ),
    "consent: {agreed_by: jane, agreed_on: 2026-13-20}": (
        "connection:4:39: consent.agreed_on: found the text '2026-13-20', expected a date such as"
        " 2026-11-20"
    ),
    "display_name: ${env:NAME}": (
        "connection:4:15: display_name: found a reference, which is not replaced here (in a"
        " connection, references belong under options)"
    ),
    "options: {url: 'https://u:p@host'}": (
        "connection:4:16: options.url: found a password or token in plain text (write it as a"
        " reference such as ${env:NAME})"
    ),
}

WORKSPACES = {
    "roles: {admin: jane}": (
        "workspace:2:16: roles.admin: found the text 'jane', expected a list of users and groups,"
        ' such as [jane, "%data-admins"]'
    ),
    "state: postgresql://u:p@db/x": (
        "workspace:2:8: state: found a password or token in plain text (take it out; PostgreSQL"
        " reads its password from PGPASSWORD or ~/.pgpass)"
    ),
    "a: 1\na: 2": (
        "workspace:3:1: the key 'a' is here a second time; the first is at 2:1 (keep one of the"
        " two)"
    ),
    "a: b: c": (
        "workspace:2:5: not YAML: found a ':' that cannot stand here (put text that contains ': '"
        " in quotes, and check the indentation)"
    ),
    "a:\n\t- x": (
        "workspace:3:1: not YAML: found a tab where the line is indented, expected blanks (indent"
        " with blanks)"
    ),
    "a: @x": "workspace:2:4: not YAML: found @ at the start of a value (put the text in quotes)",
    "a: [1\nb: 2": (
        "workspace:2:4: not YAML: the bracket [ is not closed (close it, or put text that contains"
        " it in quotes)"
    ),
    "a: 'x": (
        "workspace:2:4: not YAML: the quote ' is not closed (close it, or put text that contains it"
        " in quotes)"
    ),
    "a: {b: ${env:X}}": (
        "workspace:2:4: not YAML: the brace { is not closed (between braces, ${...} has to stand in"
        " quotes)"
    ),
    "a: !!python/object:os.system x": (
        "workspace:2:4: a: found the tag !!python/object:os.system; files hold text, numbers,"
        " true/false, lists and mappings only (take the tag out; put text that starts with ! in"
        " quotes)"
    ),
    "<<: {a: 1}": (
        "workspace:2:1: merge keys (<<) are not read (they are no part of YAML 1.2; write the lines"
        " out)"
    ),
    "a:\n  b: 1\n c: 2": (
        "workspace:4:2: not YAML: expected the next `key: value` of the mapping that starts at 1:1"
        " (check the quotes, brackets and indentation around this line)"
    ),
}

CASES = [
    pytest.param(kind, text, message, id=f"{kind}: {text}")
    for kind, cases in (
        ("job", JOBS),
        ("source", SOURCES),
        ("connection", CONNECTIONS),
        ("workspace", WORKSPACES),
    )
    for text, message in cases.items()
]


@pytest.mark.parametrize(("kind", "text", "message"), CASES)
def test_message(read, kind: str, text: str, message: str) -> None:
    try:
        document = read(STARTS[kind] + text + "\n", kind)
        found = check(document, kind) or (list(check_job(document)) if kind == "job" else [])
    except ConfigError as error:
        found = list(error.complaints)
    assert "\n".join(map(str, found)) == message


def test_every_mistake_of_a_file_is_told_at_once(read) -> None:
    document = read("nmae: x\nversion: 2\nsegments: []\nmap: {a: {kind: mail}}\n", "job")
    assert "\n".join(map(str, check(document, "job"))) == (
        "job:1:1: the key 'source' is missing (for example `source: customers`)\n"
        "job:1:1: nmae: there is no key 'nmae' here (did you mean 'name'?)\n"
        "job:2:10: version: found the number 2, expected 1, the only version of the file format"
        " so far\n"
        "job:3:11: segments: found an empty list, expected a list of at least one segment, such as"
        " [vip]\n"
        "job:4:10: map.a: expected exactly one of column, value, sql; there is none\n"
        "job:4:17: map.a.kind: found the text 'mail', expected one of: email, date, phone, number,"
        " text (did you mean 'email'?)"
    )


def test_what_is_quoted_cannot_move_the_cursor(read) -> None:
    found = check(read('"\\e[2Ja\\nb": 1\nversion: "\\e[1m\\n"\n', "job"), "job")
    text = "\n".join(map(str, found))
    assert "\x1b" not in text
    assert "there is no key '\\x1b[2Ja\\nb' here" in text


def test_long_text_is_cut(read) -> None:
    (found, *_) = check(read(f"version: {'x' * 500}\n", "workspace"), "workspace")
    assert f"found the text '{'x' * 60}...'," in str(found)
