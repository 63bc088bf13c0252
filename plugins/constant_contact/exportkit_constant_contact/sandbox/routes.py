"""Every route: its method and path, the right that it needs, who answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .exchange import Answer
    from .oauth import OAuth
    from .state import State

API = "/v3"
SIGN_IN = "/oauth2/default/v1"


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is as the documents write it; `scope` and `privilege` may be empty."""

    method: str
    path: str
    handler: Callable[..., Answer]
    scope: str = ""
    privilege: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to: its pattern, the routes by method, the ids in it."""

    pattern: str
    routes: dict[str, Route]
    ids: tuple[str, ...]


class Table:
    """Routes by path, those without an id in their path first."""

    def __init__(self, prefix: str, routes: list[Route]) -> None:
        self.prefix = prefix
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in sorted(routes, key=lambda each: "{" in each.path):
            pattern = re.compile(re.sub(r"\{\w+\}", "([^/]+)", route.path))
            self._patterns.setdefault(route.path, (pattern, {}))[1][route.method] = route

    def find(self, path: str) -> Found | None:
        """The routes of a path without the prefix; None if nothing is there."""
        for name, (pattern, routes) in self._patterns.items():
            if match := pattern.fullmatch(path):
                return Found(name, routes, match.groups())
        return None

    def routes(self) -> list[Route]:
        """All of them."""
        return [route for _, routes in self._patterns.values() for route in routes.values()]


def api_routes(state: State) -> Table:
    """The routes below `/v3`."""
    contacts, lists, fields = state.contacts, state.lists, state.fields
    activities, account = state.activities, state.account
    imports, bulk = activities.imports, activities.bulk
    people, write = ("contact_data", "contacts:read"), ("contact_data", "contacts:write")
    list_read = ("contact_data", "contacts:lists:read")
    list_write = ("contact_data", "contacts:lists:write")
    return Table(
        API,
        [
            Route("GET", "/account/summary", account.summary, "account_read", "account:read"),
            Route("GET", "/account/user/privileges", account.privileges),
            Route("GET", "/contacts", contacts.read, *people),
            Route("POST", "/contacts", contacts.create, *write),
            Route("GET", "/contacts/counts", contacts.counts, *people),
            Route("POST", "/contacts/sign_up_form", contacts.sign_up, *write),
            Route("GET", "/contacts/{contact_id}", contacts.read_one, *people),
            Route("PUT", "/contacts/{contact_id}", contacts.replace, *write),
            Route("DELETE", "/contacts/{contact_id}", contacts.remove, *write),
            Route("GET", "/contact_lists", lists.read, *list_read),
            Route("POST", "/contact_lists", lists.create, *list_write),
            Route("GET", "/contact_lists/{list_id}", lists.read_one, *list_read),
            Route("PUT", "/contact_lists/{list_id}", lists.replace, *list_write),
            Route("DELETE", "/contact_lists/{list_id}", lists.remove, *list_write),
            Route("GET", "/contact_custom_fields", fields.read, *people),
            Route("POST", "/contact_custom_fields", fields.create, *write),
            Route("GET", "/contact_custom_fields/{custom_field_id}", fields.read_one, *people),
            Route("PUT", "/contact_custom_fields/{custom_field_id}", fields.replace, *write),
            Route("DELETE", "/contact_custom_fields/{custom_field_id}", fields.remove, *write),
            Route("GET", "/activities", activities.read, *write),
            Route("GET", "/activities/{activity_id}", activities.read_one, *write),
            Route("POST", "/activities/contacts_json_import", imports.take_json, *write),
            Route("POST", "/activities/contacts_file_import", imports.take_file, *write),
            Route("POST", "/activities/add_list_memberships", bulk.take_added, *write),
            Route("POST", "/activities/remove_list_memberships", bulk.take_removed, *write),
            Route("POST", "/activities/contact_delete", bulk.take_deleted, *write),
            Route("POST", "/activities/list_delete", bulk.take_lists_deleted, *write),
            Route("POST", "/activities/contact_exports", bulk.take_export, *write),
            Route("GET", "/contact_exports/{file_export_id}", activities.read_export, *write),
        ],
    )


def sign_in_routes(oauth: OAuth) -> Table:
    """The routes of the authorization server."""
    return Table(
        SIGN_IN,
        [
            Route("GET", "/authorize", oauth.authorize),
            Route("POST", "/token", oauth.token),
            Route("POST", "/device/authorize", oauth.authorize_device),
            Route("GET", "/activate", oauth.activate),
        ],
    )
