"""What the changing case starts from: the state that yesterday's run has left, and today's too."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from cases import sinking
from race import Entry, measure

HERE = Path(__file__).parent
INFO = "exportkit_sink-1.0.dist-info"


def lay_out_days(data: Path) -> None:
    """Run both sides once over yesterday's profiles, and ours over today's; keep their states."""
    install_sink(data / "site")
    workspace, today, yesterday = data / "workspace", data / "changing.parquet", data / "day-before"
    for folder in (yesterday, data / "day-after", data / "floor"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copyfile(data / "profiles.parquet", today)
    (data / "floor").mkdir()
    floor = [sys.executable, HERE / "floors" / "changed.py", today, data / "floor"]
    measure(Entry(floor))
    shutil.move(data / "floor", yesterday / "floor")
    run = sinking(data, workspace, "changed")
    measure(Entry(run, [workspace / ".exportkit"]))
    shutil.copytree(workspace / ".exportkit", yesterday / "state")
    change = [sys.executable, str(HERE / "change.py")]
    files = [str(data / "profiles.parquet"), str(today)]
    os.spawnv(os.P_WAIT, sys.executable, [*change, *files])
    measure(Entry(run))
    shutil.move(workspace / ".exportkit", data / "day-after" / "state")


def install_sink(site: Path) -> None:
    """Make the sink a plugin for the processes that have this folder on their path."""
    info = site / INFO
    info.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "sink" / "exportkit_sink.py", site / "exportkit_sink.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: exportkit-sink\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[exportkit]\nsink = exportkit_sink\n")
