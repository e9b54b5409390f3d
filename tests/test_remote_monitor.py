"""RemoteMonitor, against a server of this process."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest

from symgraph.callbacks import RemoteMonitor


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, Any, bytes]]]]:
    """Its address, and what it was sent: path, headers, body."""
    seen: list[tuple[str, Any, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if "broken" in self.path else 200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}", seen
        found.shutdown()
        thread.join()


LOGS = {"loss": np.float32(0.5), "acc": np.array(0.25), "size": 3}
SENT = {"epoch": 4, "loss": 0.5, "acc": 0.25, "size": 3}


def test_an_epoch_is_sent_as_a_form(server: Any) -> None:
    root, seen = server
    RemoteMonitor(root, field="logs", headers={"X-Key": "secret"}).on_epoch_end(4, LOGS)
    ((path, headers, body),) = seen
    assert path == "/publish/epoch/end/" and headers["X-Key"] == "secret"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert json.loads(urllib.parse.parse_qs(body.decode())["logs"][0]) == SENT


def test_an_epoch_is_sent_as_json(server: Any) -> None:
    root, seen = server
    RemoteMonitor(root, "/there", send_as_json=True).on_epoch_end(4, LOGS)
    ((path, headers, body),) = seen
    assert path == "/there" and headers["Content-Type"] == "application/json"
    assert json.loads(body) == SENT


def test_what_the_server_says_does_not_matter(server: Any) -> None:
    root, seen = server
    RemoteMonitor(root, "/broken").on_epoch_end(0)
    assert len(seen) == 1


def test_a_server_that_is_not_there_is_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"could not reach RemoteMonitor root server at http://127.0.0.1:9"):
        RemoteMonitor("http://127.0.0.1:9").on_epoch_end(0, LOGS)


def test_other_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="expected an http or https address, got 'file:///etc/"):
        RemoteMonitor("file:///etc", "/passwd").on_epoch_end(0)
