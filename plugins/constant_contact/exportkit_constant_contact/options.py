"""What may stand in a connection's `options:` and in a job's `destination:`."""

from __future__ import annotations

from typing import Any

API_URL = "https://api.cc.email/v3"
AUTH_URL = "https://authz.constantcontact.com/oauth2/default/v1"

CALLS_A_SECOND, CALLS_A_DAY = 4, 10_000
"""Of one API key, whoever uses it. [documented]"""

ID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

CONNECTION: dict[str, Any] = {
    "type": "object",
    "required": ["client_id"],
    "properties": {
        "client_id": {
            "type": "string",
            "minLength": 1,
            "description": "The API key of the application that you registered with the service.",
        },
        "client_secret": {
            "type": "string",
            "minLength": 1,
            "writeOnly": True,
            "description": "The application's secret; left out, sign-in uses PKCE.",
        },
        "refresh_token": {
            "type": "string",
            "minLength": 1,
            "writeOnly": True,
            "description": "A first token from elsewhere; its successors are kept.",
        },
        "redirect_port": {
            "type": "integer",
            "minimum": 1024,
            "maximum": 65535,
            "default": 8484,
            "description": "Sign-in listens here; the application has to name the redirect URI "
            "http://localhost:PORT/callback.",
        },
        "api_url": {"type": "string", "default": API_URL, "description": "For the sandbox."},
        "auth_url": {"type": "string", "default": AUTH_URL, "description": "For the sandbox."},
    },
    "additionalProperties": False,
}

JOB: dict[str, Any] = {
    "type": "object",
    "properties": {
        "list_id": {
            "type": "string",
            "pattern": ID,
            "description": "The list, by its id: it may be renamed.",
        },
        "list_name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "description": "The list, by its exact name, instead of by its id.",
        },
        "create_list": {
            "type": "boolean",
            "default": False,
            "description": "Make the list of that name where there is none.",
        },
        "create_custom_fields": {
            "type": "boolean",
            "default": False,
            "description": "Make custom fields that the map names and the account lacks.",
        },
        "import_format": {
            "enum": ["auto", "csv", "json"],
            "default": "auto",
            "description": "auto is CSV, unless a mapped field has no CSV column.",
        },
        "removal": {
            "enum": ["list", "contact"],
            "default": "list",
            "description": "What mirror does to those who leave: out of the list, or delete them.",
        },
    },
    "oneOf": [{"required": ["list_id"]}, {"required": ["list_name"]}],
}
