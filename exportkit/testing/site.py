"""The fault destination, installed into a folder: put that folder on `sys.path`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def install_faults(folder: Path, type: str = "faulty", **arguments: Any) -> None:  # noqa: A002
    """Write a distribution whose entry point `type` is `FaultDestination(**arguments)`.

    `arguments` are what `FaultDestination` takes, as far as their `repr` makes them again. Put the
    folder on `sys.path`, or into PYTHONPATH for a process of its own.
    """
    module = f"exportkit_{type.replace('-', '_')}"
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(
        "from exportkit import Column, Limits\n"
        "from exportkit.testing import FaultDestination\n"
        f"plugin = FaultDestination({given})\n",
        encoding="utf-8",
    )
    about = f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n"
    (info / "METADATA").write_text(about, encoding="utf-8")
    entry_point = f"[exportkit]\n{type} = {module}:plugin\n"
    (info / "entry_points.txt").write_text(entry_point, encoding="utf-8")
