"""A random graph compiled with passes and without, beside its twin in numpy; gradients beside differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from symgraph.compiler import lower as lowering
from symgraph.compiler.function import Function
from symgraph.graph.dims import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.ops import elementwise, reduce
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float
from tests.fuzz.grow import Grower
from tests.fuzz.nodes import Environment, Loop, Node, listing
from tests.fuzz.values import Value, difference, largest


@dataclass
class Report:
    """What one graph showed: differences in words, and whether its gradient was compared."""

    seed: int
    nodes: int = 0
    differences: list[str] = field(default_factory=list)
    gradient: bool = False
    refused: list[str] = field(default_factory=list)


def check_graph(seed: int) -> Report:
    """Grow graph `seed`, run it, and tell what differs from numpy."""
    g = Grower(seed)
    report = Report(seed, len(g.scope.nodes), refused=g.refused)
    chosen = _outputs(g)
    for passes in (True, False):
        how = "with passes" if passes else "without passes"
        try:
            found = _differences(g, chosen, passes)
        except Exception as error:  # whatever is raised is a finding
            found = [f"{type(error).__name__}: {error}"]
        if found:
            report.differences += [f"{how}: {text}" for text in [*found, *_smallest(g, chosen, passes)]]
    if g.mode == "smooth":
        try:
            report.gradient, wrong = _check_gradient(g)
        except Exception as error:
            wrong = [f"gradient: {type(error).__name__}: {error}"]
        report.differences += wrong
    return report


def _outputs(g: Grower) -> list[Node]:
    """Some nodes, the last ones among them."""
    made = [n for n in g.scope.nodes if n.tensor is not None and n not in g.inputs]
    picked = {id(n): n for n in (*made[-2:], *(made[g.draw(len(made))] for _ in range(3)))}
    return list(picked.values())


def compiled(inputs: Sequence[Tensor], outputs: Sequence[Tensor], passes: bool) -> Function:
    """A Function; without passes the graph is planned as it was written."""
    if passes:
        return Function(list(inputs), list(outputs))
    with mock.patch.object(lowering, "run_passes", lambda roots: (list(roots), [])):
        function = Function(list(inputs), list(outputs))
        function.lowered()
        return function


def _differences(g: Grower, chosen: Sequence[Node], passes: bool) -> list[str]:
    function = compiled([n.tensor for n in g.inputs], [n.tensor for n in chosen], passes)
    found = []
    for run in g.runs if passes else [r.as_written() for r in g.runs]:
        results = function([run.of(n).own for n in g.inputs])
        for node, result in zip(chosen, results, strict=True):
            text = difference(np.asarray(result), run.of(node))
            if text:
                found.append(f"N = {evaluate(g.size, run.sizes)}: {node.text}: {text}")
    return found


def _smallest(g: Grower, chosen: Sequence[Node], passes: bool) -> list[str]:
    """The first node that is wrong when it is the only output, and how it is made."""
    for node in g.scope.nodes:
        if node.tensor is None or node in g.inputs:
            continue
        try:
            found = _differences(g, [node], passes)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            return ["first wrong alone:", *found, *listing([node])]
    return ["no node is wrong alone; outputs:", *listing(chosen)]


# Gradients


def _check_gradient(g: Grower) -> tuple[bool, list[str]]:
    """The derivative of a sum of some nodes along a random direction, beside differences of the twin."""
    floats = [n for n in g.scope.nodes if n.tensor is not None and is_float(n.tensor.dtype)]
    terms = [floats[-1 - g.draw(min(6, len(floats)))] for _ in range(2)]
    wrt = [n for n in g.inputs if is_float(n.tensor.dtype)]
    first, second = (reduce.sum(elementwise.cast(n.tensor, "float64")) for n in terms)
    loss = first + second
    grads = gradients(loss, [n.tensor for n in wrt], disconnected="zero")
    wrong, compared = [], False
    for passes in (True, False):
        function = compiled([n.tensor for n in g.inputs], [x for x in grads if x is not None], passes)
        for run in g.runs:
            if not passes and any(run.as_written().of(n).doubtful for n in terms):
                continue
            directions = [g.rng.standard_normal(run.of(n).own.shape) for n in wrt]
            slope = None if _singular(run) else _slope(g, run, terms, wrt, directions)
            # Nothing is asked of a derivative that the inputs' dtype may not hold.
            if slope is None or abs(slope) > 1e20:
                continue
            compared = True
            mine, size = _along(function, [run.of(n).own for n in g.inputs], directions)
            if np.isnan(mine) and _without_turns(run):
                continue
            wide = 1e-3 * abs(slope) + 2e-3 * (size + 1)
            if abs(mine - slope) > wide and abs(mine - slope) < 50 * wide:
                wide += 3 * _scatter(function, [run.of(n).own for n in g.inputs], directions)
            if not np.isfinite(mine) or abs(mine - slope) > wide:
                how = "with" if passes else "without"
                wrong += [
                    f"gradient {how} passes, N = {evaluate(g.size, run.sizes)}: {mine}, expected {slope}",
                    *listing(terms),
                ]
    return compared, wrong


def _along(
    function: Function, inputs: Sequence[np.ndarray], directions: Sequence[np.ndarray]
) -> tuple[float, float]:
    """The derivative in some directions, and the sum of the sizes of its terms."""
    terms = [d * f.astype("f8") for d, f in zip(directions, function(list(inputs)), strict=True)]
    return sum(float(t.sum()) for t in terms), sum(float(np.abs(t).sum()) for t in terms)


def _scatter(function: Function, inputs: Sequence[np.ndarray], directions: Sequence[np.ndarray]) -> float:
    """By how much a derivative moves with the last digits of its inputs: what cancelling terms leave."""
    rng = np.random.default_rng(0)
    middle, _ = _along(function, inputs, directions)
    moved = []
    for _ in range(8):
        near = [
            x * (1 + rng.integers(-4, 5, x.shape).astype(x.dtype) * np.finfo(x.dtype).eps)
            if is_float(x.dtype.name)
            else x
            for x in inputs
        ]
        moved.append(abs(_along(function, near, directions)[0] - middle))
    return max(moved)


def _without_turns(run: Environment) -> bool:
    """Whether a loop has no turns: what its step makes of outer values alone is made, and may be singular."""
    return any(isinstance(n, Loop) and not evaluate(n.length, run.sizes) for n in run.values)


def _singular(run: Environment) -> bool:
    """Whether a number became infinite on the way: then so may the gradient, though it does not matter."""
    values = [v for _, v in run.everything() if isinstance(v, Value)]
    return _stairs(run) or not all(np.isfinite(v.own).all() for v in values)


def _stairs(run: Environment) -> bool:
    """Whether numbers were rounded of which a step is small: differences follow the stairs."""
    whole = [
        v.own for n, v in run.everything() if n.text in ("floor", "ceil", "round") and isinstance(v, Value)
    ]
    return largest(*whole) > 100


def _slope(
    g: Grower, run: Environment, terms: Sequence[Node], wrt: Sequence[Node], directions: Sequence[np.ndarray]
) -> float | None:
    """The derivative by differences; None where steps of several lengths do not agree (kinks, rounding)."""

    def at(step: float) -> float:
        moved = Environment(g.scope, run.sizes)
        for node, value in run.values.items():
            if not node.sources and node.compute is None:
                moved.values[node] = value
        for node, direction in zip(wrt, directions, strict=True):
            value = run.of(node)
            more: Any = value.wide + step * direction
            moved.values[node] = Value(value.own, more, more, False)
        return float(sum(moved.of(n).wide.astype("longdouble").sum() for n in terms))

    with np.errstate(all="ignore"):
        size = sum(float(np.abs(run.of(n).wide).sum(dtype="longdouble")) for n in terms)
        middle = at(0.0)
        slopes = [(at(s * h) - middle) / (s * h) for h in (1e-4, 1e-5) for s in (1, -1)]
        slopes += [(slopes[0] + slopes[1]) / 2, (slopes[2] + slopes[3]) / 2]
    bound = 1e-3 * abs(slopes[-1]) + 1e-6
    steady = np.isfinite(slopes).all() and abs(slopes[-1] - slopes[-2]) < bound / 4
    smooth = abs(slopes[2] - slopes[3]) < 0.05 * abs(slopes[-1]) + 1e-3
    # What terms of that size lose, divided by the shortest step.
    seen = 1e-15 * size / 1e-5 < abs(slopes[-1]) + 1e-2
    return slopes[-1] if steady and smooth and seen else None
