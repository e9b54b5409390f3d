"""What one node does in a step, and when its gradients are there: given, or taken from a profile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

TRAIN = "train_function"
"""The name of a model's train function in profiles."""


@dataclass(frozen=True)
class Gradient:
    """Gradients that are complete at the same time: when `ready` of the backward pass, 0 to 1, is done."""

    nbytes: float
    ready: float


@dataclass(frozen=True)
class Workload:
    """A training step on one node.

    Attributes
    ----------
    name : str
    batch : int
        Samples of the step.
    step : float
        Seconds that it takes.
    fixed : float
        Seconds of these that do not depend on the number of samples.
    update : float
        Seconds of the fixed ones after the gradients: the optimizer.
    backward : float
        The share of the backward pass in the rest, `step` - `update`.
    gradients : tuple of Gradient
        In the order in which they are ready.
    """

    name: str
    batch: int
    step: float
    gradients: tuple[Gradient, ...]
    fixed: float = 0.0
    update: float = 0.0
    backward: float = 2 / 3

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch size: expected at least 1, got {self.batch}")
        if not self.step > 0:
            raise ValueError(f"step time: expected more than 0, got {self.step} s")
        if not 0 <= self.update <= self.fixed <= self.step:
            raise ValueError(
                f"fixed time: expected at most the step's {self.step:.4g} s and at least the optimizer's "
                f"{self.update:.4g} s, got {self.fixed:.4g} s"
            )
        if not 0 <= self.backward <= 1:
            raise ValueError(f"backward share: expected 0 to 1, got {self.backward}")

    @property
    def nbytes(self) -> float:
        """Bytes of all gradients."""
        return math.fsum(gradient.nbytes for gradient in self.gradients)

    def compute(self, rows: float) -> float:
        """Seconds of a step on one node for so many samples, communication apart."""
        return self.fixed + (self.step - self.fixed) * rows / self.batch

    def ready_at(self, rows: float, ready: float) -> float:
        """Seconds from the start of such a step until so much of the backward pass is done."""
        before = self.compute(rows) - self.update
        return before * (1 - self.backward * (1 - ready))

    def buckets(self, count: int) -> list[Gradient]:
        """The gradients in at most `count` messages of about the same size, each ready with its last one."""
        found: list[Gradient] = []
        limit, collected, last = self.nbytes / count, 0.0, 0.0
        for gradient in self.gradients:
            collected, last = collected + gradient.nbytes, gradient.ready
            if collected >= limit and len(found) < count - 1:
                found.append(Gradient(collected, last))
                collected = 0.0
        return [*found, Gradient(collected, last)] if collected else found


def even_gradients(nbytes: float, pieces: int = 64) -> tuple[Gradient, ...]:
    """Gradients of which nothing but their bytes is known: they come evenly over the backward pass."""
    return tuple(Gradient(nbytes / pieces, (number + 1) / pieces) for number in range(pieces))


def workload_of(name: str, function: Mapping[str, Any]) -> Workload:
    """The workload of a train function in a profile, as `FunctionTimes.to_json` has it.

    Rows of the update, and what is between rows, do not depend on the number of samples; gradients are ready
    with the last row that makes them.

    Raises
    ------
    ValueError
        The function does not update weights, or its number of samples is not known.
    """
    facts = function["facts"]
    shapes = facts["shapes"] or [[]]
    if not shapes[0] or not function["calls"]:
        raise ValueError(f"{name}: the train function has no inputs that tell how many samples a step has")
    nodes = {node["id"]: node for node in facts["nodes"]}
    timed = list(zip(facts["rows"], function["row_seconds"], strict=True))
    phases = [nodes[row["node"]]["phase"] for row, _ in timed]
    of = {
        phase: math.fsum(seconds for (_, seconds), p in zip(timed, phases, strict=True) if p == phase)
        for phase in ("forward", "backward", "update")
    }
    calls, inside = function["calls"], of["forward"] + of["backward"]
    step = function["seconds"] / calls
    between = max(0.0, step - (inside + of["update"]) / calls)
    done, ends = 0.0, {}
    for (row, seconds), phase in zip(timed, phases, strict=True):
        done += seconds if phase == "backward" else 0.0
        ends[row["node"]] = done
    gradients = [
        Gradient(size, max((ends.get(node, done) for node in made), default=done) / (done or 1.0))
        for size, made in _trained(facts, nodes)
    ]
    if not gradients:
        raise ValueError(f"{name}: the train function updates no weights")
    return Workload(
        name,
        int(shapes[0][0]),
        step,
        tuple(sorted(gradients, key=lambda gradient: gradient.ready)),
        fixed=between + of["update"] / calls,
        update=of["update"] / calls,
        backward=of["backward"] / inside if inside else 0.0,
    )


def _trained(facts: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[tuple[int, list[str]]]:
    """Bytes of each trained weight, and the nodes of the backward pass that its update needs.

    A weight is a variable of floats that the forward pass reads and that an update changes which needs the
    backward pass: moving averages and states need the forward pass only, moments are not read by it.
    """
    updates = [row for row in facts["rows"] if nodes[row["node"]]["phase"] == "update"]
    for variable in nodes.values():
        if variable["role"] != "variable" or variable["phase"] != "forward":
            continue
        if not variable["dtypes"][0].startswith("float"):
            continue
        for row in updates:
            if variable["id"] in nodes[row["node"]]["inputs"] and variable["name"] in row["results"]:
                made = _made_before(nodes, row["node"])
                if made:
                    yield math.prod(variable["shapes"][0]) * _itemsize(variable["dtypes"][0]), made
                break


def _made_before(nodes: Mapping[str, Any], update: str) -> list[str]:
    """What nodes of the backward pass an update takes, by way of others that only updates need."""
    found, seen, waiting = [], {update}, [update]
    while waiting:
        for name in nodes[waiting.pop()]["inputs"]:
            node = nodes[name]
            if node["role"] not in ("op", "part") or name in seen:
                continue
            seen.add(name)
            if node["role"] == "part" or node["phase"] == "update":
                waiting.append(name)
            elif node["phase"] == "backward":
                found.append(name)
    return found


def _itemsize(dtype: str) -> int:
    return int(dtype.removeprefix("float")) // 8


def train_functions(name: str, profile: Mapping[str, Any]) -> Workload:
    """The workload of the train function in a profile that took most of its time. ValueError without any."""
    found = [part for part in profile["functions"] if part["facts"]["name"] == TRAIN]
    if not found:
        names = ", ".join(dict.fromkeys(part["facts"]["name"] for part in profile["functions"])) or "nothing"
        raise ValueError(f"{name}: expected a model that trains, got {names}")
    return workload_of(name, max(found, key=lambda part: part["seconds"]))
