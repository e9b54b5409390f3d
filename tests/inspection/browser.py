"""A real browser without a screen: Chromium, by the WebDriver protocol over plain HTTP."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1300,1000",
]
_DRIVERS = ("chromedriver",)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def missing() -> str:
    """What has to be installed before a browser can be started; empty if nothing."""
    if not any(map(shutil.which, _BROWSERS)) or not any(map(shutil.which, _DRIVERS)):
        return "no Chromium with chromedriver: apt-get install chromium chromium-driver"
    return ""


class Browser:
    """A session with one window."""

    def __init__(self, address: str, session: str) -> None:
        self._address = f"{address}/session/{session}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A WebDriver command."""
        return _ask(f"{self._address}{path}", method, body)

    def open(self, page: Path, scripts: bool = True) -> None:
        """Load a page from the disk, after emptying the logs."""
        command = {"cmd": "Emulation.setScriptExecutionDisabled", "params": {"value": not scripts}}
        self.ask("POST", "/url", {"url": "about:blank"})
        self.ask("POST", "/goog/cdp/execute", command)
        for kind in ("browser", "performance"):
            self.log(kind)
        self.ask("POST", "/url", {"url": page.as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """The lines of a log since it was last asked for."""
        return self.ask("POST", "/se/log", {"type": kind})

    def requests(self) -> list[str]:
        """Addresses that the page asked for since it was opened."""
        messages = [json.loads(line["message"])["message"] for line in self.log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def press(self, keys: str) -> None:
        """Keys, one after the other; they go to what has the focus."""
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def click(self, query: str) -> None:
        """A real click on the first element of a CSS query, which is brought to the middle of the window."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", query)
        found = self.ask("POST", "/element", {"using": "css selector", "value": query})
        self.ask("POST", f"/element/{next(iter(found.values()))}/click", {})

    def shown(self, query: str) -> bool:
        """Whether the first element of a CSS query can be seen."""
        found = self.ask("POST", "/element", {"using": "css selector", "value": query})
        return bool(self.ask("GET", f"/element/{next(iter(found.values()))}/displayed"))


def _ask(url: str, method: str, body: Any = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser, closed at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = next(path for name in _DRIVERS if (path := shutil.which(name)))
    binary = next(path for name in _BROWSERS if (path := shutil.which(name)))
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait(address)
            options = {"args": [*_FLAGS, f"--user-data-dir={folder}"], "binary": binary}
            wanted = {
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            made = _ask(f"{address}/session", "POST", {"capabilities": {"alwaysMatch": wanted}})
            session = Browser(address, made["sessionId"])
            yield session
            session.ask("DELETE", "")
        finally:
            process.terminate()
            process.wait(10)


def _wait(address: str) -> None:
    """Until the driver answers."""
    for _ in range(200):
        try:
            if _ask(f"{address}/status", "GET")["ready"]:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"chromedriver does not answer at {address}")
