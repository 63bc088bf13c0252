"""Runs against the sandbox: what is sent, what changes there, what is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stage import Stage, addresses, person

from exportkit.errors import EXIT_TRY_LATER

if TYPE_CHECKING:
    from collections.abc import Callable


def test_only_what_changed_is_sent(stage: Stage) -> None:
    counts = stage.counts()
    assert (counts["added"], counts["sent"], stage.box.import_count) == (3, 3, 1)
    assert stage.members == addresses(["ann", "bob", "cid"])

    counts = stage.counts()
    assert (counts["unchanged"], counts["sent"], stage.box.import_count) == (3, 0, 1)

    stage.people(person("ann"), person("bob", first_name="Bobby"), person("cid"), person("dan"))
    counts = stage.counts()
    assert (counts["added"], counts["updated"], counts["sent"]) == (1, 1, 2)
    assert stage.members == addresses(["ann", "bob", "cid", "dan"])
    bob = stage.box.contact("bob@example.com")
    assert bob is not None
    assert bob["first_name"] == "Bobby"


def test_mirror_takes_out_whom_it_put_in_and_nobody_else(stage: Stage) -> None:
    stage.box.add_contact("guest@example.com", lists=[stage.list_id])
    stage.job["mode"] = "mirror"
    stage.counts()
    stage.people(person("ann"))
    assert stage.counts()["removed"] == 2
    assert stage.members == addresses(["ann", "guest"])
    gone = stage.box.contact("bob@example.com")
    assert gone is not None
    assert "deleted_at" not in gone


def test_mirror_may_delete_whom_it_put_in(stage: Stage) -> None:
    stage.job["mode"] = "mirror"
    stage.job["destination"]["removal"] = "contact"
    stage.counts()
    stage.people(person("ann"))
    assert stage.counts()["removed"] == 2
    gone = stage.box.contact("bob@example.com")
    assert gone is not None
    assert gone["deleted_at"]


def test_who_left_by_herself_needs_no_removal(stage: Stage) -> None:
    stage.job["mode"] = "mirror"
    stage.counts()
    stage.box.unsubscribe("bob@example.com")
    stage.people(person("ann"), person("cid"))
    assert stage.counts()["removed"] == 1
    assert stage.calls("/activities/remove_list_memberships") == 0


@pytest.mark.parametrize(
    ("members", "leaving", "pages"),
    [(20, 1, 1), (1200, 1, 1), (1200, 600, 3)],
)
def test_ids_are_found_in_few_calls(
    make_stage: Callable[..., Stage], members: int, leaving: int, pages: int
) -> None:
    stage = make_stage()
    stage.job["mode"] = "mirror"
    everybody = [person(f"p{number}") for number in range(members)]
    stage.people(*everybody)
    stage.counts()
    stage.people(*everybody[leaving:])
    assert stage.counts()["removed"] == leaving
    assert stage.calls("/contacts") == pages
    assert stage.calls("/activities/remove_list_memberships") == -(-leaving // 500)
    assert stage.box.count(stage.list_id) == members - leaving


def test_the_unsubscribed_are_left_alone_and_named(stage: Stage) -> None:
    for name in ("bob", "eve"):
        stage.box.add_contact(f"{name}@example.com")
        stage.box.unsubscribe(f"{name}@example.com")
    run = stage.run()
    assert (run["status"], run["counts"]["refused"], run["counts"]["added"]) == ("partial", 1, 2)
    assert stage.members == addresses(["ann", "cid"])
    bob = stage.box.contact("bob@example.com")
    assert bob is not None
    assert bob["email_address"]["permission_to_send"] == "unsubscribed"
    assert "unsubscribed" in stage.type("rejections", "news", "--show-values")

    counts = stage.counts()
    assert (counts["refused"], counts["sent"], stage.box.import_count) == (1, 0, 1)


def test_an_error_is_put_to_its_row(stage: Stage) -> None:
    stage.box.misbehave(
        "POST", "/activities/contacts_file_import", line_errors={3: "Invalid birthday"}
    )
    run = stage.run()
    assert (run["status"], run["counts"]["refused"], run["counts"]["added"]) == ("partial", 1, 2)
    stage.box.scenario.clear()
    shown = stage.type("rejections", "news", "--show-values")
    assert "Invalid birthday" in shown
    assert "bob@example.com" in shown
    assert "ann@example.com" not in shown


def test_errors_that_name_no_row_are_looked_for(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    stage.people(person("ann"), person("bob"), person("cid"))
    stage.box.misbehave(
        "POST", "/activities/contacts_file_import", line_errors={3: "x"}, errors=["something"]
    )
    run = stage.run()
    assert run["counts"]["refused"] == 1


@pytest.mark.parametrize("end", ["failed", "timed_out", "cancelled"])
def test_an_import_that_ends_badly_is_planned_again(stage: Stage, end: str) -> None:
    stage.box.misbehave("POST", "/activities/contacts_file_import", call=1, activity=end)
    run = stage.run()
    assert (run["status"], run["counts"]["unsettled"], stage.code) == ("failed", 3, 1)
    counts = stage.counts()
    assert (counts["added"], stage.box.import_count) == (3, 2)
    assert stage.members == addresses(["ann", "bob", "cid"])


def test_a_stuck_import_is_waited_for_then_sent_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from exportkit_constant_contact import imports

    stage.job["limits"] = {"settle": "1s"}
    stage.box.misbehave("POST", "/activities/contacts_file_import", call=1, activity="stuck")
    run = stage.run()
    assert (run["status"], stage.code) == ("deferred", EXIT_TRY_LATER)
    run = stage.run()
    assert (run["status"], stage.box.import_count) == ("deferred", 1)
    monkeypatch.setattr(imports, "STUCK_AFTER", timedelta(0))
    stage.run()
    counts = stage.counts()
    assert counts["added"] + counts["unchanged"] == 3
    assert stage.box.import_count == 2
    assert stage.members == addresses(["ann", "bob", "cid"])


def test_an_activity_that_is_gone_is_planned_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from exportkit_constant_contact import imports

    monkeypatch.setattr(imports, "SHOWN_AFTER", timedelta(0))
    stage.box.misbehave("GET", "/activities/*", status=404)
    run = stage.run()
    assert (run["status"], run["counts"]["unsettled"]) == ("failed", 3)
    stage.box.scenario.clear()
    assert stage.counts()["added"] == 3


def test_a_list_by_name_is_made_by_a_run_not_by_a_plan(stage: Stage) -> None:
    stage.job["destination"] = {"list_name": "Fresh", "create_list": True}
    assert "Fresh (to be made by the first run)" in stage.type("plan", "news")
    assert stage.calls("/contact_lists") == 1
    stage.counts()
    assert stage.counts()["unchanged"] == 3
    assert sum(c.method == "POST" for c in stage.box.requests if "lists" in (c.route or "")) == 1
    assert stage.box.count(stage.box.add_list("Fresh")) == 3


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ({"list_name": "Newz"}, "did you mean 'News'?"),
        ({"list_id": "00000000-0000-4000-8000-000000000000"}, "is News"),
    ],
)
def test_a_list_that_is_not_there_is_placed(
    stage: Stage, destination: dict[str, str], expected: str
) -> None:
    stage.job["destination"] = destination
    said = stage.type("run", "news")
    assert "jobs/news.yaml:" in said
    assert expected in said
    assert stage.code == 2


def test_custom_fields_go_by_name_or_label(stage: Stage) -> None:
    name = stage.box.add_field("Loyalty Tier")
    stage.people(person("ann", tier="gold", shoe="38"))
    stage.job["map"] |= {"cf:Loyalty Tier": "tier", "cf:Shoe Size": "shoe"}
    assert "the account has no custom field 'Shoe Size'" in stage.type("run", "news")
    assert stage.code == 2
    stage.job["destination"]["create_custom_fields"] = True
    stage.counts()
    assert stage.counts()["unchanged"] == 1
    ann = stage.box.contact("ann@example.com")
    assert ann is not None
    assert sorted(field["value"] for field in ann["custom_fields"]) == ["38", "gold"]
    assert name


def test_fields_without_a_csv_column_go_as_json(stage: Stage) -> None:
    stage.people(person("ann", mobile="212 555 0100", born="1980-02-29"))
    stage.job["map"] |= {"mobile_phone": "mobile", "birthday": "born"}
    stage.counts()
    assert stage.calls("/activities/contacts_json_import") == 1
    ann = stage.box.contact("ann@example.com")
    assert ann is not None
    assert (ann["birthday_month"], ann["birthday_day"]) == (2, 29)
    assert ann["phone_numbers"][0]["kind"] == "mobile"


@pytest.mark.parametrize("json", [False, True])
def test_what_is_written_is_what_arrives(stage: Stage, json: bool) -> None:
    if json:
        stage.job["destination"]["import_format"] = "json"
    odd = ['say "hi", O\'Brien', "a,b;c\td", "first\nsecond", "שלום ‏ 🎉", "=1+1", " ", '"']
    stage.people(*(person(f"p{n}", first_name=text) for n, text in enumerate(odd)))
    stage.counts()
    arrived = [stage.box.contact(f"p{n}@example.com") for n in range(len(odd))]
    names = [contact.get("first_name") for contact in arrived if contact is not None]
    expected = [text.replace("\n", " ") for text in odd]
    assert [name or " " for name in names] == expected
    assert stage.counts()["sent"] == 0


@pytest.mark.parametrize(("rows", "imports"), [(39_999, 1), (40_000, 2), (40_001, 2)])
def test_an_import_holds_so_many_rows(
    make_stage: Callable[..., Stage], rows: int, imports: int
) -> None:
    stage = make_stage()
    stage.people(*(person(f"p{number}", first_name="") for number in range(rows)))
    assert stage.counts()["added"] == rows
    assert stage.box.import_count == imports
    assert stage.box.count(stage.list_id) == rows


@pytest.mark.parametrize("json", [False, True])
def test_no_import_is_larger_than_the_service_reads(
    make_stage: Callable[..., Stage], json: bool
) -> None:
    stage = make_stage()
    if json:
        stage.job["destination"]["import_format"] = "json"
    rows = 22_000
    stage.people(*(person(f"p{n}", first_name='é"🎉' * 12) for n in range(rows)))
    assert stage.counts()["added"] == rows
    sizes = [call.received for call in stage.box.requests if "_import" in (call.route or "")]
    assert max(sizes) <= 4_000_000
    assert len(sizes) <= -(-sum(sizes) // 4_000_000) + 1
    assert stage.box.count(stage.list_id) == rows


def test_the_day_s_calls_may_run_out(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    stage.people(person("ann"))
    stage.box.misbehave(
        "POST", "/activities/contacts_file_import", call=1, status=429, error_key="quota_exceeded"
    )
    run = stage.run()
    assert (run["status"], run["error"]["kind"], stage.code) == ("deferred", "quota_spent", 75)
    assert "UTC" in run["error"]["hint"]
    run = stage.run()
    assert (run["status"], stage.code, stage.box.import_count) == ("deferred", 75, 0)
    state = stage.root.parent / "state-home"
    for count in state.rglob("*.json"):
        count.unlink()  # the next day
    assert stage.counts()["added"] == 1


def test_without_agreement_nothing_is_sent(stage: Stage) -> None:
    del stage.connection["consent"]
    run = stage.run()
    assert (run["status"], run["error"]["kind"], stage.code) == ("blocked", "permission", 4)
    assert stage.box.requests == []


def test_a_connection_test_names_account_list_and_missing_rights(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage()
    stage.people(person("ann"))
    said = stage.type("connection", "test", "box")
    assert "Sandbox Bakery" in said
    assert "News" in said
    assert stage.code == 0


def test_a_connection_test_names_missing_rights(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(privileges=["contacts:read", "contacts:lists:read"])
    stage.people(person("ann"))
    assert "contacts:write" in stage.type("connection", "test", "box")
    assert stage.code == 4


@pytest.mark.parametrize("status", [400, 403])
def test_a_plan_that_allows_no_more_contacts_is_thought_of(stage: Stage, status: int) -> None:
    stage.box.misbehave(
        "POST", "/activities/*", status=status, message="Your plan allows 500 contacts."
    )
    run = stage.run()
    assert "Your plan allows 500 contacts." in run["error"]["message"]
    assert "no more contacts" in run["error"]["hint"]
    assert run["counts"]["unsettled"] == 3
