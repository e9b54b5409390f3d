"""A callback that sends what training reports to a server."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

import numpy as np

from symgraph.callbacks.base import Callback, Logs
from symgraph.utils.warn_user import warn_user

_TIMEOUT = 10.0  # seconds that an epoch may wait for the server


class RemoteMonitor(Callback):
    """Sends the logs of each epoch to a server, as an HTTP POST. If it cannot be reached, that is a warning.

    Parameters
    ----------
    root : str
        Address of the server.
    path : str
        What follows `root` in the address.
    field : str
        Name of the form's field that holds the JSON text.
    headers : mapping, optional
        HTTP headers.
    send_as_json : bool
        Send the JSON text itself (application/json) instead of a form.
    """

    only_first_rank = True

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Send the epoch's number and its logs."""
        send = {"epoch": epoch}
        for name, value in (logs or {}).items():
            send[name] = value.item() if isinstance(value, np.ndarray | np.generic) else value
        text = json.dumps(send)
        if self.send_as_json:
            kind, data = "application/json", text.encode()
        else:
            kind, data = (
                "application/x-www-form-urlencoded",
                urllib.parse.urlencode({self.field: text}).encode(),
            )
        url = self.root + self.path
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"RemoteMonitor: expected an http or https address, got {url!r}")
        request = urllib.request.Request(url, data, {"Content-Type": kind, **(self.headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT):
                pass
        except urllib.error.HTTPError:
            pass  # the server was reached: what it says of it is its own affair
        except OSError:
            warn_user(f"Warning: could not reach RemoteMonitor root server at {self.root}")
