"""The system's keyring: there on a desktop, seldom under cron."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from exportkit.errors import PermissionDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SERVICE = "exportkit"
_WORTH_IT = 1
"""The priority from which on the library recommends a keyring; below are stand-ins."""


def usable() -> bool:
    """Whether this process sees a keyring that keeps secrets safely."""
    import keyring

    try:
        return _asked("", lambda: float(getattr(keyring.get_keyring(), "priority", 0))) >= _WORTH_IT
    except PermissionDeniedError:
        return False


def get(entry: str, connection: str) -> str:
    """The text kept under an entry. Raises PermissionDeniedError if it cannot be had."""
    import keyring

    text = _asked(connection, lambda: keyring.get_password(SERVICE, entry))
    if text is None:
        raise _refused(connection, "it has no such entry")
    return text


def put(entry: str, text: str, connection: str) -> None:
    """Keep a text under an entry. Raises PermissionDeniedError if the keyring does not take it."""
    import keyring

    _asked(connection, lambda: keyring.set_password(SERVICE, entry, text))


def forget(entry: str, connection: str) -> None:
    """Remove an entry; none is fine. Raises PermissionDeniedError if the keyring is not there."""
    import keyring

    def remove() -> None:
        if keyring.get_password(SERVICE, entry) is not None:
            keyring.delete_password(SERVICE, entry)

    _asked(connection, remove)


def _asked(connection: str, question: Callable[[], T]) -> T:
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - whatever a desktop's service raises is its no
        why = type(error).__name__
    raise _refused(connection, why)  # outside of the handler: its words are no context


def _refused(connection: str, why: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"the credentials of '{connection}' are in the system's keyring, which cannot be used "
        f"here ({why})",
        hint="a desktop's keyring is locked before somebody signs in, and not there under cron: "
        "unlock it, or keep the credentials in a file: "
        f"exportkit connection authorize {connection} --store file",
    )
