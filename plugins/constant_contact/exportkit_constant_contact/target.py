"""The list of a job, as it is in the account right now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exportkit import Catalogue, JobError

from .client import ConflictError, NotFoundError
from .custom_fields import custom_columns, facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .session import Session

LISTS_A_PAGE = 500
FIELDS_A_PAGE = 100
MOST_CUSTOM_FIELDS = 100
"""In one account. [documented]"""


def describe(session: Session, options: Mapping[str, Any], *, planning: bool) -> Catalogue:
    """The list with its members, the account's custom fields, the calls that are left today.

    Raises `JobError` where there is no such list, with the nearest names of those there are. A
    list that may be created is, unless it is `planning`.
    """
    found = _list(session, options, planning=planning)
    fields = [
        field
        for page in session.client.pages(
            "/contact_custom_fields", "custom_fields", {"limit": FIELDS_A_PAGE}
        )
        for field in page
    ]
    list_id = str(found.get("list_id", ""))
    return Catalogue(
        name=str(found["name"]),
        identity=f"list {list_id}" if list_id else "",
        fields=custom_columns(fields),
        members=found.get("membership_count"),
        details={
            "list_id": list_id,
            "custom_fields": [facts(field) for field in fields],
            "calls_left": session.calls.left(),
        },
    )


def create_fields(session: Session, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Make custom fields of text with these labels; answers them as the service has them.

    The service makes a field's name out of its label, so it is read back, never assumed.
    """
    made: list[dict[str, Any]] = []
    for label in labels:
        try:
            body = {"label": label, "type": "string"}
            made.append(session.client.post("/contact_custom_fields", body))
        except ConflictError:  # somebody made it meanwhile
            made.append(_field_of_label(session, label))
    return made


def _field_of_label(session: Session, label: str) -> dict[str, Any]:
    query = {"limit": FIELDS_A_PAGE}
    for page in session.client.pages("/contact_custom_fields", "custom_fields", query):
        for field in page:
            if str(field.get("label", "")).casefold() == label.casefold():
                return field
    raise JobError(f"the custom field '{label}' can neither be made nor found", field=f"cf:{label}")


def _list(session: Session, options: Mapping[str, Any], *, planning: bool) -> dict[str, Any]:
    counting = {"include_membership_count": "all"}
    if "list_id" in options:
        try:
            found: dict[str, Any] = session.client.get(
                f"/contact_lists/{options['list_id']}", counting
            )
        except NotFoundError:
            raise _no_such_list(session, "list_id", options["list_id"]) from None
        if found.get("deleted_at"):
            raise _no_such_list(session, "list_id", options["list_id"])
        return found
    name = str(options["list_name"])
    if named := _named(session, name):
        return named
    if not options["create_list"]:
        raise _no_such_list(session, "list_name", name)
    if planning:
        return {"name": f"{name} (to be made by the first run)", "membership_count": 0}
    try:
        made = session.client.post("/contact_lists", {"name": name})
    except ConflictError:  # somebody made it meanwhile
        made = _named(session, name) or {"name": name}
    return {"membership_count": 0, **made}


def _named(session: Session, name: str) -> dict[str, Any] | None:
    query = {"name": name, "include_membership_count": "all", "limit": LISTS_A_PAGE}
    for page in session.client.pages("/contact_lists", "lists", query):
        for each in page:
            if each.get("name") == name:
                return each
    return None


def _no_such_list(session: Session, option: str, asked: str) -> JobError:
    lists = [
        each
        for page in session.client.pages("/contact_lists", "lists", {"limit": LISTS_A_PAGE})
        for each in page
    ]
    names = [str(each.get("name")) for each in lists]
    if option == "list_name":
        hint = None if names else "the account has no list; `create_list: true` makes this one"
        return JobError(f"the account has no list '{asked}'", field=option, known=names, hint=hint)
    offered = "; ".join(f"{each.get('list_id')} is {each.get('name')}" for each in lists[:20])
    return JobError(
        "the account has no list of this id",
        field=option,
        hint=f"there are: {offered}" if offered else "the account has no list",
    )
