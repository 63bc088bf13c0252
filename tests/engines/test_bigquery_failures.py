"""What is said when BigQuery, or what stands in for it, does not answer what it is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from bigqueries import PROJECT, bigquery, is_missing, started_server  # noqa: F401 - a fixture
from conftest import Workspace

from exportkit.engines.databases.alchemy_failures import explain
from exportkit.engines.databases.servers import Server
from exportkit.errors import SourceError

if TYPE_CHECKING:
    from bigqueries import BigQuery

MANY = "select cast(n as string) as id, 'x' as t from unnest(generate_array(1, 25000)) as n"


@pytest.fixture(scope="module")
def here(bigquery: BigQuery, tmp_path_factory: pytest.TempPathFactory) -> Workspace:  # noqa: F811
    """A workspace with the key of an account."""
    bigquery.run("CREATE TABLE profiles (ID INT64, Name STRING)")
    root = tmp_path_factory.mktemp("people")
    bigquery.tokens.write_key(root / "keys" / "bigquery.json")
    return Workspace(root)


WRONG = {
    "table": ({"table": "profilse"}, r"Not found: Table.*did you mean 'profiles'\?"),
    "dataset": ({"table": "poeple.profiles"}, "may not read that, or it is not there"),
    "column": ({"query": "select nmae from profiles"}, "does not answer what is declared here"),
    "sql": ({"query": "select from from profiles"}, "does not answer what is declared here"),
    "writing": ({"query": "delete from profiles where true"}, "DELETE writes"),
    "second": ({"query": "select 1 as id; drop table profiles"}, "a second statement"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_there(here, bigquery, case):  # noqa: F811
    keys, why = WRONG[case]
    with (
        pytest.raises(SourceError, match=f"(?s){why}"),
        here.open(database=bigquery.url, **keys),
    ):
        pass


def test_a_column_of_a_segment_is_named_with_the_nearest(here, bigquery):  # noqa: F811
    segments = {"all": {"where": "nmae = 'anna'"}}
    with here.open(database=bigquery.url, table="profiles", segments=segments) as opened:
        (complaint,) = opened.complaints()
    assert "did you mean 'Name'?" in str(complaint)


def test_the_server_goes_away_while_it_is_read(workspace, monkeypatch):
    """The client tries for ten minutes to reach it again; here it gives up at once."""
    if why := is_missing():
        pytest.skip(why)
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    with started_server() as server:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.address)
        server.tokens.write_key(workspace.root / "keys" / "bigquery.json")
        with workspace.open(database=server.url, query=MANY) as opened:
            rows = opened._session.stream(MANY)
            assert next(rows).num_rows == 10_000
            server.process.kill()
            monkeypatch.setattr(DEFAULT_RETRY, "_timeout", 0.1)
            with pytest.raises(SourceError, match=r"cannot be reached or read.*run again"):
                list(rows)


def test_somebody_signs_in_by_a_key(here, bigquery):  # noqa: F811
    bigquery.tokens.asked.clear()
    with here.open(database=bigquery.url, table="profiles", key="ID"):
        pass
    assert set(bigquery.tokens.asked) == {"reader"}


def test_somebody_signs_in_by_what_the_machine_knows(here, bigquery, monkeypatch):  # noqa: F811
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{here.root}/keys/bigquery.json")
    url = f"bigquery://{PROJECT}/people?location=EU&maximum_bytes_billed=1000000000"
    with here.open(database=url, table="profiles", key="ID") as opened:
        assert opened.count(["all"]) == {"all": 0}


KEYS = {
    "stranger": ("keys/stranger.json", "bigquery database crm-1/people does not accept the cred"),
    "missing": ("keys/none.json", "credentials_path names a file that cannot be read"),
    "none": ("keys/empty.json", "credentials_path names a file that is no such key"),
    "broken": ("keys/broken.json", "credentials_path names a file that is no such key"),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_key_that_does_not_fit_is_explained(here, bigquery, case):  # noqa: F811
    path, why = KEYS[case]
    bigquery.tokens.write_key(here.root / "keys" / "stranger.json", "stranger")
    key = (here.root / "keys" / "stranger.json").read_text(encoding="utf-8")
    here.write("keys/broken.json", key.replace("PRIVATE KEY-----\\n", "PRIVATE KEY-----\\nQ"))
    here.write("keys/empty.json", "{}")
    url = bigquery.url.replace("keys/bigquery.json", path)
    with pytest.raises(SourceError, match=why) as caught, here.open(database=url, table="profiles"):
        pass
    assert "geheim" not in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


def test_no_key_at_all_is_explained(here, bigquery, monkeypatch):  # noqa: F811
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{here.root}/keys/none.json")
    url = bigquery.url.partition("?")[0]
    with (
        pytest.raises(SourceError, match=r"no credentials.*\?credentials_path="),
        here.open(database=url, table="profiles"),
    ):
        pass


@pytest.mark.parametrize("option", ["destination=people.copy", "dry_run=true"])
def test_a_url_that_writes_or_reads_nothing_is_refused(here, bigquery, option):  # noqa: F811
    with (
        pytest.raises(SourceError, match=r"\?\w+= cannot stand in the URL.*take it out"),
        here.open(database=f"{bigquery.url}&{option}", table="profiles", key="ID"),
    ):
        pass


# What BigQuery itself says, as far as it is known.
SAID = {
    "Unrecognized name: nmae; Did you mean name? at [1:8]": r"name: nmae; Did you mean name\?$",
    "Bad int64 value: geheim": "a value cannot be read",
    "Invalid date: 'geheim'": "a value cannot be read",
    "division by zero: 7 / 0": "a value cannot be read",
    'Could not cast literal "geheim" to type INT64 at [1:8]': "does not answer what is declared",
    "No matching signature for operator = for argument types: STRING, INT64 at [1:9]": "not answer",
}


@pytest.mark.parametrize("said", SAID)
def test_no_value_is_quoted(tmp_path, said):
    exceptions = pytest.importorskip("google.api_core.exceptions")
    error = exceptions.BadRequest(said, errors=[{"reason": "invalidQuery", "message": said}])
    shown = explain(error, Server("bigquery", "bigquery://p/d", "BigQuery", tmp_path), None)
    assert re.search(SAID[said], shown.message)
    assert "geheim" not in str(shown)


REASONS = {
    "accessDenied": ("denied", "may not read that"),
    "bytesBilledLimitExceeded": ("other", "maximum_bytes_billed"),
    "quotaExceeded": ("other", "quota"),
    "backendError": ("gone", "cannot be reached or read"),
    "unheardOf": ("gone", "cannot be reached or read"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_explained(tmp_path, reason):
    exceptions = pytest.importorskip("google.api_core.exceptions")
    error = exceptions.Forbidden("geheim", errors=[{"reason": reason, "message": "geheim"}])
    shown = explain(error, Server("bigquery", "bigquery://p/d", "BigQuery", tmp_path), None)
    assert shown.reason == REASONS[reason][0]
    assert REASONS[reason][1] in shown.message
    assert "geheim" not in str(shown)
