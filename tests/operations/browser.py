"""A headless browser, spoken to over its own pipe: no driver, no port, no network."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip


def installed() -> str | None:
    """Where a browser is, if one is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Tab:
    """One page, open. What it logs and asks for is kept."""

    def __init__(self, say: IO[bytes], hear: IO[bytes]) -> None:
        self._say, self._hear, self._last, self._session = say, hear, 0, ""
        self.logged: list[Any] = []
        self.requested: list[str] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> Any:
        """Give one command of the devtools protocol, and wait for its answer."""
        self._last += 1
        order = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            order["sessionId"] = self._session
        self._say.write(json.dumps(order).encode() + b"\0")
        self._say.flush()
        while (message := self._next()).get("id") != self._last:
            self._note(message)
        assert "error" not in message, message["error"]
        return message["result"]

    def open(self, file: Path) -> None:
        """Open a file and wait until it is there."""
        self.do("Page.navigate", url=file.as_uri())
        while (message := self._next()).get("method") != "Page.loadEventFired":
            self._note(message)

    def look(self, width: int, *, dark: bool = False, height: int = 900) -> None:
        """See the page at this width, by day or by night."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.do("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        found = self.do(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, file: Path, *, whole: bool = True) -> None:
        """Save what is seen as a PNG."""
        shot = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _next(self) -> Any:
        letters = bytearray()
        while (letter := self._hear.read(1)) != b"\0":
            if not letter:
                raise EOFError("the browser has gone")
            letters += letter
        return json.loads(letters)

    def _note(self, message: Any) -> None:
        method, said = message.get("method"), message.get("params", {})
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.logged.append(said)
        elif method == "Network.requestWillBeSent":
            self.requested.append(said["request"]["url"])


@contextmanager
def browsing(program: str, profile: Path) -> Iterator[Tab]:
    """A browser with one page, closed at the end. `profile` is an empty folder."""
    hear_there, say_here = os.pipe()
    hear_here, say_there = os.pipe()

    def arrange() -> None:
        os.dup2(hear_there, 3)
        os.dup2(say_there, 4)

    # Out of the way of 3 and 4, which the browser expects its pipe at.
    hear_there, say_there = (_moved(descriptor) for descriptor in (hear_there, say_there))
    command = [program, *FLAGS, f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        command.append("--no-sandbox")
    process = subprocess.Popen(
        command, close_fds=False, preexec_fn=arrange, stderr=subprocess.DEVNULL
    )
    os.close(hear_there)
    os.close(say_there)
    try:
        with os.fdopen(say_here, "wb") as say, os.fdopen(hear_here, "rb") as hear:
            yield Tab(say, hear)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _moved(descriptor: int) -> int:
    import fcntl

    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20)
    os.close(descriptor)
    os.set_inheritable(high, True)
    return high
