"""Imports: what lands, what is refused, what is counted, what is dropped without a word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exportkit_constant_contact.sandbox import Choices, ManualClock, Sandbox
from sandbox_caller import HEADER, Caller


def counters(activity: dict[str, Any]) -> list[int]:
    names = ("person_count", "error_count", "correctable_count", "cannot_add_to_list_count")
    return [activity["status"][name] for name in names]


def test_new_people_are_implicit_and_the_header_is_counted(
    box: Sandbox, caller: Caller, news: str
) -> None:
    began = caller.upload(news, f'{HEADER}\nJane@Example.com,Jané,"D\no, e"\r\n', "run-7.csv")
    shown = began.json()
    assert (shown["state"], shown["percent_done"]) == ("initialized", 1)
    assert shown["source_file_name"] == "run-7.csv"
    assert "started_at" not in shown
    done = caller.done(began)
    assert (done["state"], done["percent_done"], done["activity_errors"]) == ("completed", 100, [])
    assert done["status"]["items_total_count"] == 2
    assert counters(done) == [1, 0, 0, 0]
    jane = box.contact("jane@example.com")
    assert jane is not None
    assert jane["email_address"]["address"] == "Jane@Example.com"
    assert jane["email_address"]["permission_to_send"] == "implicit"
    assert jane["email_address"]["opt_in_source"] == "Account"
    assert (jane["first_name"], jane["last_name"]) == ("Jané", "D\no, e")
    assert jane["list_memberships"] == [news]
    assert box.import_count == 1


def test_known_people_keep_what_is_blank_and_their_permission(
    box: Sandbox, caller: Caller, news: str
) -> None:
    box.add_contact("a@x.example", permission="explicit", first_name="Ann", last_name="Old")
    caller.upload(news, f"{HEADER}\nA@X.example,,New\n")
    ann = box.contact("a@x.example")
    assert ann is not None
    assert (ann["first_name"], ann["last_name"]) == ("Ann", "New")
    assert ann["email_address"]["permission_to_send"] == "explicit"
    assert ann["email_address"]["address"] == "a@x.example"
    assert box.count(news) == 1


@pytest.mark.parametrize("updates", [True, False])
def test_unsubscribed_people_stay_so_and_out(clock: ManualClock, updates: bool) -> None:
    choices = Choices(updates_unsubscribed=updates)
    with Sandbox(clock=clock, rates=False, choices=choices) as box:
        news, caller = box.add_list("News"), Caller(box)
        box.add_contact("a@x.example", lists=[news], first_name="Ann")
        box.unsubscribe("a@x.example")
        rows = f"{HEADER}\na@x.example,Anne,\nb@x.example,Bob,\n"
        assert counters(caller.done(caller.upload(news, rows))) == [2, 0, 0, 1]
        ann = box.contact("a@x.example")
        assert ann is not None
        assert ann["email_address"]["permission_to_send"] == "unsubscribed"
        assert ann["first_name"] == ("Anne" if updates else "Ann")
        assert [each["first_name"] for each in box.contacts(news)] == ["Bob"]


def test_deleted_people_come_back_but_not_if_they_unsubscribed(
    box: Sandbox, caller: Caller, news: str
) -> None:
    for name in ("a", "b"):
        contact = box.add_contact(f"{name}@x.example", lists=[news])
        if name == "b":
            box.unsubscribe("b@x.example")
        assert caller.delete(f"/contacts/{contact}").status_code == 204
    assert box.count(news) == 0
    done = caller.done(caller.upload(news, "email\na@x.example\nb@x.example\n"))
    assert counters(done) == [2, 0, 0, 1]
    ann, bob = box.contact("a@x.example"), box.contact("b@x.example")
    assert ann is not None
    assert "deleted_at" not in ann
    assert bob is not None
    assert bob["email_address"]["permission_to_send"] == "unsubscribed"
    assert [each["contact_id"] for each in box.contacts(news)] == [ann["contact_id"]]


def test_bad_rows_are_named_by_line_and_the_others_land(
    box: Sandbox, caller: Caller, news: str
) -> None:
    rows = [
        "email,first_name,birthday_month,birthday_day,anniversary,phone",
        "a@x.example,Ann,2,29,2001-05-06,(212) 555-0100",
        "no address,Bob,,,,",
        "c@x.example,Cat,2,30,,",
        "d@x.example,Dan,2,,,",
        "e@x.example,Eve,,,May 6th,",
        f"f@x.example,{'F' * 51},,,,",
        f"{'g' * 40}@long.example,Gus,,,,",
        "h@x.example,Hal,,,,+44 20 7946 0000",
        ",Ida,,,,",
    ]
    done = caller.done(caller.upload(news, "\n".join(rows)))
    assert done["activity_errors"] == [
        "Line 3: Invalid email address",
        "Line 4: Invalid birthday",
        "Line 5: Invalid birthday",
        "Line 6: Invalid anniversary",
        "Line 7: first_name has more than 50 characters",
        "Line 8: Email address is too long",
        "Line 9: International phone numbers are not supported",
        "Line 10: Missing email address",
    ]
    assert counters(done) == [9, 3, 5, 0]
    assert [each["first_name"] for each in box.contacts(news)] == ["Ann"]


def test_json_takes_more_kinds_of_addresses_and_custom_fields(
    box: Sandbox, caller: Caller, news: str
) -> None:
    tier = box.add_field("Loyalty Tier")
    assert tier == "loyalty_tier"
    row = {
        "email": "a@x.example",
        "birthday_month": 5,
        "birthday_day": 6,
        "home_street": "1 Main St",
        "home_street2": "Floor 2",
        "home country": "US",
        "work_zip": "02451",
        "mobile_phone": "2125550100",
        "cf:loyalty_tier": "gold",
        "cf:nobody": "x",
    }
    body = {"import_data": [row], "list_ids": [news]}
    done = caller.done(caller.post("/activities/contacts_json_import", body))
    assert counters(done) == [1, 0, 0, 0]
    assert done["source_file_name"] == "upload_from_json.csv"
    ann = box.contact("a@x.example")
    assert ann is not None
    assert (ann["birthday_month"], ann["birthday_day"]) == (5, 6)
    assert [each["value"] for each in ann["custom_fields"]] == ["gold"]
    places = {each["kind"]: each for each in ann["street_addresses"]}
    assert places["home"]["street"] == "1 Main St Floor 2"
    assert places["home"]["country"] == "US"
    assert places["work"]["postal_code"] == "02451"
    assert ann["phone_numbers"][0]["kind"] == "mobile"
    row = {"email": "a@x.example", "work_city": "Waltham"}
    caller.post("/activities/contacts_json_import", {"import_data": [row], "list_ids": [news]})
    ann = box.contact("a@x.example")
    assert ann is not None
    places = {each["kind"]: each for each in ann["street_addresses"]}
    assert (places["work"]["postal_code"], places["work"]["city"]) == ("02451", "Waltham")
    assert len(ann["custom_fields"]) == 1


def test_what_is_past_the_limit_is_dropped_without_a_word(clock: ManualClock) -> None:
    with Sandbox(clock=clock, rates=False, choices=Choices(import_bytes=1_200)) as box:
        news, caller = box.add_list("News"), Caller(box)
        content = f"{HEADER}\n" + "".join(f"a{at}@x.example,Ann,Doe\n" for at in range(100))
        began = caller.upload(news, content)
        assert began.status_code == 201
        done = caller.done(began)
        assert done["state"] == "completed"
        assert done["activity_errors"] == []
        landed = box.count(news)
        assert 20 < landed < 50
        assert done["status"]["items_total_count"] == landed + 1
        rows = [{"email": f"b{at}@x.example", "first_name": 'é"] }'} for at in range(100)]
        body = {"import_data": rows, "list_ids": [news]}
        size = len(json.dumps(body)[:1_200].encode())
        assert size == 1_200
        done = caller.done(caller.post("/activities/contacts_json_import", body))
        assert done["status"]["person_count"] == box.count(news) - landed
        assert 10 < done["status"]["person_count"] < 30


def test_four_million_bytes_pass_and_what_is_over_is_lost(caller: Caller, news: str) -> None:
    row = b"%06d@x.example," + b"F" * 50 + b"," + "é".encode() * 50 + b"\n"
    caller.upload(news, b"email\n")
    envelope = caller.box.requests[-1].received - len(b"email\n")
    head = f"{HEADER}\n".encode()
    count = (4_000_000 - envelope - len(head)) // len(row % 0)
    assert count < 39_000
    content = head + b"".join(row % at for at in range(count))
    assert caller.done(caller.upload(news, content))["status"]["person_count"] == count
    over = caller.done(caller.upload(news, content + row % 1 + row % 2 + row % 3))
    assert count <= over["status"]["person_count"] < count + 3
    assert (over["state"], over["activity_errors"]) == ("completed", [])


@pytest.mark.parametrize(("rows", "status"), [(39_999, 201), (40_000, 400)])
def test_a_file_has_40000_lines_with_its_header(
    caller: Caller, news: str, rows: int, status: int
) -> None:
    content = "email\n" + "".join(f"a{at}@x.example\n" for at in range(rows))
    assert caller.upload(news, content).status_code == status


@pytest.mark.parametrize(("rows", "status"), [(40_000, 201), (40_001, 400)])
def test_a_json_import_has_40000_rows(caller: Caller, news: str, rows: int, status: int) -> None:
    body = {"import_data": [{"email": f"a{at}@x.example"} for at in range(rows)]}
    reply = caller.post("/activities/contacts_json_import", {**body, "list_ids": [news]})
    assert reply.status_code == status


@pytest.mark.parametrize(
    ("content", "name", "status"),
    [
        ("email\n", "a.txt", 415),
        ("first_name\nAnn\n", "a.csv", 400),
        ("email,email\na@x.example,\n", "a.csv", 400),
        ("email," + ",".join(f"cf:f{at}" for at in range(26)) + "\n", "a.csv", 400),
    ],
)
def test_files_that_cannot_be_are_refused(
    caller: Caller, news: str, content: str, name: str, status: int
) -> None:
    reply = caller.upload(news, content, name)
    assert reply.status_code == status
    assert isinstance(reply.json(), list)


@pytest.mark.parametrize("ids", [[], ["04fe9a97-a579-43c5-bb1a-58ed29bf0a6a"], "x", None])
def test_lists_have_to_be_there(caller: Caller, ids: object) -> None:
    body = {"import_data": [{"email": "a@x.example"}], "list_ids": ids}
    assert caller.post("/activities/contacts_json_import", body).status_code == 400
    assert caller.box.activities() == []


def test_the_wrong_kind_of_body_is_refused(caller: Caller, news: str) -> None:
    path = "/activities/contacts_file_import"
    assert caller.post(path, {"list_ids": news}).status_code == 415
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    url = caller.box.api_url + path
    assert caller.http.post(url, data=b"--x\r\nhalf", headers=broken).status_code == 400


def test_every_open_question_can_be_answered_otherwise(clock: ManualClock) -> None:
    choices = Choices(
        unknown_column="refuse",
        too_long="truncate",
        foreign_phone="drop",
        names_unsubscribed=True,
        person_count="landed",
        too_many_rows="truncate",
        unknown_list="ignore",
        import_revives=False,
        json_file_name=None,
        field_name="keep",
    )
    with Sandbox(clock=clock, rates=False, choices=choices) as box:
        news, caller = box.add_list("News"), Caller(box)
        assert box.add_field("Loyalty Tier") == "Loyalty_Tier"
        gone = box.add_contact("gone@x.example")
        caller.delete(f"/contacts/{gone}")
        box.add_contact("un@x.example", permission="unsubscribed")
        rows = [
            "email,first_name,phone,nobody",
            f"a@x.example,{'A' * 60},+44 20,",
            "b@x.example,Bob,,x",
            "un@x.example,Una,,",
            "gone@x.example,Gus,,",
        ]
        done = caller.done(caller.upload(f"{news},unknown", "\n".join(rows)))
        assert done["activity_errors"] == [
            "Line 3: Unknown field 'nobody'",
            "Line 4: Contact is unsubscribed",
            "Line 5: Contact is unsubscribed",
        ]
        (ann,) = box.contacts(news)
        assert ann["first_name"] == "A" * 50
        assert ann["phone_numbers"] == []
        many = "email\n" + "".join(f"m{at}@x.example\n" for at in range(40_005))
        assert caller.done(caller.upload(news, many))["status"]["person_count"] == 39_999


def test_forty_thousand_rows_are_one_import(caller: Caller, news: str) -> None:
    content = f"{HEADER}\n" + "".join(
        f"user{at}.{at * 7919 % 40_009}@some-company-{at % 97}.example,Firstname{at},"
        f"A rather longer last name {at}\n"
        for at in range(39_999)
    )
    assert len(content) < 4_000_000
    done = caller.done(caller.upload(news, content))
    assert counters(done) == [39_999, 0, 0, 0]
