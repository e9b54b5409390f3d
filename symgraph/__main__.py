"""The command `symgraph`, also as ``python -m symgraph``: see `symgraph.cli`."""

from __future__ import annotations

import importlib
import sys

from symgraph.alias.install import run_script, starts_a_script


def main() -> int:
    """Run the command line of this process; its exit code."""
    arguments = sys.argv[1:]
    if starts_a_script(arguments):
        # Another Python begins at once: it would be a waste to load the other commands for that.
        return run_script(arguments[1:])
    code: int = importlib.import_module("symgraph.cli").main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
