"""Two saved profiles side by side, and the rules that a change can break."""

from symgraph.inspection.compare.comparison import compare

__all__ = ["compare"]
