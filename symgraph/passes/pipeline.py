"""The order of the passes, in one tuple, and the record that each leaves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

from symgraph.graph.check import check
from symgraph.graph.tensor import Tensor, topological
from symgraph.passes.biases import bias_gradients
from symgraph.passes.branches import tidy_branches
from symgraph.passes.epilogue import fuse_epilogues
from symgraph.passes.flows import drop_dead_flows
from symgraph.passes.fold import fold
from symgraph.passes.fuse import fuse
from symgraph.passes.layout import layout
from symgraph.passes.masks import masks
from symgraph.passes.merge import merge
from symgraph.passes.pads import pads, pads_of_maxima
from symgraph.passes.rewrite import Record
from symgraph.passes.scales import fold_scales
from symgraph.passes.scans import tidy_scans
from symgraph.passes.siblings import join_siblings
from symgraph.passes.simplify import simplify
from symgraph.passes.stabilise import stabilise
from symgraph.passes.untils import tidy_untils
from symgraph.passes.unused import drop_unused_results

Pass: TypeAlias = Callable[[Sequence[Tensor], Counter[str]], list[Tensor]]


def scans(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """See `tidy_scans` and `tidy_untils`; bodies go through this very pipeline."""
    tidied = tidy_scans(roots, hits, lambda results: run_passes(results)[0])
    return tidy_untils(tidied, hits, lambda results: run_passes(results)[0])


def branches(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """See `tidy_branches`; bodies go through this very pipeline."""
    return tidy_branches(roots, hits, lambda results: run_passes(results)[0])


PIPELINE: tuple[Pass, ...] = (
    stabilise,
    fold,
    branches,
    drop_dead_flows,
    simplify,
    fold,
    merge,
    scans,
    simplify,
    layout,
    drop_dead_flows,
    simplify,
    pads,
    merge,
    masks,
    drop_unused_results,
    fold_scales,
    bias_gradients,
    fuse_epilogues,
    pads_of_maxima,
    fuse,
    join_siblings,
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
