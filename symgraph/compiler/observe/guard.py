"""The first NaN or infinity of a call, found where it is made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.compiler.program.works import Work
from symgraph.compiler.run.live_run import OBSERVERS, LiveRun, Turn
from symgraph.graph.evaluate import concrete_op
from symgraph.graph.leaves import Constant, Placeholder, VariableRead
from symgraph.graph.op import Part
from symgraph.graph.ops.fused import Fused, FusedReduction, step_values
from symgraph.graph.ops.scan import Scan
from symgraph.graph.ops.siblings import SiblingReductions
from symgraph.graph.origin import Origin
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TupleType


class NotFiniteError(FloatingPointError):
    """A NaN or an infinity came up. The variables are as they were before the call.

    Attributes
    ----------
    node : str
        The id of the node that made it, or of the input or variable that holds it.
    op : str
    layer : str or None
    origins : tuple of str
        The user's lines.
    turns : tuple of int
        The numbers, from 0, of the turns of the loops around.
    slice : int
    """

    def __init__(
        self,
        message: str,
        node: str,
        op: str,
        origins: Sequence[Origin],
        turns: Sequence[int] = (),
        slice: int = 0,
    ) -> None:
        super().__init__(message)
        self.node = node
        self.op = op
        self.layer = next((o.layer for o in origins if o.layer), None)
        self.origins = tuple(map(str, origins))
        self.turns = tuple(turns)
        self.slice = slice


class NanGuard:
    """Checks every computed value, and ends the call at the first NaN.

    Parameters
    ----------
    allow_inf : bool
        Without it also at the first infinity computed from finite numbers.

    Raises
    ------
    NotFiniteError
        In the call, before anything is stored.
    """

    sees_stages = True

    def __init__(self, allow_inf: bool = False) -> None:
        self.allow_inf = allow_inf

    def begin(self, run: LiveRun) -> None:
        """Check inputs and variables. Infinite constants are considered intentional."""
        for node in run.graph.lowered.nodes:
            value = run.leaf(node)
            if value is None or value.dtype.kind != "f":
                continue
            fault = _fault(value, self.allow_inf or isinstance(node.op, Constant))
            if fault is not None:
                where = "" if isinstance(node.op, Placeholder) else f" ({_lines(node.origins)})"
                raise NotFiniteError(
                    f"{run.graph.name}: {_leaf_name(run, node)} has {_counted(value, fault)}{where}",
                    run.graph.ids.of(node),
                    str(node.op),
                    node.origins,
                )

    def done(self, run: LiveRun, work: Work) -> None:
        """Check the results of a node."""
        if work.kind in ("copy", "block"):
            return
        for number, value in enumerate(run.outputs(work)):
            if value.dtype.kind != "f" or math.isfinite(_sum(value)):
                continue
            inputs = run.inputs(work)
            fault = _fault(value, self.allow_inf or any(map(_holds_infinity, inputs)))
            if fault is not None:
                find = _Find(work.node, number, value, fault, inputs, run.turns(work))
                raise _error(run, work, _inside(run, find, self.allow_inf))

    def end(self, run: LiveRun) -> None:
        """Nothing is left to be done."""


@contextmanager
def nan_guard(allow_inf: bool = False) -> Iterator[NanGuard]:
    """All Functions that this thread calls inside ``with symgraph.nan_guard():`` are guarded: `NanGuard`."""
    guard = NanGuard(allow_inf)
    token = OBSERVERS.set((*OBSERVERS.get(), guard))
    try:
        yield guard
    finally:
        OBSERVERS.reset(token)


def as_guard(wanted: bool | str) -> NanGuard | None:
    """What the argument `nan_guard` of Functions asks for: True, False, or "nan", which allows infinities."""
    if wanted not in (True, False, "nan"):
        raise ValueError(f"nan_guard: expected True, False or 'nan', got {wanted!r}")
    return NanGuard(allow_inf=wanted == "nan") if wanted else None


def _sum(value: np.ndarray) -> float:
    """The sum: finite only if all numbers are, as neither a NaN nor an infinity gets lost in it."""
    with np.errstate(all="ignore"):
        return float(value.sum())


def _fault(value: np.ndarray, allow_inf: bool) -> str | None:
    if value.dtype.kind != "f" or math.isfinite(_sum(value)):
        return None
    if np.isnan(value).any():
        return "NaN"
    return "infinity" if not allow_inf and np.isinf(value).any() else None


def _holds_infinity(value: np.ndarray) -> bool:
    return value.dtype.kind == "f" and bool(np.isinf(value).any())


def _counted(value: np.ndarray, fault: str) -> str:
    wrong = np.isnan(value) if fault == "NaN" else np.isinf(value)
    count = int(wrong.sum())
    word = fault if fault == "NaN" else "infinite"
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f", the first at {list(first)}" if first else ""
    return f"{count} {word} of {value.size} numbers{place}"


@dataclass(frozen=True)
class _Find:
    """A value that is not finite, and the node and inputs it comes from."""

    node: Tensor
    number: int
    value: np.ndarray
    fault: str
    inputs: Sequence[np.ndarray]
    turns: tuple[Turn, ...]


def _inside(run: LiveRun, find: _Find, allow_inf: bool) -> _Find:
    """The first fault inside of a loop that is one kernel call: by the references, on the loop's inputs."""
    op = concrete_op(find.node.op, run.sizes)
    if not isinstance(op, Scan) or len(find.inputs) != len(op.body.inputs):
        return find
    found: list[_Find] = []
    values: dict[int, Any] = {}

    def watch(number: int, node: Tensor, value: Any) -> None:
        values[id(node)] = value
        if found or node.op.leaf or isinstance(node.op, Part):
            return
        for index, result in enumerate(value if isinstance(value, tuple) else (value,)):
            array = np.asarray(result)
            inputs = [np.asarray(values[id(source)]) for source in node.inputs]
            fault = _fault(array, allow_inf or any(map(_holds_infinity, inputs)))
            if fault is not None and not found:
                turn = Turn(number, int(op.length), run.graph.ids.of(find.node))
                found.append(_Find(node, index, array, fault, inputs, (*find.turns, turn)))

    with np.errstate(all="ignore"):
        for _ in op.turns(find.inputs, watch):
            if found:
                return found[0]
    return find


