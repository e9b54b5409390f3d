"""Where slices start that are cut by numbers of a call: found at every call, with one Program for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from symgraph.graph.dims import Expression, Unknown, compiled


@dataclass(frozen=True)
class Start:
    """The start of a slice of `count` elements, `step` apart, on an axis of `limit` elements.

    Elements lie `stride` bytes apart; `node` is the slice.
    """

    start: Expression
    stride: int
    axis: int
    count: int
    step: int
    limit: int
    node: Any

    @cached_property
    def _value(self) -> Callable[[Mapping[Unknown, int]], int]:
        return compiled(self.start)

    def offset(self, sizes: Mapping[Unknown, int]) -> int:
        """Bytes to the first element. ValueError where elements lie outside of the axis."""
        start = self._value(sizes)
        last = start + (self.count - 1) * self.step
        if min(start, last) < 0 or max(start, last) >= self.limit:
            raise ValueError(
                f"{self.node.origins[0]}: {self.node.op}: places {start} to {last} on axis {self.axis} lie "
                f"outside of its {self.limit} elements"
            )
        return start * self.stride
