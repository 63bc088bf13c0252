"""The parts of a form with a file in it.

The standard library's parser of mail goes through a body line by line, half a second for four
megabytes; the body of a form can be cut at its boundary at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser

from .exchange import RefusedError, Request, invalid


@dataclass(frozen=True, slots=True)
class Part:
    """A part: the file's name if it is one, and where its content begins in the body."""

    file_name: str | None
    content: bytes = field(repr=False)
    offset: int = 0


def parts_of(request: Request) -> dict[str, Part]:
    """The parts by name. Raises `RefusedError` for another kind of body, or a broken one."""
    head = Message()
    head["Content-Type"] = request.headers.get("content-type", "")
    if head.get_content_type() != "multipart/form-data":
        raise RefusedError(415, "contacts.api.unsupported_media_type", "Unsupported media type")
    boundary = head.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise invalid("multipart boundary is missing")
    mark = b"--" + boundary.encode("latin-1")
    found: dict[str, Part] = {}
    at = request.body.find(mark)
    while at >= 0:
        at += len(mark)
        if request.body[at : at + 2] == b"--":
            return found
        end = request.body.find(b"\r\n" + mark, at)
        content_at = request.body.find(b"\r\n\r\n", at, end if end >= 0 else None) + 4
        if end < 0 or content_at < 4:
            break
        name, file_name = _names(request.body[at + 2 : content_at])
        found[name] = Part(file_name, request.body[content_at:end], content_at)
        at = end + 2
    raise invalid("multipart body is incomplete")


def _names(head: bytes) -> tuple[str, str | None]:
    parsed = BytesHeaderParser().parsebytes(head)
    name = parsed.get_param("name", header="content-disposition")
    return str(name), parsed.get_filename()
