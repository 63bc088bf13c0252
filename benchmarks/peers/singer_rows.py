"""The plain case through a Singer pipe, tap into target. `singer_rows.py SOURCE FOLDER`"""

import json
import subprocess
import sys
from pathlib import Path

source, folder, here = sys.argv[1], Path(sys.argv[2]) / "singer", Path(__file__).parent
folder.mkdir(parents=True, exist_ok=True)


def command(script: str, **config: str) -> list[str]:
    path = folder / f"{script}.json"
    path.write_text(json.dumps(config))
    return [sys.executable, str(here / f"{script}.py"), "--config", str(path)]


with (folder / "log").open("w") as log:
    tap = subprocess.Popen(command("singer_tap", source=source), stdout=subprocess.PIPE, stderr=log)
    target = subprocess.run(
        command("singer_target", result=str(folder / "plain.csv")),
        stdin=tap.stdout,
        stdout=subprocess.DEVNULL,
        stderr=log,
        check=False,
    )
sys.exit(tap.wait() or target.returncode)
