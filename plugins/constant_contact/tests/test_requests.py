"""What the plugin asks of the service is what the published facts allow."""

from __future__ import annotations

import json
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stage import Stage, person

if TYPE_CHECKING:
    from collections.abc import Callable

    from exportkit_constant_contact.sandbox import Recorded

_PATH = next(
    (
        found
        for parent in Path(__file__).parents
        if (found := parent / "shared/constant_contact/openapi-facts.json").is_file()
    ),
    None,
)
pytestmark = pytest.mark.skipif(_PATH is None, reason="the published facts are not here")


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    assert _PATH is not None
    found: dict[str, Any] = json.loads(_PATH.read_text(encoding="utf-8"))
    return found


def wrong(facts: dict[str, Any], call: Recorded) -> list[str]:
    """What of a call the facts do not know."""
    route = call.route.removeprefix("/v3")
    operation = facts["paths"].get(route, {}).get(call.method.lower())
    if operation is None:
        return [f"there is no {call.method} {route}"]
    known = {each["name"]: each for each in operation.get("parameters", ()) if "name" in each}
    queries = {name for name, each in known.items() if each["in"] == "query"} | {"cursor"}
    found = [f"{route}: unknown query {name}" for name in call.query if name not in queries]
    for name, value in call.query.items():
        most = known.get(name, {}).get("maximum")
        if most is not None and value.isdigit() and int(value) > most:
            found.append(f"{route}: {name} is above {most}")
    forms = {name for name, each in known.items() if each["in"] == "formData"}
    if forms:
        found += [f"{route}: unknown part {name}" for name in parts(call) if name not in forms]
    elif call.body:
        found += strangers(facts, known["body"]["schema"], json.loads(call.body), route)
    return found


def parts(call: Recorded) -> list[str]:
    """The names of the parts of a form."""
    body = call.body or b""
    boundary = body.partition(b"\r\n")[0].removeprefix(b"--").decode()
    head = f'Content-Type: multipart/form-data; boundary="{boundary}"\r\n\r\n'
    message = BytesParser(policy=HTTP).parsebytes(head.encode() + body)
    return [str(part.get_param("name", header="content-disposition")) for part in message.walk()][
        1:
    ]


def strangers(facts: dict[str, Any], schema: dict[str, Any], value: Any, at: str) -> list[str]:
    """The names in a body that its schema does not have."""
    while "$ref" in schema:
        schema = facts["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, list):
        return [each for item in value for each in strangers(facts, schema["items"], item, at)]
    if not isinstance(value, dict):
        return []
    known = schema.get("properties", {})
    return [
        each
        for name, part in value.items()
        for each in (
            strangers(facts, known[name], part, f"{at}.{name}")
            if name in known
            else []
            if name.startswith("cf:")
            else [f"{at} has no {name}"]
        )
    ]


def test_every_call_is_one_that_the_facts_know(
    make_stage: Callable[..., Stage], facts: dict[str, Any]
) -> None:
    stage = make_stage(keep_bodies=True)
    stage.job["mode"] = "mirror"
    stage.box.add_contact("p3@example.com")
    stage.box.unsubscribe("p3@example.com")
    everybody = [
        person(f"p{n}", mobile="212 555 0100", born="1980-02-29", tier="gold", town="Rome")
        for n in range(30)
    ]
    stage.people(*everybody)
    stage.counts()
    stage.job["map"] |= {
        "mobile_phone": "mobile",
        "birthday": "born",
        "cf:Tier": "tier",
        "home_city": "town",
        "home_country": "town",
    }
    stage.job["destination"] = {
        "list_name": "Fresh",
        "create_list": True,
        "create_custom_fields": True,
    }
    stage.counts()
    for removal, leaving in (("list", 1), ("contact", 5)):
        stage.job["destination"]["removal"] = removal
        everybody = everybody[leaving:]
        stage.people(*everybody)
        stage.counts()
    stage.type("connection", "test", "box")
    calls = [call for call in stage.box.requests if call.route.startswith("/v3")]
    routes = {f"{call.method} {call.route.removeprefix('/v3')}" for call in calls}
    assert len(routes) >= 13, routes
    assert [each for call in calls for each in wrong(facts, call)] == []
