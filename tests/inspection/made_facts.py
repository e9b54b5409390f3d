"""Facts made by hand, for views that are tested without a compiler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgraph.inspection.facts.function import Facts, InputFacts, NodeFacts, PassFacts, PieceFacts, RowFacts
from symgraph.inspection.facts.hardware import hardware_facts
from symgraph.inspection.facts.times import FunctionTimes
from symgraph.inspection.report.material import Material
from symgraph.kernels.ceilings import Ceilings

CEILINGS = Ceilings(2, 100.0, 10.0)


def node(number: int, kind: str, reads: Sequence[int] = (), **fields) -> NodeFacts:
    """Node ``%number``: float32(4, 8), of 1000 operations and 256 bytes in row `number`."""
    layer = fields.pop("layer", None)
    given = {
        "id": f"%{number}",
        "op": kind,
        "kind": kind.split("[", maxsplit=1)[0],
        "role": "op",
        "type": "float32(N, 8)",
        "phase": "forward",
        "name": None,
        "layer": layer,
        "origins": (f"layer {layer} (model.py:{number})" if layer else f"model.py:{number}",),
        "inputs": tuple(f"%{r}" for r in reads),
        "inside": None,
        "shapes": ((4, 8),),
        "dtypes": ("float32",),
        "flops": 1000,
        "bytes": 256,
        "formula": "one for each element",
        "rows": (number,),
    }
    return NodeFacts(**given | fields)


def facts(nodes: Sequence[NodeFacts], name: str = "made") -> Facts:
    """Facts of these nodes; each one with rows gets a row and a block of 256 bytes for two rows."""
    working = [n for n in nodes if n.rows]
    if len(nodes) < 1000:
        nodes = [replace(n, rows=(working.index(n),)) if n.rows else n for n in nodes]
    rows = tuple(
        RowFacts(i, n.id, f"kernel_{n.kind}[float32]", 2, 0, i, 1, ("feed 0",), (f"arena+{256 * (i % 2)}",))
        for i, n in enumerate(working)
    )
    pieces = tuple(PieceFacts(256 * (i % 2), 256, i, i + 1, n.id) for i, n in enumerate(working))
    passes = (PassFacts("fold", 9, 7, 0.002, {"folded": 2}, {"add <float32()>": 2}, {}),)
    shapes = ((4, 8),)
    inputs = (InputFacts("%0", "x", "float32(N, 8)"),)
    return Facts(
        name,
        inputs,
        (nodes[-1].id,),
        shapes,
        tuple(nodes),
        rows,
        pieces,
        512,
        256 * len(rows),
        2,
        len(rows),
        0.1,
        passes,
    )


def times(made: Facts, seconds: Sequence[float], calls: int = 10, coverage: float = 1.0) -> FunctionTimes:
    """Times of the rows in a call, for `calls` calls."""
    whole = sum(seconds) * calls / coverage
    return FunctionTimes(
        made, calls, whole, 0.5, tuple(s * calls for s in seconds), tuple(calls for _ in seconds)
    )


def material(made: Facts, measured: FunctionTimes | None = None) -> Material:
    """What a report of them is made of; the ceilings are 100 GFLOP/s and 10 GB/s."""
    return Material(made, measured, made.passes, (), {}, hardware_facts(), (CEILINGS,))


def chain(count: int) -> Facts:
    """A chain of `count` nodes that are outside of layers."""
    first = node(0, "placeholder", role="input", name="x", rows=(), flops=0, bytes=0)
    return facts([first, *(node(i, "tanh", [i - 1], rows=(i - 1,)) for i in range(1, count))], "chain")
