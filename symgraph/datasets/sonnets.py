"""Sonnets: 25 poems by Shakespeare, bundled, so that examples about text run without a network.

From "Shake-speares Sonnets" (1609), in the public domain; see sonnets.md beside this file.
"""

from __future__ import annotations

from importlib.resources import files


def load_data() -> str:
    """Load the bundled text: sonnets 1 to 25, 15,434 characters in 374 lines, an empty line between poems."""
    return (files("symgraph.datasets") / "sonnets.txt").read_text(encoding="ascii")
