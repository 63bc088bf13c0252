"""Imports: handed over as files, answered by activities, looked up again by the file's name."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from exportkit import (
    AccessDeniedError,
    Delivery,
    DestinationError,
    Finding,
    JobError,
    OutcomeUnknownError,
    Rejection,
    Settlement,
    redact,
)

from . import payload
from .client import NotFoundError
from .fields import needs_json, widest_name, wire_name
from .target import create_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from exportkit import Batch, Target

    from .session import Session

WORKING = ("initialized", "processing")
FAILED = ("cancelled", "failed", "timed_out")
"""States of an activity beside `completed`. [documented]"""

STUCK_AFTER = timedelta(hours=24)
"""An import that still works then is planned again: sent twice, the same values harm nobody."""
SHOWN_AFTER = timedelta(hours=1)
"""How long a new activity may be unknown before it counts as gone; they are kept ten days."""
FIRST_LOOK, LONGEST_PAUSE = 2.0, 60.0
"""Seconds after which an activity is asked about first, and between questions at most."""
LOOK_AGAIN = 10.0
"""Seconds after which a batch that was not found is looked for a second time: lists may lag."""
ACTIVITIES_A_PAGE = 500
_LINE = re.compile(r"\bLine (\d+)\s*:?\s*(.*)", re.IGNORECASE | re.DOTALL)


def push(session: Session, batch: Batch, target: Target) -> Delivery:
    """Hand over one import; it is answered under the activity's id."""
    rows = batch.data.rename_columns(_wire_names(session, target))
    try:
        answer = _handed_over(session, batch, target, rows)
    except DestinationError as error:
        if type(error) in (AccessDeniedError, DestinationError):
            also = "if it speaks of a limit, the account's plan may allow no more contacts"
            error.hint = f"{error.hint}; {also}" if error.hint else also
        raise
    return Delivery(new_receipt("import", answer, len(batch)))


def _handed_over(session: Session, batch: Batch, target: Target, rows: pa.RecordBatch) -> Any:
    list_id = str(target.catalogue.details["list_id"])
    if is_json(target):
        body = payload.json_body(rows, [list_id])
        return session.client.post_body("/activities/contacts_json_import", body)
    path, fields = "/activities/contacts_file_import", {"list_ids": list_id}
    return session.client.upload(path, file_name(batch), payload.csv_body(rows), fields)


def is_json(target: Target) -> bool:
    """Whether this job's imports are JSON.

    Raises `JobError` where the job asks for CSV, and a column has none.
    """
    asked, needed = target.options["import_format"], needs_json(target.names)
    if asked == "csv" and needed:
        raise JobError(
            "a field of the map has no column in CSV imports",
            field="import_format",
            hint="leave `import_format` out: then such imports are JSON",
        )
    return asked == "json" or needed


def sizes(target: Target, columns: pa.RecordBatch) -> pa.Array:
    """The bytes that each row takes in an import of this job."""
    if not is_json(target):
        return payload.sizes(columns, "csv")
    known = target.catalogue.details["custom_fields"]
    names = [widest_name(name, known) for name in columns.schema.names]
    return payload.sizes(columns.rename_columns(names), "json")


def file_name(batch: Batch) -> str:
    """The name under which the import can be found again: it tells run and batch."""
    return f"exportkit-{batch.id}.csv"


def new_receipt(kind: str, activity: Any, rows: int) -> str:
    """The claim ticket for an activity: what it is, its id, when it began, and how many rows."""
    activity_id = activity.get("activity_id") if isinstance(activity, dict) else None
    if not activity_id:
        raise OutcomeUnknownError("the service took the call and did not say under which id")
    return f"{kind} {activity_id} {datetime.now(UTC):%Y-%m-%dT%H:%M:%S+00:00} {rows}"


def settle(
    session: Session, receipts: Sequence[str], target: Target, batch_of: Callable[[str], Batch]
) -> Iterator[Settlement]:
    """What became of the imports and removals: several are asked about in one call.

    The service is asked gently: not before an activity can have ended, then ever more seldom.
    """
    if time.time() < max(session.ask_at, max(_began(each) for each in receipts) + FIRST_LOOK):
        yield from (Settlement(receipt, "pending") for receipt in receipts)
        return
    session.ask_pause = min(session.ask_pause * 2, LONGEST_PAUSE)
    session.ask_at = time.time() + session.ask_pause
    activities = _activities(session, receipts)
    for receipt in receipts:
        activity = activities[_id(receipt)]
        state = activity.get("state") if activity else None
        if activity is None and _age(receipt) > SHOWN_AFTER:
            yield Settlement(receipt, "failed", reason="the service no longer knows of it")
        elif state in FAILED:
            yield Settlement(receipt, "failed", reason=f"the service says it {_said(state)}")
        elif activity is not None and state == "completed":
            refused = _refused(session, activity, receipt, target, batch_of)
            yield Settlement(receipt, "done", tuple(refused))
        elif _age(receipt) > STUCK_AFTER:
            yield Settlement(receipt, "failed", reason="it did not end within a day")
        else:
            yield Settlement(receipt, "pending")


