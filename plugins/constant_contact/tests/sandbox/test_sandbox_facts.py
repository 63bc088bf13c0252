"""The sandbox against the published facts: its paths, its methods, the fields that it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from exportkit_constant_contact.sandbox.import_checks import ADDRESS_LENGTH, length_of
from exportkit_constant_contact.sandbox.import_rows import JSON_NAMES
from sandbox_caller import HEADER, Caller

if TYPE_CHECKING:
    from exportkit_constant_contact.sandbox import Sandbox

_PATH = next(
    (
        found
        for parent in Path(__file__).resolve().parents
        if (found := parent / "shared/constant_contact/openapi-facts.json").is_file()
    ),
    None,
)
KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
SHAPES = {
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "date-time": r"[\d-]{10}T[\d:]{8}Z",
    "date": r"[\d-]{10}",
}
pytestmark = pytest.mark.skipif(_PATH is None, reason="the published facts are not here")


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    assert _PATH is not None
    found: dict[str, Any] = json.loads(_PATH.read_text(encoding="utf-8"))
    return found


def resolved(facts: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = facts["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def strangers(facts: dict[str, Any], schema: dict[str, Any], value: Any, at: str = "") -> list[str]:
    """What a value has that its schema does not: wrong types, unknown or missing names, lengths."""
    schema = resolved(facts, schema)
    if "type" in schema and not isinstance(value, KINDS[schema["type"]]):
        return [f"{at} is no {schema['type']}"]
    if isinstance(value, list):
        items = schema.get("items", {})
        return [found for each in value for found in strangers(facts, items, each, f"{at}[]")]
    if isinstance(value, str):
        return [f"{at} {why}" for why in complaints(schema, value)]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    found = [f"{at} lacks {name}" for name in schema.get("required", ()) if name not in value]
    found += [f"{at}.{name} is unknown" for name in value.keys() - known.keys()]
    for name in value.keys() & known.keys():
        found += strangers(facts, known[name], value[name], f"{at}.{name}")
    return found


def complaints(schema: dict[str, Any], value: str) -> list[str]:
    shape = SHAPES.get(schema.get("format", ""), ".*")
    found = [] if re.fullmatch(shape, value, re.DOTALL) else [f"is no {schema['format']}"]
    return found + ["is too long"] * (len(value) > schema.get("maxLength", len(value)))


def test_every_route_is_a_published_one_with_its_scope(box: Sandbox, facts: dict[str, Any]) -> None:
    for route in box._server.service.api.routes():
        operation = facts["paths"][route.path][route.method.lower()]
        granted = operation["security"][0]["oauth2_implicit"]
        assert granted == ([route.scope] if route.scope else []), route.path


def test_imports_know_the_published_columns_and_lengths(facts: dict[str, Any]) -> None:
    published = facts["definitions"]["JsonImportContact"]["properties"]
    named = {name for name in published if not name.startswith("cf:")}
    assert named == {*JSON_NAMES}
    assert published["email"]["maxLength"] == ADDRESS_LENGTH
    for name, schema in published.items():
        if (most := length_of(name)) is not None:
            assert most == schema["maxLength"], name


@pytest.fixture
def filled(box: Sandbox, caller: Caller, news: str) -> dict[str, str]:
    box.add_field("Loyalty Tier")
    row = {
        "email": "a@x.example",
        "first_name": "Ann",
        "birthday_month": 5,
        "birthday_day": 6,
        "anniversary": "05/06/2001",
        "home_phone": "2125550100",
        "home_street": "1 Main St",
        "cf:loyalty_tier": "gold",
    }
    body = {"import_data": [row, {"email": "b@x.example"}], "list_ids": [news]}
    caller.post("/activities/contacts_json_import", body)
    box.unsubscribe("b@x.example")
    contact = box.contact("a@x.example")
    assert contact is not None
    field = caller.get("/contact_custom_fields").json()["custom_fields"][0]["custom_field_id"]
    return {"contact": contact["contact_id"], "list": news, "field": field}


def checked(facts: dict[str, Any], path: str, method: str, reply: Any, status: int = 200) -> None:
    assert reply.status_code == status, reply.text
    schema = facts["paths"][path][method]["responses"][str(status)]["schema"]
    assert strangers(facts, schema, reply.json()) == []


def test_what_is_read_looks_as_published(
    caller: Caller, facts: dict[str, Any], filled: dict[str, str]
) -> None:
    everything = "custom_fields,list_memberships,phone_numbers,street_addresses,taggings,notes"
    caller.upload(filled["list"], f"{HEADER}\nc@x.example,,\n")
    activity = caller.get("/activities").json()["activities"][0]["activity_id"]
    for path, query in (
        ("/account/summary", {}),
        ("/account/user/privileges", {}),
        (
            "/contacts",
            {"include": everything, "status": "all", "limit": 1, "include_count": "true"},
        ),
        ("/contacts/counts", {}),
        ("/contact_lists", {"include_membership_count": "all", "include_count": "true"}),
        ("/contact_custom_fields", {}),
        ("/activities", {"limit": 1}),
    ):
        checked(facts, path, "get", caller.get(path, **query))
    for path, name, id_ in (
        ("/contacts/{contact_id}", "contact", filled["contact"]),
        ("/contact_lists/{list_id}", "list", filled["list"]),
        ("/contact_custom_fields/{custom_field_id}", "field", filled["field"]),
        ("/activities/{activity_id}", "activity", activity),
    ):
        asked = re.sub(r"\{\w+\}", id_, path)
        query = {"include": everything} if name == "contact" else {}
        checked(facts, path, "get", caller.get(asked, **query))


def test_what_is_made_looks_as_published(
    caller: Caller, facts: dict[str, Any], filled: dict[str, str]
) -> None:
    list_ids, contact_ids = [filled["list"]], [filled["contact"]]
    email = {"address": "new@x.example", "permission_to_send": "implicit"}
    bodies: dict[str, Any] = {
        "/contacts": {"create_source": "Account", "email_address": email},
        "/contact_lists": {"name": "Other", "description": "d", "favorite": True},
        "/contact_custom_fields": {"label": "Birth", "type": "date", "version": 2},
        "/contacts/sign_up_form": {
            "email_address": "form@x.example",
            "list_memberships": list_ids,
        },
        "/activities/contacts_json_import": {
            "import_data": [{"email": "c@x.example", "home country": "US"}],
            "list_ids": list_ids,
        },
        "/activities/add_list_memberships": {
            "source": {"contact_ids": contact_ids},
            "list_ids": list_ids,
        },
        "/activities/contact_exports": {"list_ids": list_ids, "status": "active"},
        "/activities/remove_list_memberships": {
            "source": {"all_active_contacts": True},
            "exclude": {"contact_ids": contact_ids},
            "list_ids": list_ids,
        },
        "/activities/contact_delete": {"contact_ids": contact_ids},
        "/activities/list_delete": {"list_ids": list_ids},
    }
    for path, body in bodies.items():
        asked = facts["paths"][path]["post"]["parameters"][0]["schema"]
        if "remove_list" not in path:  # a limit of 0 in the published file is a mistake
            assert strangers(facts, asked, body) == [], path
        checked(facts, path, "post", caller.post(path, body), status=201)
    path = "/activities/contacts_file_import"
    other = caller.box.add_list("Third")
    checked(facts, path, "post", caller.upload(other, "email\nd@x.example\n"), status=201)


def test_what_is_replaced_looks_as_published(
    caller: Caller, facts: dict[str, Any], filled: dict[str, str]
) -> None:
    for path, id_, body in (
        ("/contacts/{contact_id}", filled["contact"], {"update_source": "Account"}),
        ("/contact_lists/{list_id}", filled["list"], {"name": "New"}),
        ("/contact_custom_fields/{custom_field_id}", filled["field"], {"label": "New"}),
    ):
        checked(facts, path, "put", caller.put(re.sub(r"\{\w+\}", id_, path), body))
    path = "/contact_lists/{list_id}"
    checked(facts, path, "delete", caller.delete(f"/contact_lists/{filled['list']}"), status=202)


def test_limits_of_pages_are_the_published_ones(caller: Caller, facts: dict[str, Any]) -> None:
    for path in ("/contacts", "/contact_lists", "/contact_custom_fields", "/activities"):
        limit = next(
            each for each in facts["paths"][path]["get"]["parameters"] if each["name"] == "limit"
        )
        assert caller.get(path, limit=limit["maximum"]).status_code == 200
        assert caller.get(path, limit=limit["maximum"] + 1).status_code == 400
