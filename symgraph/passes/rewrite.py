"""The rule engine: small decorated functions, applied bottom-up until none fires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from symgraph.graph.op import Op
from symgraph.graph.origin import inherit
from symgraph.graph.substitute import rebuild, substitute
from symgraph.graph.tensor import Tensor, topological

# A rule that undoes another would loop for ever; no honest chain of rules on one node is this long.
_MOST_STEPS = 50


@dataclass(frozen=True)
class Rule:
    """A rewrite of nodes whose op is one of `ops`. Its docstring says what it does: ``x * 1 -> x``."""

    function: Callable[[Tensor], Tensor | None]
    ops: tuple[type[Op], ...]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def text(self) -> str:
        """What the rule does."""
        return (self.function.__doc__ or "").strip()


def rule(*ops: type[Op]) -> Callable[[Callable[[Tensor], Tensor | None]], Rule]:
    """Make a function a rule for nodes of `ops` (exactly these classes).

    It returns a replacement, or None.
    """

    def decorate(function: Callable[[Tensor], Tensor | None]) -> Rule:
        return Rule(function, ops)

    return decorate


@dataclass
class Record:
    """What one pass did: for inspection."""

    name: str
    before: int
    after: int
    seconds: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)


def replace_nodes(roots: Sequence[Tensor], visit: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    """Rebuild a graph from its leaves up.

    ``visit(old, new)`` gets each node and its rebuilt form (on already visited inputs) and returns what takes
    its place.
    """
    done: dict[int, Tensor] = {}
    for node in topological(roots):
        done[id(node)] = visit(node, rebuild(node, [done[id(i)] for i in node.inputs]))
    return [done[id(root)] for root in roots]


def apply_rules(roots: Sequence[Tensor], rules: Iterable[Rule], hits: Counter[str]) -> list[Tensor]:
    """Apply `rules` to every node, inputs first, until none fires there.

    A replacement keeps the node's type.
    """
    by_op: dict[type[Op], list[Rule]] = {}
    for candidate in rules:
        for op in candidate.ops:
            by_op.setdefault(op, []).append(candidate)

    def visit(old: Tensor, new: Tensor) -> Tensor:
        for _ in range(_MOST_STEPS):
            better = _first(by_op.get(type(new.op), ()), new, hits)
            if better is None:
                return new
            assert better.type == new.type or _same_kind(better, new), (
                f"rule turned {new!r} into {better!r}, which has another type"
            )
            if better.name is None and new.name is not None and better.inputs:
                better = Tensor(better.op, better.inputs, better.type, better.origins, new.name)
            new = better
        raise AssertionError(f"rules loop on {new!r}")

    return replace_nodes(roots, visit)


def _first(rules: Iterable[Rule], node: Tensor, hits: Counter[str]) -> Tensor | None:
    for candidate in rules:
        with inherit(node.origins):
            better = candidate.function(node)
        if better is not None and better is not node:
            hits[candidate.name] += 1
            return better
    return None


def _same_kind(a: Tensor, b: Tensor) -> bool:
    """Same dtype and rank: unknown sizes may be written differently and still be equal."""
    return a.dtype == b.dtype and a.ndim == b.ndim


def single_use(node: Tensor, readers: dict[int, list[Tensor]], roots: set[int]) -> bool:
    """Whether exactly one node reads `node`, and it is no result of the graph."""
    return len(readers.get(id(node), ())) == 1 and id(node) not in roots


__all__ = [
    "Record",
    "Rule",
    "apply_rules",
    "rebuild",
    "replace_nodes",
    "rule",
    "single_use",
    "substitute",
    "topological",
]
