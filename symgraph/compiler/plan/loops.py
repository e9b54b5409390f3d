"""What a scan's loop needs: where each turn finds its inputs and puts its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from symgraph.compiler.plan.memory import Memory
from symgraph.graph.ops.scan import Scan
from symgraph.kernels.run.buffer import Buffer

HISTORY_BYTES = 4 << 20
"""A state's history of up to this size is written though only its last entry is wanted."""


class LoopBuffers:
    """The buffers of one scan: `given` are its inputs, `results` what it is offered for its results.

    A state with a history is read from one entry of it and written to the next. Another one lies in its
    result, which a turn overwrites at its end; where a history is small, it gets one all the same, as that
    saves the copy.
    """

    def __init__(
        self,
        op: Scan,
        given: Sequence[Buffer],
        results: Sequence[Buffer],
        memory: Memory,
        history_bytes: int = HISTORY_BYTES,
    ) -> None:
        assert isinstance(op.length, int)
        self._op = op
        self._kept = list(op.kept)
        self._turns = op.length
        self._memory = memory
        self._sequences = given[: op.sequences]
        self._starts = given[op.sequences : op.sequences + op.states]
        self._constants = given[op.sequences + op.states :]
        self._outputs = results[: op.outputs]
        self._states = list(results[op.outputs :])
        self.results = list(results)
        for number, state in enumerate(self._states):
            if not op.kept[number] and state.nbytes * (op.length + 1) <= history_bytes:
                self._kept[number] = True
                self._states[number] = memory.temporary((op.length + 1, *state.shape), state.dtype)
                last = _entry(self._states[number], 0 if op.backward else op.length)
                self.results[op.outputs + number] = last
        self._registers: dict[int, Buffer] = {}

    def beginnings(self) -> Iterator[tuple[Buffer, Buffer]]:
        """(first value, place) of each state: what has to be copied before the loop."""
        for start, state, kept in zip(self._starts, self._states, self._kept, strict=True):
            yield start, _entry(state, self._turns if self._op.backward else 0) if kept else state

    def inputs(self) -> list[Buffer]:
        """The inputs of the body, in the first turn and moving on. Call it inside the open loop."""
        first = self._turns - 1 if self._op.backward else 0
        before = self._turns if self._op.backward else 0
        sequences = [self._step(s, first) for s in self._sequences]
        states = [
            self._step(s, before) if kept else self._register(number)
            for number, (s, kept) in enumerate(zip(self._states, self._kept, strict=True))
        ]
        return [*sequences, *states, *(self._memory.moving(c) for c in self._constants)]

    def targets(self) -> list[tuple[Buffer, bool]]:
        """Where the results of a turn go, and whether they may be written there at once."""
        first = self._turns - 1 if self._op.backward else 0
        after = self._turns - 1 if self._op.backward else 1
        outputs = [(self._step(o, first), True) for o in self._outputs]
        states = [
            (self._step(s, after), True) if kept else (self._register(number), False)
            for number, (s, kept) in enumerate(zip(self._states, self._kept, strict=True))
        ]
        return outputs + states

    def _register(self, number: int) -> Buffer:
        """A state without history: one buffer, the same for readers and writers."""
        if number not in self._registers:
            self._registers[number] = self._memory.moving(self._states[number])
        return self._registers[number]

    def _step(self, whole: Buffer, first: int) -> Buffer:
        stride = -whole.strides[0] if self._op.backward else whole.strides[0]
        return self._memory.moving(_entry(whole, first), stride)


def _entry(whole: Buffer, index: int) -> Buffer:
    """Entry `index` along the first axis."""
    offset = whole.offset + index * whole.strides[0]
    return replace(whole, offset=offset, shape=whole.shape[1:], strides=whole.strides[1:])
