"""A convolution's bias gradient is made with its weight gradient: both read the output's gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from symgraph.graph.op import Part
from symgraph.graph.ops.conv import Conv2DWeightGradient
from symgraph.graph.ops.conv_bias import Conv2DWeightBiasGradient
from symgraph.graph.ops.reduce import Sum
from symgraph.graph.origin import inherit
from symgraph.graph.tensor import Tensor, topological
from symgraph.passes.rewrite import replace_nodes


def bias_gradients(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """sum[0,1,2](g) beside conv2d_weight_gradient(x, g) -> conv2d_weight_bias_gradient(x, g)"""
    pairs = _pairs(topological(roots))
    partner = {id(node): pair for pair in pairs for node in pair}
    # The pictures come first, so that either node of a pair finds them rewritten.
    pictures = [weights.inputs[0] for weights, _ in pairs]
    rewritten: dict[int, Tensor] = {}
    made: dict[int, Tensor] = {}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        rewritten[id(old)] = new
        if id(old) not in partner:
            return new
        weights, sums = partner[id(old)]
        if id(weights) not in made:
            op = weights.op
            assert isinstance(op, Conv2DWeightGradient)
            origins = tuple(dict.fromkeys(weights.origins + sums.origins))
            inputs = (rewritten[id(i)] for i in weights.inputs)
            both = Conv2DWeightBiasGradient(*op.parameters(), op.height, op.width)
            with inherit(origins):
                made[id(weights)] = both(*inputs)
            hits["bias_gradients"] += 1
        part = Part(0 if old is weights else 1)
        kind = part.infer(made[id(weights)].type)
        return Tensor(part, (made[id(weights)],), kind, old.origins, old.name)

    return replace_nodes([*pictures, *roots], visit)[len(pictures) :]


def _pairs(nodes: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Weight gradients, each with the sum of the same output's gradient, that may become one node."""
    nodes = list(nodes)
    sums = {id(n.inputs[0]): n for n in nodes if isinstance(n.op, Sum) and _over_pixels(n)}
    found = []
    for node in nodes:
        # Depthwise kernels do not make sums.
        if type(node.op) is Conv2DWeightGradient and node.op.groups == 1:
            total = sums.pop(id(node.inputs[1]), None)
            if total is not None:
                found.append((node, total))
    # A sum that pictures are made of cannot wait for them.
    above = {id(n) for n in topological([weights.inputs[0] for weights, _ in found])}
    return [(weights, total) for weights, total in found if id(total) not in above]


def _over_pixels(node: Tensor) -> bool:
    """Whether a sum of [N, H, W, C] keeps the channels only."""
    op = node.op
    assert isinstance(op, Sum)
    return node.inputs[0].ndim == 4 and tuple(op.axes) == (0, 1, 2) and node.ndim == 1
