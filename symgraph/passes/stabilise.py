"""Numbers that stay finite and exact: the stable forms of expressions, and two rules for small numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgraph.graph.ops.barrier import Bounded
from symgraph.graph.ops.elementwise import Add, Subtract
from symgraph.graph.ops.math import Exp, Log, expm1, log1p
from symgraph.graph.stable import Stable
from symgraph.graph.tensor import Tensor
from symgraph.passes.rewrite import Rule, apply_rules, replace_nodes, rule
from symgraph.passes.simplify import scalar


@rule(Log)
def log_one_plus(node: Tensor) -> Tensor | None:
    """log(1 + x) -> log1p(x)"""
    (value,) = node.inputs
    if isinstance(value.op, Add):
        for one, other in (value.inputs, value.inputs[::-1]):
            if scalar(one) == 1 and other.type == node.type:
                return log1p(other)
    return None


@rule(Subtract)
def exp_minus_one(node: Tensor) -> Tensor | None:
    """exp(x) - 1 -> expm1(x)"""
    value, one = node.inputs
    plain = isinstance(value.op, Exp) and scalar(one) == 1 and value.type == node.type
    return expm1(value.inputs[0]) if plain else None


RULES: tuple[Rule, ...] = (log_one_plus, exp_minus_one)


def stabilise(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Stable forms (`symgraph.graph.stable`), then every rule of this file."""
    stable = Stable()
    found = stable.rewrite(roots)
    hits.update(stable.hits)
    results = apply_rules([found[id(root)] for root in roots], RULES, hits)
    return replace_nodes(results, _unmarked)


def _unmarked(old: Tensor, new: Tensor) -> Tensor:
    """Marks have served their purpose."""
    return new.inputs[0] if isinstance(new.op, Bounded) else new
