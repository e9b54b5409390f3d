"""Every kernel against its op's numpy reference, on the values of a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from symgraph.compiler.program.works import Work
from symgraph.compiler.run.collect import NodeIds
from symgraph.compiler.run.live_run import LiveRun
from symgraph.graph.evaluate import concrete_op
from symgraph.graph.op import Op
from symgraph.graph.ops.fused import Fused, FusedReduction
from symgraph.graph.ops.host import Watch
from symgraph.graph.ops.siblings import SiblingReductions
from symgraph.graph.tensor import Tensor
from symgraph.inspection.text.checks import CheckReport, NodeCheck

_TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
"""Of the largest number: convolutions in tiles and sums of many terms stay well below it."""
_MOST_FLIPS = 1e-4
"""The share of elements that a comparison inside a kernel, of values that are rounded there, may decide
otherwise."""
_DECIDING = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}


@dataclass
class _Found:
    """What is known of a node so far."""

    kernels: dict[str, None] = field(default_factory=dict)
    times: int = 0
    max_error: float = 0.0
    norm_error: float = 0.0
    tolerance: float = 0.0
    problem: str = ""


class Verifier:
    """Compares what each work has made with the reference of its op, on the inputs that the work has read."""

    sees_stages = True

    def __init__(self) -> None:
        self._found: dict[int, tuple[Tensor, _Found]] = {}
        # Sums over slices as they were after the last one.
        self._sums: dict[int, list[np.ndarray]] = {}
        self._added: set[int] = set()

    def begin(self, run: LiveRun) -> None:
        """See which nodes are summed over slices."""
        self._added = {id(work.node) for work in run.program.inventory.works if work.kind == "add"}

    def done(self, run: LiveRun, work: Work) -> None:
        """Compare."""
        if work.kind == "block" or not work.outputs:
            return
        inputs, outputs = run.inputs(work), run.outputs(work)
        if work.kind == "add":
            wanted = [self._sums[id(work.node)].pop(0) + inputs[1]]
        else:
            wanted = self._reference(run, work, inputs)
        _, found = self._found.setdefault(id(work.node), (work.node, _Found()))
        known = found.problem
        found.times += work.kind == "op"
        found.kernels.update(dict.fromkeys(run.program.rows[row].kernel.name for row in work.rows))
        op = concrete_op(work.node.op, run.sizes)
        for number, (value, reference) in enumerate(zip(outputs, wanted, strict=True)):
            self._compare(found, op if work.kind == "op" else None, inputs, value, reference, number)
        if found.problem and not known:
            found.problem += "".join(f", in {turn}" for turn in run.turns(work))
            found.problem += f", in slice {work.slice + 1}" if work.slice else ""
        if id(work.node) in self._added and (work.slice == 0 or work.kind == "add"):
            self._sums.setdefault(id(work.node), []).extend(np.array(value) for value in outputs)

    def end(self, run: LiveRun) -> None:
        """Nothing is left to be done."""

    def _reference(self, run: LiveRun, work: Work, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        if work.kind == "copy" or isinstance(work.node.op, Watch):
            return [np.broadcast_to(inputs[0], work.outputs[0].shape)]
        # References may hand on what they got: kernels' memory is not theirs.
        with np.errstate(all="ignore"):
            values = concrete_op(work.node.op, run.sizes).reference(*map(np.array, inputs))
        return [np.asarray(value) for value in (values if isinstance(values, tuple) else (values,))]

    def _compare(
        self,
        found: _Found,
        op: Op | None,
        inputs: Sequence[np.ndarray],
        value: np.ndarray,
        reference: np.ndarray,
        number: int,
    ) -> None:
        tolerance = _TOLERANCE.get(value.dtype.name, 0.0)
        found.tolerance = max(found.tolerance, tolerance)
        if value.shape != reference.shape or value.dtype != reference.dtype:
            found.problem = found.problem or (
                f"result {number} is {value.dtype}{value.shape}, "
                f"the reference's {reference.dtype}{reference.shape}"
            )
            return
        if not value.size:
            return
        wrong, largest, norm = _errors(value, reference, tolerance, 0.0)
        if wrong.any() and op is not None and value.dtype.kind == "f":
            wrong, largest, norm = _errors(value, reference, tolerance, _terms(op, inputs, number))
        found.max_error = max(found.max_error, largest)
        found.norm_error = max(found.norm_error, norm)
        if wrong.sum() > (_MOST_FLIPS * value.size if op is not None and _compares(op) else 0):
            first = [int(i) for i in np.argwhere(wrong)[0]]
            got, want = value[tuple(first)], reference[tuple(first)]
            found.problem = found.problem or (
                f"result {number} is wrong in {int(wrong.sum())} of {value.size} numbers, "
                f"first at {first}: {got:.6g}, the reference has {want:.6g}"
            )

    def report(self, name: str, ids: NodeIds) -> CheckReport:
        """What was found."""
        nodes = [
            NodeCheck(
                ids.of(node),
                str(node.op),
                node.layer,
                tuple(map(str, node.origins)),
                tuple(found.kernels),
                found.times,
                found.max_error,
                found.norm_error,
                found.tolerance,
                not found.problem,
                found.problem,
            )
            for node, found in self._found.values()
        ]
        return CheckReport(name, tuple(sorted(nodes, key=lambda node: node.ok)))


def _errors(
    value: np.ndarray, reference: np.ndarray, tolerance: float, scale: float
) -> tuple[np.ndarray, float, float]:
    """Which elements are wrong, and the largest and the norm of the errors, as parts of the largest number.

    `scale` is a further size that rounding may be measured by.
    """
    if value.dtype.kind != "f":
        wrong = value != reference
        return wrong, float(wrong.any()), float(np.sqrt(wrong.mean()))
    got, want = value.astype(np.float64), reference.astype(np.float64)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    finite = np.isfinite(got) & np.isfinite(want)
    with np.errstate(all="ignore"):
        error = np.where(same, 0.0, np.where(finite, np.abs(got - want), np.inf))
        known = np.where(np.isfinite(want), np.abs(want), 0.0)
        size = max(float(known.max()), scale, 1e-30)
        norm = float(np.sqrt((error**2).sum()) / max(float(np.sqrt((known**2).sum())), 1e-30))
    return error > tolerance * size, float(error.max()) / size, norm


def _terms(op: Op, inputs: Sequence[np.ndarray], number: int) -> float:
    """The size of the terms where a sum of them cancels out: the op on the inputs without their signs."""
    with np.errstate(all="ignore"):
        values = op.reference(*(np.abs(a) if a.dtype.kind == "f" else np.array(a) for a in inputs))
    value = np.asarray((values if isinstance(values, tuple) else (values,))[number])
    finite = np.abs(value[np.isfinite(value)]) if value.dtype.kind == "f" else np.zeros(0)
    return float(finite.max()) if finite.size else 0.0


def _compares(op: Op) -> bool:
    """Whether a kernel compares values that it has computed itself."""
    steps = op.steps if isinstance(op, (Fused, FusedReduction, SiblingReductions)) else ()
    return any(step.kernel in _DECIDING for step, _ in steps)