def find_delivery(session: Session, batch: Batch, target: Target) -> Finding:
    """Look for the batch among the activities, by the name of its file.

    A removal that comes twice takes nobody out twice, so nobody looks for it. A JSON import has no
    name of its own: one of the same size may be this one.
    """
    if batch.operation == "remove":
        return Finding("not_taken")
    for attempt in range(2):
        if attempt:
            session.sleep(LOOK_AGAIN)
        finding = _find(session, batch, is_json=is_json(target))
        if finding.state != "not_taken":
            return finding
    return finding


def _find(session: Session, batch: Batch, *, is_json: bool) -> Finding:
    unsure = False
    query = {"limit": ACTIVITIES_A_PAGE}
    for page in session.client.pages("/activities", "activities", query):
        for activity in page:
            if activity.get("state") in FAILED:
                continue
            name = activity.get("source_file_name")
            if name == file_name(batch):
                return Finding("taken", Delivery(new_receipt("import", activity, len(batch))))
            ours = isinstance(name, str) and name.startswith("exportkit-")
            unsure |= is_json and not ours and _may_be(activity, len(batch))
    return Finding("unknown" if unsure else "not_taken")


def _may_be(activity: dict[str, Any], rows: int) -> bool:
    """Whether a nameless activity can be an import of so many rows, as far as it tells."""
    status = activity.get("status") or {}
    if "items_completed_count" in status or "list_count" in status:
        return False
    total = status.get("items_total_count")
    return not total or total in (rows, rows + 1)


def _activities(session: Session, receipts: Sequence[str]) -> dict[str, dict[str, Any] | None]:
    found: dict[str, dict[str, Any] | None] = {}
    wanted = {_id(receipt) for receipt in receipts}
    if len(wanted) > 1:
        query = {"limit": ACTIVITIES_A_PAGE}
        for page in session.client.pages("/activities", "activities", query):
            found.update(
                (each["activity_id"], each) for each in page if each.get("activity_id") in wanted
            )
            if len(found) == len(wanted):
                break
    for activity_id in wanted - found.keys():
        try:
            found[activity_id] = session.client.get(f"/activities/{activity_id}")
        except NotFoundError:
            found[activity_id] = None
    return found


def _refused(
    session: Session,
    activity: dict[str, Any],
    receipt: str,
    target: Target,
    batch_of: Callable[[str], Batch],
) -> Iterator[Rejection]:
    """The rows of a completed import that did not land, each with the service's reason."""
    status = activity.get("status") or {}
    numbers = ("error_count", "correctable_count", "cannot_add_to_list_count")
    failed = {name: int(status.get(name) or 0) for name in numbers}
    errors = [str(error) for error in activity.get("activity_errors") or ()]
    rows = int(receipt.split(" ")[3])
    dropped = rows > int(status.get("items_total_count") or rows)
    if not receipt.startswith("import") or not (any(failed.values()) or errors or dropped):
        return
    keys: list[str] = batch_of(receipt).keys.to_pylist()
    refused = {key: reason for error in errors for key, reason in _lines(error, keys)}
    if failed["cannot_add_to_list_count"]:
        reason = "has unsubscribed, and is left alone"
        refused |= {key: reason for key in keys if key in session.unsubscribed}
    if dropped or len(refused) < sum(failed.values()):
        refused = {**_absent(session, target, keys), **refused}
    for key, reason in refused.items():
        yield Rejection(key, reason, "email")


def _absent(session: Session, target: Target, keys: Sequence[str]) -> dict[str, str]:
    """Who of a batch is not in the list, where the service counts more errors than it names."""
    from .removal import members_of

    found = members_of(session, target).ids(keys)
    reason = "the import left it out without saying why"
    return {key: reason for key in keys if key not in found}


def _lines(error: str, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Line 1 is the header, so line 2 is the first row."""
    match = _LINE.search(error)
    if match and 2 <= int(match[1]) < len(keys) + 2:
        yield keys[int(match[1]) - 2], redact(match[2].strip())[:200] or "refused by the service"


def _wire_names(session: Session, target: Target) -> list[str]:
    """What the service calls each column; custom fields that it lacks are made now, once."""
    known = [*target.catalogue.details["custom_fields"], *session.made]
    missing = [name for name in target.names if wire_name(name, known) is None]
    if missing and not target.options["create_custom_fields"]:
        message = "the account has no such custom field any more"
        raise JobError(message, field=missing[0], hint="make it again, or take it out of the map")
    if missing:
        made = create_fields(session, [name.removeprefix("cf:") for name in missing])
        session.made += made
        known += made
    return [wire_name(name, known) or name for name in target.names]


def _id(receipt: str) -> str:
    return receipt.split(" ")[1]


def _began(receipt: str) -> float:
    return datetime.fromisoformat(receipt.split(" ")[2]).timestamp()


def _age(receipt: str) -> timedelta:
    return timedelta(seconds=time.time() - _began(receipt))


def _said(state: object) -> str:
    return {"failed": "failed", "cancelled": "was cancelled"}.get(str(state), "timed out")
