"""Losses and updates that layers collect, each for the inputs that it depends on."""

from __future__ import annotations

from typing import Any

from symgraph.utils.generic_utils import to_list

InputsKey = tuple[int, ...] | None


class LossesAndUpdates:
    """Gives a layer `add_loss`, `add_update` and what lists them again."""

    trainable: bool
    stateful: Any
    _losses: list[Any]
    _updates: list[Any]
    _per_input_losses: dict[InputsKey, list[Any]]
    _per_input_updates: dict[InputsKey, list[Any]]

    @property
    def losses(self) -> list[Any]:
        """Scalar tensors that are added to what training minimises."""
        return self._losses

    @property
    def updates(self) -> list[Any]:
        """(variable, new value) pairs that each training step stores; none while the layer is frozen."""
        return self._updates if self.trainable or self.stateful else []

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to what training minimises.

        Parameters
        ----------
        losses : Tensor, float or list
        inputs : Tensor or list, optional
            Inputs that the losses depend on. None: they depend on weights only.
        """
        added = [] if losses is None else to_list(losses)
        self._losses += added
        _collect(self._per_input_losses, added, inputs)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Add (variable, new value) pairs that each training step stores.

        Parameters
        ----------
        updates : pair or list of pairs
        inputs : Tensor or list, optional
            Inputs that the new values depend on.
        """
        added = [] if updates is None else to_list(updates)
        self._updates += added
        _collect(self._per_input_updates, added, inputs)

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """Losses that were added for exactly these inputs (None: those that depend on no input)."""
        return self._per_input_losses.get(inputs_key(inputs), [])

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """Updates that were added for exactly these inputs (None: those that depend on no input)."""
        if not self.trainable and not self.stateful:
            return []
        return self._per_input_updates.get(inputs_key(inputs), [])


def inputs_key(inputs: Any) -> InputsKey:
    """A key that tells these very tensors from all others; None for no inputs."""
    tensors = [] if inputs is None else to_list(inputs)
    return tuple(x.serial for x in tensors) or None


def _collect(table: dict[InputsKey, list[Any]], items: list[Any], inputs: Any) -> None:
    if items:
        table.setdefault(inputs_key(inputs), []).extend(items)
