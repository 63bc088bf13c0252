"""Calls a sandbox as a client would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from exportkit_constant_contact.sandbox import Sandbox

HEADER = "email,first_name,last_name"


class Caller:
    """Calls a sandbox as a client would, over its socket."""

    def __init__(self, box: Sandbox, scope: str | None = None) -> None:
        self.box = box
        self.http = requests.Session()
        token = box.access_token(scope) if scope is not None else box.access_token()
        self.http.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.http.get(self.box.api_url + path, params=query, timeout=10)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.http.post(self.box.api_url + path, json=body, timeout=10)

    def put(self, path: str, body: Any) -> requests.Response:
        return self.http.put(self.box.api_url + path, json=body, timeout=10)

    def delete(self, path: str) -> requests.Response:
        return self.http.delete(self.box.api_url + path, timeout=10)

    def upload(self, list_id: str, content: str | bytes, name: str = "a.csv") -> requests.Response:
        body = content.encode() if isinstance(content, str) else content
        return self.http.post(
            self.box.api_url + "/activities/contacts_file_import",
            files={"file": (name, body, "text/csv")},
            data={"list_ids": list_id},
            timeout=10,
        )

    def done(self, reply: requests.Response) -> dict[str, Any]:
        """The activity that a call began, as it is now."""
        assert reply.status_code == 201, reply.text
        found: dict[str, Any] = self.get(f"/activities/{reply.json()['activity_id']}").json()
        return found

    def token(self, **form: str) -> requests.Response:
        secret = (self.box.client_id, self.box.client_secret)
        return requests.post(f"{self.box.auth_url}/token", data=form, auth=secret, timeout=10)
