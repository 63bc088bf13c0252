"""What may stand in a connection's `options:` and in a job's `destination:`."""

from __future__ import annotations

from typing import Any

HEADER = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
IDEMPOTENCY_HEADER = "Idempotency-Key"
API_KEY_HEADER = "X-API-Key"
TIMEOUT = 30.0

_WORD: dict[str, Any] = {"type": "string", "minLength": 1}
_SECRET: dict[str, Any] = {**_WORD, "writeOnly": True}
_STATUSES: dict[str, Any] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 200, "maximum": 599},
}
_HEADERS: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": HEADER},
    "additionalProperties": {"type": "string"},
}
_PATH: dict[str, Any] = {
    "type": "string",
    "pattern": "^(/[^\\s#]*)?$",
    "description": "Below the connection's url; {field} is a row's value, percent-encoded.",
}
_BODY = 'What is sent, as JSON; "{field}" is a row\'s value. By default all mapped fields.'
_ROW = "In a batch, one row of the list; by default all mapped fields."

CONNECTION: dict[str, Any] = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {
            **_WORD,
            "description": "Where the service is: https://; http:// on this machine alone.",
        },
        "auth": {
            "type": "object",
            "description": "How to prove who calls: api_key, bearer, username and password, or "
            "client_id, client_secret and token_url.",
            "properties": {
                "api_key": _SECRET,
                "header": {
                    "type": "string",
                    "pattern": HEADER,
                    "description": f"The header for the API key; by default {API_KEY_HEADER}.",
                },
                "bearer": _SECRET,
                "username": _WORD,
                "password": _SECRET,
                "client_id": _WORD,
                "client_secret": _SECRET,
                "token_url": _WORD,
                "scope": _WORD,
                "audience": _WORD,
            },
            "oneOf": [
                {"required": ["api_key"]},
                {"required": ["bearer"]},
                {"required": ["username", "password"]},
                {"required": ["client_id", "client_secret", "token_url"]},
            ],
            "additionalProperties": False,
        },
        "headers": {**_HEADERS, "description": "Sent with every call."},
        "calls_per_second": {"type": "number", "exclusiveMinimum": 0},
        "calls_per_day": {"type": "integer", "minimum": 1},
        "timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 600,
            "default": TIMEOUT,
            "description": "Seconds to wait for an answer.",
        },
        "test": {
            **_PATH,
            "description": "A path to GET for `connection test`; it has to answer 2xx.",
        },
    },
}

_CALL: dict[str, Any] = {
    "path": _PATH,
    "method": {"enum": ["POST", "PUT", "PATCH", "DELETE"]},
    "headers": {**_HEADERS, "description": "As body; a row's values may stand in them."},
    "body": {"description": _BODY},
    "row": {"description": _ROW},
    "batch": {
        "type": "integer",
        "minimum": 1,
        "maximum": 10_000,
        "description": 'Rows a call; then `body` has "{rows}" where their list goes.',
    },
    "success": {
        "type": "object",
        "description": "When a call counts as taken; by default with any 2xx.",
        "properties": {
            "status": _STATUSES,
            "when": {**_WORD, "description": "JMESPath over the answer; has to be true."},
            "reason": {**_WORD, "description": "JMESPath to the text that says what is wrong."},
        },
        "additionalProperties": False,
    },
    "already": {
        **_STATUSES,
        "description": "Statuses that say that it is as it should be already, such as 409.",
    },
}

JOB: dict[str, Any] = {
    "type": "object",
    "properties": {
        **_CALL,
        "method": {**_CALL["method"], "default": "POST"},
        "nulls": {
            "enum": ["keep", "leave_out"],
            "default": "keep",
            "description": "A value that is missing is null, or is left out of the body.",
        },
        "refused": {
            **_STATUSES,
            "description": "Statuses that are a row's fault besides the 4xx that are by default.",
        },
        "results": {
            "type": "object",
            "description": "Where the answer to a batch says what became of each row (JMESPath).",
            "required": ["list", "failed"],
            "properties": {
                "list": {**_WORD, "description": "The list of results in the answer."},
                "key": {**_WORD, "description": "A row's key in its result; else the order holds."},
                "failed": {**_WORD, "description": "True of a result whose row was refused."},
                "reason": {**_WORD, "description": "The text that says why."},
            },
            "additionalProperties": False,
        },
        "remove": {
            "type": "object",
            "description": "The call that takes people out, for mode mirror.",
            "properties": _CALL,
            "additionalProperties": False,
        },
        "parallel": {
            "type": "integer",
            "minimum": 1,
            "maximum": 32,
            "default": 1,
            "description": "Calls in flight at a time, where each row is a call.",
        },
        "safe_to_repeat": {
            "type": "boolean",
            "description": "The same call made twice does what it does once; by default so for PUT "
            "and DELETE alone.",
        },
        "idempotency_header": {
            "type": ["string", "null"],
            "pattern": HEADER,
            "default": IDEMPOTENCY_HEADER,
            "description": "The header that tells a repeated call; null for none.",
        },
    },
}
