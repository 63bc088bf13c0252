"""What the host knows of a plugin, whether it works or not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin that works. `name` is its entry point's, and the `type` it serves.

    `hooks` are the hooks it answers itself, `wraps` those of others that it wraps. `module` is
    what its frames are recognised by, `seconds` how long it took to load.
    """

    name: str
    distribution: str
    version: str
    module: str
    hooks: tuple[str, ...] = ()
    wraps: tuple[str, ...] = ()
    destination: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """An installed plugin that the host does not use: the reason, and what to do about it."""

    name: str
    distribution: str
    version: str
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version}): {self.reason}"
