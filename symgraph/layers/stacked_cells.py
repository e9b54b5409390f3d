"""Several recurrent cells as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from symgraph.engine.base_layer import Layer
from symgraph.engine.files.layer_config import deserialize, serialize
from symgraph.graph.tensor import Tensor
from symgraph.layers.cells import Step
from symgraph.layers.nested import Nested
from symgraph.utils.config_errors import taken
from symgraph.utils.generic_utils import has_arg
from symgraph.utils.warn_user import warn_user


def state_sizes(cell: Any) -> list[int]:
    """The sizes of a cell's states."""
    size = cell.state_size
    return list(size) if hasattr(size, "__len__") else [size]


def output_size(cell: Any) -> int:
    """The size of a cell's output: that of the first state where the cell does not say."""
    size: int | None = getattr(cell, "output_size", None)
    return state_sizes(cell)[0] if size is None else size


def checked_step(result: Any, cell: Any, name: str) -> Step:
    """What `cell.call` returned, inside of the layer `name`. TypeError if that is no pair."""
    pair = isinstance(result, (list, tuple)) and len(result) == 2
    if not pair or not isinstance(result[1], (list, tuple)):
        raise TypeError(
            f"layer {name}: `call` of the cell {type(cell).__name__} should return a pair (output, list of "
            f"{len(state_sizes(cell))} states), got {result!r}"
        )
    return result[0], list(result[1])


class StackedRNNCells(Nested):
    """Cells, each fed by the one before it, as one cell.

    Parameters
    ----------
    cells : list of cells
    reverse_state_order : bool
        Whether the states of the last cell come first, as in older versions. Not in the configuration.

    Raises
    ------
    ValueError
        For a cell without `call` or `state_size`.
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        for cell in cells:
            if not hasattr(cell, "call"):
                raise ValueError(f"All cells must have a `call` method. received cells: {cells}")
            if not hasattr(cell, "state_size"):
                raise ValueError(f"All cells must have a `state_size` attribute. received cells: {cells}")
        self.cells = list(cells)
        self.reverse_state_order = kwargs.pop("reverse_state_order", False)
        if self.reverse_state_order:
            warn_user(
                "`reverse_state_order=True` in `StackedRNNCells` will soon be deprecated. Please update the "
                "code to work with the natural order of states if you reply on the RNN states, eg "
                "`RNN(return_state=True)`.",
            )
        super().__init__(**kwargs)

    @property
    def _layers(self) -> list[Layer]:
        return [cell for cell in self.cells if isinstance(cell, Layer)]

    @property
    def state_size(self) -> tuple[int, ...]:
        """Sizes of the states of all cells, one after another."""
        return tuple(size for cell in self._in_state_order() for size in state_sizes(cell))

    @property
    def output_size(self) -> int:
        """The size of the last cell's output."""
        return output_size(self.cells[-1])

    def _in_state_order(self) -> list[Any]:
        return self.cells[::-1] if self.reverse_state_order else self.cells

    def reset_masks(self) -> None:
        """Let the next step choose anew what is dropped."""
        for cell in self.cells:
            if hasattr(cell, "reset_masks"):
                cell.reset_masks()

    def build(self, input_shape: Any) -> None:
        """Build each cell for what the one before it gives; shapes of constants may follow that of x."""
        x, *constants = input_shape if isinstance(input_shape, list) else [input_shape]
        for cell in self.cells:
            self._build_inner(cell, [x, *constants] if constants and has_arg(cell.call, "constants") else x)
            x = (x[0], output_size(cell))
        self.built = True

    def call(
        self,
        inputs: Tensor,
        states: Sequence[Tensor],
        constants: Any = None,
        training: Any = None,
        **kwargs: Any,
    ) -> Step:
        """One step of every cell; keywords go to the cells that know them, others to all."""
        rest = list(states)
        own: dict[int, list[Tensor]] = {}
        for place, cell in enumerate(self._in_state_order()):
            count = len(state_sizes(cell))
            own[place], rest = rest[:count], rest[count:]
        last = len(self.cells) - 1
        after: dict[int, Sequence[Tensor]] = {}
        for index, cell in enumerate(self.cells):
            place = last - index if self.reverse_state_order else index
            given = {"constants": constants, "training": training}
            arguments = {name: value for name, value in given.items() if has_arg(cell.call, name)}
            result = cell.call(inputs, own[place], **arguments, **kwargs)
            inputs, after[place] = checked_step(result, cell, self.name)
        return inputs, [state for place in sorted(after) for state in after[place]]

    def get_config(self) -> dict[str, Any]:
        """Name, and the cells' configurations."""
        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
    ) -> Self:
        """Make the stack and its cells from a configuration; parameters as of `deserialize`."""
        described, given = taken(config, "cells", cls.__name__)
        if not isinstance(described, list | tuple):
            raise ValueError(f"{cls.__name__}: expected a list of cells, got {described!r:.80}")
        cells = [
            deserialize(cell, custom_objects, safe_mode=safe_mode) if isinstance(cell, dict) else cell
            for cell in described
        ]
        return cls(cells, **given)

    def _copy(self) -> Self:
        return type(self).from_config(
            {**super().get_config(), "cells": [copied(cell) for cell in self.cells]}
        )


def copied(inner: Any) -> Any:
    """A new layer, or cell, of the same configuration."""
    return inner._copy() if isinstance(inner, Layer) else type(inner).from_config(inner.get_config())
