"""Contacts, lists and custom fields, one at a time and page by page."""

from __future__ import annotations

from typing import Any

import pytest
from exportkit_constant_contact.sandbox import Choices, ManualClock, Sandbox
from exportkit_constant_contact.sandbox.identities import Identities
from sandbox_caller import Caller


def pages(caller: Caller, path: str, items: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Every page, by the links alone."""
    reply = caller.get(path, **query).json()
    found = [reply[items]]
    while link := (reply.get("_links") or {}).get("next"):
        assert link["href"].startswith(f"/v3{path}?cursor=")
        reply = caller.http.get(caller.box.url + link["href"]).json()
        found.append(reply[items])
    return found


def test_pages_carry_their_filters_along(box: Sandbox, caller: Caller, news: str) -> None:
    other = box.add_list("Other")
    for at in range(7):
        box.add_contact(f"p{at}@x.example", lists=[news] if at % 2 else [news, other])
    query: dict[str, Any] = {"lists": other, "limit": 2, "include": "list_memberships"}
    found = pages(caller, "/contacts", "contacts", **query, include_count="true")
    assert [len(page) for page in found] == [2, 2]
    assert all(other in each["list_memberships"] for page in found for each in page)
    both = pages(caller, "/contacts", "contacts", lists=f"{other},{news}", limit=3)
    assert [len(page) for page in both] == [3, 3, 1]
    reply = caller.get("/contacts", lists=other, include_count="true", limit=1)
    assert reply.json()["contacts_count"] == 4
    assert "list_memberships" not in reply.json()["contacts"][0]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 501},
        {"limit": "x"},
        {"cursor": "x"},
        {"status": "alive"},
        {"include": "everything"},
        {"updated_after": "yesterday"},
        {"include_count": "maybe"},
        {"lists": ",".join(["x"] * 26)},
    ],
)
def test_a_query_that_cannot_be_is_refused(caller: Caller, query: dict[str, Any]) -> None:
    reply = caller.get("/contacts", **query)
    assert reply.status_code == 400
    assert isinstance(reply.json(), list)


def test_people_are_found_by_address_state_and_time(
    box: Sandbox, caller: Caller, clock: ManualClock
) -> None:
    box.add_contact("plus+sign@x.example")
    gone = box.add_contact("gone@x.example")
    box.add_contact("pending@x.example", permission="pending_confirmation")
    clock.advance(100)
    box.add_contact("late@x.example")
    box.unsubscribe("late@x.example")
    caller.delete(f"/contacts/{gone}")

    def found(**query: str) -> list[str]:
        reply = caller.get("/contacts", **query).json()
        return [each["email_address"]["address"].split("@")[0] for each in reply["contacts"]]

    assert found(email="PLUS+sign@x.example") == ["plus+sign"]
    assert found() == ["plus+sign", "pending", "late"]
    assert found(status="all") == ["plus+sign", "gone", "pending", "late"]
    assert found(status="deleted,unsubscribed") == ["gone", "late"]
    assert found(status="active") == ["plus+sign"]
    assert found(email="gone@x.example") == []
    assert found(created_after="2026-03-29T12:00:30Z") == ["late"]
    assert found(status="all", optout_after="2026-03-29T12:00:30Z") == ["late"]
    counts = caller.get("/contacts/counts").json()
    assert counts == {"total": 3, "explicit": 0, "implicit": 1, "unsubscribed": 1, "pending": 1}


def test_a_known_address_is_a_conflict_deleted_or_not(box: Sandbox, caller: Caller) -> None:
    body = {
        "create_source": "Account",
        "email_address": {"address": "a@x.example"},
        "first_name": "Ann",
    }
    made = caller.post("/contacts", body)
    assert made.status_code == 201
    contact = made.json()["contact_id"]
    for _ in range(2):
        refused = caller.post("/contacts", body)
        assert refused.status_code == 409
        assert refused.json()[0]["error_key"] == "contacts.api.conflict"
        assert contact in refused.json()[0]["error_message"]
        caller.delete(f"/contacts/{contact}")
    del body["create_source"]
    said = caller.post("/contacts", body).json()[0]["error_message"]
    assert said == "create_source is missing, create_source does not have a valid value"


def test_put_takes_away_core_fields_and_keeps_the_rest(
    box: Sandbox, caller: Caller, news: str
) -> None:
    contact = box.add_contact("a@x.example", lists=[news], first_name="Ann", job_title="Baker")
    path = f"/contacts/{contact}"
    assert caller.put(path, {"first_name": "Anne"}).status_code == 400  # update_source
    put = caller.put(path, {"update_source": "Account", "first_name": "Anne"}).json()
    assert put["first_name"] == "Anne"
    assert "job_title" not in put
    assert put["list_memberships"] == [news]
    put = caller.put(path, {"update_source": "Account", "list_memberships": []}).json()
    assert put["list_memberships"] == []
    caller.delete(path)
    assert caller.put(path, {"update_source": "Contact"}).status_code == 400
    assert "deleted_at" not in caller.put(path, {"update_source": "Account"}).json()
    assert caller.put("/contacts/nobody", {"update_source": "Account"}).status_code == 404


def test_only_the_person_can_come_back(box: Sandbox, caller: Caller) -> None:
    path = f"/contacts/{box.add_contact('a@x.example')}"

    def put(permission: str, source: str) -> int:
        email = {"address": "a@x.example", "permission_to_send": permission}
        return caller.put(path, {"update_source": source, "email_address": email}).status_code

    assert put("unsubscribed", "Contact") == 200
    assert caller.get(path).json()["email_address"]["opt_out_source"] == "Contact"
    assert put("implicit", "Account") == 400
    assert put("implicit", "Contact") == 200


@pytest.mark.parametrize("confirmed", [False, True])
def test_the_form_subscribes_again(clock: ManualClock, confirmed: bool) -> None:
    choices = Choices(confirmed_opt_in=confirmed)
    with Sandbox(clock=clock, rates=False, choices=choices) as box:
        news, caller = box.add_list("News"), Caller(box)
        box.add_contact("old@x.example", first_name="Olga")
        box.unsubscribe("old@x.example")
        for address, status in (("new@x.example", 201), ("old@x.example", 200)):
            body = {
                "email_address": address,
                "list_memberships": [news],
                "phone_number": "2125550100",
            }
            reply = caller.post("/contacts/sign_up_form", body)
            assert (reply.status_code, reply.json()["action"]) == (
                status,
                "created" if status == 201 else "updated",
            )
        old, new = box.contact("old@x.example"), box.contact("new@x.example")
        assert old is not None
        assert new is not None
        assert old["email_address"]["permission_to_send"] == "explicit"
        assert old["first_name"] == "Olga"
        expected = "pending_confirmation" if confirmed else "explicit"
        assert new["email_address"]["permission_to_send"] == expected
        assert box.count(news) == 2


def test_lists_have_unique_names_and_are_counted(box: Sandbox, caller: Caller) -> None:
    made = caller.post("/contact_lists", {"name": "News", "description": "all"}).json()
    assert caller.post("/contact_lists", {"name": "News"}).status_code == 409
    assert caller.post("/contact_lists", {"name": ""}).status_code == 400
    box.add_contact("a@x.example", lists=[made["list_id"]])
    box.add_contact("b@x.example", lists=[made["list_id"]], permission="pending_confirmation")
    path = f"/contact_lists/{made['list_id']}"
    assert "membership_count" not in caller.get(path).json()
    for kind, count in (("all", 2), ("active", 1)):
        assert caller.get(path, include_membership_count=kind).json()["membership_count"] == count
    assert caller.get(path, include_membership_count="some").status_code == 400
    assert caller.put(path, {"name": "Letter"}).json()["name"] == "Letter"
    assert caller.get("/contact_lists", name="Letter").json()["lists"][0]["name"] == "Letter"
    assert caller.get("/contact_lists/04fe9a97-a579-43c5-bb1a-58ed29bf0a6a").status_code == 404


def test_an_account_has_a_thousand_lists_on_pages(caller: Caller) -> None:
    for at in range(1_000):
        caller.box.add_list(f"List {at}")
    assert caller.post("/contact_lists", {"name": "One more"}).status_code == 400
    assert len(caller.get("/contact_lists").json()["lists"]) == 50
    found = pages(caller, "/contact_lists", "lists", limit=400)
    assert [len(page) for page in found] == [400, 400, 200]
    assert (
        caller.get("/contact_lists", limit=1, include_count="true").json()["lists_count"] == 1_000
    )


def test_custom_fields_have_names_of_the_services_making(caller: Caller) -> None:
    made = caller.post("/contact_custom_fields", {"label": "Customer ID", "type": "string"})
    assert (made.status_code, made.json()["name"]) == (201, "customer_id")
    for body, status in (
        ({"label": "customer id", "type": "string"}, 409),
        ({"label": "x" * 51, "type": "string"}, 400),
        ({"label": "X", "type": "colour"}, 400),
    ):
        assert caller.post("/contact_custom_fields", body).status_code == status
    path = f"/contact_custom_fields/{made.json()['custom_field_id']}"
    put = caller.put(path, {"label": "Customer"}).json()
    assert (put["label"], put["name"]) == ("Customer", "customer_id")
    assert caller.delete(path).status_code == 204
    assert caller.get(path).status_code == 404
    for at in range(100):
        caller.box.add_field(f"Field {at}")
    assert caller.post("/contact_custom_fields", {"label": "Y", "type": "date"}).status_code == 400
    assert caller.get("/contact_custom_fields", limit=101).status_code == 400
    found = pages(caller, "/contact_custom_fields", "custom_fields", limit=60)
    assert [len(page) for page in found] == [60, 40]


@pytest.mark.parametrize(
    ("choice", "links"), [("absent", "nothing"), ("null", None), ("empty", {})]
)
def test_a_last_page_ends_in_three_ways(clock: ManualClock, choice: Any, links: object) -> None:
    with Sandbox(clock=clock, rates=False, choices=Choices(last_page=choice)) as box:
        assert Caller(box).get("/contacts").json().get("_links", "nothing") == links


def test_ids_are_stable_reversible_and_apart() -> None:
    ids, others = Identities(7), Identities(8)
    made = [ids.of("contact", n) for n in range(1, 2_000)]
    assert len({*made}) == len(made)
    assert all(len(each) == 36 for each in made)
    assert [ids.number("contact", each) for each in made] == [*range(1, 2_000)]
    assert ids.number("list", made[0]) is None
    assert others.number("contact", made[0]) is None
    assert ids.number("contact", "x") is None