def _error(run: LiveRun, work: Work, find: _Find) -> NotFiniteError:
    """The error, with everything that is known."""
    node, value = find.node, find.value
    op, origins = _culprit(run, find)
    name = run.graph.ids.of(node)
    what = f"result {find.number} of {name}" if isinstance(node.type, TupleType) else name
    fused = f" (a step of {node.op})" if op != str(node.op) else ""
    lines = [
        f"{run.graph.name}: the first {find.fault} is made by {op}{fused}, {_lines(origins)}",
        f"  {what} = {node.op}: {value.dtype}{value.shape} has {_counted(value, find.fault)}",
        *(
            f"  input {i}, {_input_name(run, source)}: {described(array)}"
            for i, (source, array) in enumerate(zip(node.inputs, find.inputs, strict=False))
        ),
    ]
    if find.turns:
        lines.append(f"  in {', '.join(map(str, find.turns))}")
    if any(other.slice for other in run.program.rows if other.node is work.node):
        lines.append(f"  in slice {work.slice + 1} of the samples")
    text = "\n".join([*lines, "  no variable was changed by this call"])
    return NotFiniteError(text, name, op, origins, [turn.number for turn in find.turns], work.slice)


def _culprit(run: LiveRun, find: _Find) -> tuple[str, tuple[Origin, ...]]:
    """The op that made the fault, and where it was written: of a fused node its first step that did."""
    node, op = find.node, concrete_op(find.node.op, run.sizes)
    if not isinstance(op, (Fused, FusedReduction, SiblingReductions)) or not op.origins:
        return str(node.op), node.origins
    with np.errstate(all="ignore"):
        places = step_values(op.steps, list(find.inputs))[len(find.inputs) :]
    for (step, _), value, origins in zip(op.steps, places, op.origins, strict=False):
        array = np.asarray(value)
        wrong = np.isnan(array) if find.fault == "NaN" else np.isinf(array)
        if array.dtype.kind == "f" and wrong.any():
            return str(step), origins
    # Where the steps are fine it is a reduction that overflows.
    return str(node.op), node.origins if isinstance(op, Fused) else op.origins[len(op.steps) + find.number]


def described(array: np.ndarray) -> str:
    """Type, range, and what is not finite."""
    text = f"{array.dtype}{array.shape}"
    if not array.size:
        return f"{text}, empty"
    if array.dtype.kind != "f":
        return f"{text}, {array.min()} to {array.max()}"
    finite = array[np.isfinite(array)]
    ranges = f"{finite.min():.6g} to {finite.max():.6g}" if finite.size else "no finite numbers"
    counts = [(int(np.isnan(array).sum()), "NaN"), (int(np.isinf(array).sum()), "infinite")]
    return ", ".join([text, ranges, *(f"{n} {word}" for n, word in counts if n)])


def _leaf_name(run: LiveRun, node: Tensor) -> str:
    kinds = ((Placeholder, "input"), (VariableRead, "variable"), (Constant, "constant"))
    kind = next((word for op, word in kinds if isinstance(node.op, op)), "value")
    return f"{kind} {node.name or run.graph.ids.of(node)}"


def _input_name(run: LiveRun, node: Tensor) -> str:
    name = run.graph.ids.of(node)
    return f"{name} {node.name}" if node.name else f"{name} {node.op}"


def _lines(origins: Sequence[Origin]) -> str:
    return "; ".join(map(str, origins))
