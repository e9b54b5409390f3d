"""Processes and threads of tests: which are there, which are gone, and how to run others."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


def children(parent="self"):
    """Its worker processes that still are there."""
    found = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        # Threads and processes may end while they are looked for.
        with suppress(FileNotFoundError, ProcessLookupError):
            for pid in (task / "children").read_text().split():
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


def gone(pid):
    """Whether a process has ended."""
    try:
        # The state after the name: Z is a process that only waits to be counted.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(happened, seconds=10.0):
    """Whether it happened within the time."""
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.02)
    return happened()


def environment(**more):
    """Of a script that uses this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}
