"""Ids that look like the service's own, made of a number and turned back into it.

So a million contacts need no index of ids, and one seed always gives the same ids.
"""

from __future__ import annotations

import hashlib
import uuid

_ODD = 0x9E3779B97F4A7C15
_BACK = pow(_ODD, -1, 1 << 64)
_ALL = (1 << 64) - 1


class Identities:
    """The ids of one sandbox; `kind` keeps contacts, lists, activities apart."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._kinds: dict[str, tuple[int, int]] = {}

    def of(self, kind: str, number: int) -> str:
        """The id of the object with this number."""
        high, mask = self._parts(kind)
        mixed = ((number * _ODD) & _ALL) ^ mask
        text = f"{mixed:016x}{high:016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def number(self, kind: str, text: str) -> int | None:
        """The number behind an id; None where it is none of this sandbox and kind."""
        try:
            value = uuid.UUID(text).int
        except ValueError:
            return None
        high, mask = self._parts(kind)
        if value & _ALL != high:
            return None
        number = (((value >> 64) ^ mask) * _BACK) & _ALL
        return number if number < 1 << 62 else None

    def _parts(self, kind: str) -> tuple[int, int]:
        if kind not in self._kinds:
            digest = hashlib.sha256(f"{self._seed} {kind}".encode()).digest()
            self._kinds[kind] = (
                int.from_bytes(digest[:8], "big"),
                int.from_bytes(digest[8:16], "big"),
            )
        return self._kinds[kind]
