"""Encryption of credentials in files, with a key from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from exportkit.errors import PermissionDeniedError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

VARIABLE = "EXPORTKIT_CREDENTIALS_KEY"
_MAKE_ONE = (
    "make one: python -c 'from cryptography.fernet import Fernet; "
    "print(Fernet.generate_key().decode())'"
)


def has_key() -> bool:
    """Whether a key is given."""
    return bool(os.environ.get(VARIABLE, "").strip())


def check_key(connection: str) -> None:
    """Raise PermissionDeniedError if what is given as a key is none; nothing given is fine."""
    if has_key():
        _keys(connection)


def seal(text: str, connection: str) -> str:
    """The text, encrypted with the first key. Raises PermissionDeniedError for a bad key."""
    return _keys(connection).encrypt(text.encode()).decode()


def unseal(sealed: str, connection: str) -> str:
    """The text that was sealed with any of the keys. Raises PermissionDeniedError if none fits."""
    from cryptography.fernet import InvalidToken

    try:
        return _keys(connection).decrypt(sealed.encode()).decode()
    except (InvalidToken, UnicodeError):
        pass  # neither shall what could not be read be any error's context
    raise PermissionDeniedError(
        f"the credentials of '{connection}' cannot be decrypted with the key in {VARIABLE}",
        hint="set the key that they were encrypted with; if it is lost, sign in again: "
        f"exportkit connection authorize {connection} --store file",
    )


def _keys(connection: str) -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet

    given = os.environ.get(VARIABLE, "").replace(",", " ").split()
    if not given:
        raise PermissionDeniedError(
            f"the credentials of '{connection}' are encrypted, and {VARIABLE} is not set",
            hint=f"set it to the key that they were encrypted with: export {VARIABLE}=...",
        )
    try:
        return MultiFernet([Fernet(key) for key in given])
    except (ValueError, TypeError):
        pass  # its words could quote the key
    raise PermissionDeniedError(
        f"{VARIABLE} holds no key: it has to be 32 bytes as URL-safe base64 (44 characters); "
        "several with commas between them",
        hint=_MAKE_ONE,
    )
