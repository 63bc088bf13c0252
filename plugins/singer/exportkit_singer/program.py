"""The Singer target itself: a program beside this Python, on PATH, or where the path leads."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from exportkit import PluginError

# Where the distribution has another name than the program that it brings.
_DISTRIBUTIONS = {
    "target-cratedb": "meltano-target-cratedb",
    "target-csv": "meltanolabs-target-csv",
    "target-postgres": "meltanolabs-target-postgres",
    "target-snowflake": "meltanolabs-target-snowflake",
}


def find(target: str, workspace: Path) -> Path:
    """The program that `target` names. Raises PluginError if it is not there, or none."""
    if "/" in target:
        return _at(workspace / Path(target).expanduser())
    beside = Path(sys.executable).parent
    found = shutil.which(target, path=str(beside)) or shutil.which(target)
    if found is not None:
        return Path(found)
    distribution = _DISTRIBUTIONS.get(target, target)
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for folder in (str(beside), *folders):
        if (path := Path(folder, target)).is_file():
            return _at(path)
    raise PluginError(
        f"the Singer target {target} is not installed: it is neither in {beside} nor in one of "
        f"the {len(folders)} folders of PATH",
        hint=f"install it (`pipx install {distribution}`, in an environment of its own), or say "
        "where it is: `target: /path/to/it`",
    )


def _at(path: Path) -> Path:
    if not path.is_file():
        raise PluginError(
            f"there is no Singer target at {path}",
            hint="a `target` with a slash in it is a path, which starts at the workspace",
        )
    if not os.access(path, os.X_OK):
        raise PluginError(
            f"the Singer target at {path} is not executable",
            hint=f"chmod +x {path}; or name the program that its installation has made",
        )
    return path
