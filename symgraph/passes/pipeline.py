"""The order of the passes, in one tuple, and the record that each leaves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

from symgraph.graph.check import check
from symgraph.graph.tensor import Tensor, topological
from symgraph.passes.biases import bias_gradients
from symgraph.passes.epilogue import fuse_epilogues
from symgraph.passes.fold import fold
from symgraph.passes.fuse import fuse
from symgraph.passes.layout import layout
from symgraph.passes.masks import masks
from symgraph.passes.merge import merge
from symgraph.passes.rewrite import Record
from symgraph.passes.scales import fold_scales
from symgraph.passes.simplify import simplify
from symgraph.passes.stabilise import stabilise
from symgraph.passes.unused import drop_unused_results

Pass: TypeAlias = Callable[[Sequence[Tensor], Counter[str]], list[Tensor]]

PIPELINE: tuple[Pass, ...] = (
    simplify,
    fold,
    merge,
    stabilise,
    layout,
    simplify,
    merge,
    masks,
    merge,
    drop_unused_results,
    fold_scales,
    bias_gradients,
    fuse_epilogues,
    fuse,
)


def run_passes(
    roots: Sequence[Tensor], passes: Sequence[Pass] = PIPELINE, checked: bool = False
) -> tuple[list[Tensor], list[Record]]:
    """Rewrite the graph of `roots`. Under `checked` the graph's law is verified after every pass (tests)."""
    records: list[Record] = []
    current = list(roots)
    size = len(topological(current))
    for step in passes:
        hits: Counter[str] = Counter()
        start = time.perf_counter()
        current = step(current, hits)
        seconds = time.perf_counter() - start
        before, size = size, len(topological(current))
        records.append(Record(step.__name__, before, size, seconds, hits))
        if checked:
            check(current)
    return current, records
