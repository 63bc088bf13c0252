"""What is installed: the entry points, what brought each, and which exportkit that needs."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import TYPE_CHECKING

from exportkit import __version__
from exportkit.host.inspection import Defect
from exportkit.host.plugin import BrokenPlugin

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

GROUP = "exportkit"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_OURS = re.compile(r"exportkit(?![\w.-])", re.IGNORECASE)
_AT_LEAST = re.compile(r"exportkit *>= *(\d+(?:\.\d+)*)", re.IGNORECASE)


def entry_points() -> tuple[list[EntryPoint], list[BrokenPlugin]]:
    """Those of every distribution, and the distributions whose metadata cannot be read."""
    try:
        return list(importlib.metadata.entry_points(group=GROUP)), []
    except Exception:  # noqa: BLE001 - one damaged distribution hides them all, so each is asked
        return _of_each()


def _of_each() -> tuple[list[EntryPoint], list[BrokenPlugin]]:
    found: dict[str, list[EntryPoint]] = {}
    broken: list[BrokenPlugin] = []
    for distribution in importlib.metadata.distributions():
        try:
            name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
            if name not in found:  # the first on the path is what is imported
                found[name] = list(distribution.entry_points.select(group=GROUP))
        except Exception as error:  # noqa: BLE001 - a damaged distribution is a line in a list
            broken.append(_damaged(distribution, error))
    return [each for several in found.values() for each in several], broken


def _damaged(distribution: Distribution, error: Exception) -> BrokenPlugin:
    stem, version = _by_folder(distribution)
    about = stem, stem.replace("_", "-"), version
    return BrokenPlugin(*about, _unreadable(error), _AGAIN)


def _unreadable(error: Exception) -> str:
    return f"its metadata cannot be read: {type(error).__name__}"


_AGAIN = "install it again, or uninstall it"


def _by_folder(distribution: Distribution) -> tuple[str, str]:
    """Name and version as the folder has them: all that is left of a damaged distribution."""
    folder = Path(str(getattr(distribution, "_path", "an unknown distribution"))).name
    stem, _, version = re.sub(r"\.(dist|egg)-info$", "", folder).partition("-")
    return stem, version or "?"


def refuse_ambiguous(name: str, candidates: list[EntryPoint]) -> None:
    """Return if the name may be used and is claimed once. Raises `Defect` if not."""
    if not NAME.fullmatch(name):
        raise Defect(
            f"the name {name!r} is not allowed",
            "names are lower-case letters, digits, - and _, and start with a letter or digit",
        )
    if len(candidates) > 1:
        owners = " and ".join(" ".join(brought_by(each)) for each in candidates)
        raise Defect(
            f"{owners} both provide {name!r}, so neither is used", "uninstall all but one of them"
        )


def brought_by(entry_point: EntryPoint) -> tuple[str, str]:
    """The name and version of what brought the entry point, as far as they are recorded."""
    distribution = entry_point.dist
    if distribution is None:
        return "an unknown distribution", "?"
    try:
        about = distribution.metadata
        if "Name" in about:
            return about["Name"], about["Version"] if "Version" in about else "?"  # noqa: SIM401
    except Exception:  # noqa: BLE001, S110 - damaged: the folder's name is left
        pass
    stem, version = _by_folder(distribution)
    return stem.replace("_", "-"), version


def refuse_for_another_host(entry_point: EntryPoint) -> None:
    """Return if this exportkit is one that the distribution asks for. Raises `Defect` if not.

    An installer sees to it as a rule, but not if it was told to leave dependencies alone.
    """
    try:
        requirements = (entry_point.dist.requires if entry_point.dist else None) or ()
    except Exception as error:  # noqa: BLE001 - damaged
        raise Defect(_unreadable(error), _AGAIN) from None
    for line in requirements:
        if _OURS.match(line) and not _surely_met(line) and (asked := _unmet(line)):
            distribution, version = brought_by(entry_point)
            raise Defect(
                f"it needs exportkit{asked}, and this is exportkit {__version__}",
                f"install that exportkit, or another {distribution} than {version}",
            )


def _surely_met(line: str) -> bool:
    """Whether it is the plain `exportkit>=0.1` that most say, and true: packaging loads slowly."""
    asked = _AT_LEAST.fullmatch(line)
    return asked is not None and _numbers(asked[1]) <= _numbers(__version__)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _unmet(line: str) -> str:
    """What a requirement asks for that this exportkit is not; empty if it is met or void."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        return ""
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return ""
    met = wanted.specifier.contains(__version__, prereleases=True)
    return "" if met else str(wanted.specifier)
