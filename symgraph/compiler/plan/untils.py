"""What a loop needs that its body ends: where each turn finds its inputs and puts its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from symgraph.compiler.plan.memory import Memory
from symgraph.graph.ops.until import Until
from symgraph.kernels.run.buffer import Buffer


class UntilBuffers:
    """The buffers of one such loop. `given` are its inputs but the first, `results` those that it fills.

    States lie in their results, which every turn overwrites at its end. `end` is the flag that ends the loop.
    """

    def __init__(self, op: Until, given: Sequence[Buffer], results: Sequence[Buffer], memory: Memory) -> None:
        states = op.sequences + op.states
        self._memory = memory
        self._sequences, self._constants = given[: op.sequences], given[states:]
        self._starts = given[op.sequences : states]
        self._outputs, self._states = results[: op.outputs], results[op.outputs :]
        self._registers: list[Buffer] = []
        self.end = memory.temporary((), "bool")

    def beginnings(self) -> Iterator[tuple[Buffer, Buffer]]:
        """(first value, place) of each state."""
        return zip(self._starts, self._states, strict=True)

    def outputs(self) -> Sequence[Buffer]:
        """What has to be filled with zeros before the loop."""
        return self._outputs

    def inputs(self) -> list[Buffer]:
        """The inputs of the body, in the first turn and moving on. Call it inside the open loop."""
        self._registers = [self._memory.moving(state) for state in self._states]
        constants = [self._memory.moving(value) for value in self._constants]
        return [*map(self._step, self._sequences), *self._registers, *constants]

    def targets(self) -> list[tuple[Buffer, bool]]:
        """Where the results of a turn go, and whether they may be written there at once."""
        outputs = [(self._step(whole), True) for whole in self._outputs]
        states = [(state, False) for state in self._registers]
        return [*outputs, *states, (self._memory.moving(self.end), True)]

    def _step(self, whole: Buffer) -> Buffer:
        first = replace(whole, shape=whole.shape[1:], strides=whole.strides[1:])
        return self._memory.moving(first, whole.strides[0])
