"""Signs that ranks give to `symgraph launch`: files in a folder that it names in the environment.

What MPI says of a job in which ranks were lost cannot be trusted: it may wait for them for ever. So rank 0
says when the script has ended, and a rank that waits in vain for the others says that too.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SIGNS = "SYMGRAPH_SIGNS"
TIMEOUT = "SYMGRAPH_TIMEOUT"
ELASTIC = "SYMGRAPH_ELASTIC"

BEGUN, ENDED, STUCK = "begun", "ended", "stuck"
"""All ranks are there; the script has ended on rank 0, with this code; a rank has left the others, so that
they cannot go on."""


class Signs:
    """The signs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def clear(self) -> None:
        """Forget all signs."""
        for name in (BEGUN, ENDED, STUCK):
            (self.folder / name).unlink(missing_ok=True)

    def code(self, name: str) -> int | None:
        """The exit code that a sign tells; None where it was not given."""
        try:
            text = (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None


def give_sign(name: str, code: int = 0) -> None:
    """Give a sign to the launcher, if there is one."""
    folder = os.environ.get(SIGNS)
    # On other machines there is no such folder; rank 0 is on the launcher's.
    if not folder or not os.path.isdir(folder):
        return
    with contextlib.suppress(OSError):
        Path(folder, f".{name}").write_text(str(code), encoding="utf-8")
        Path(folder, f".{name}").replace(Path(folder, name))
