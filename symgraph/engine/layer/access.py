"""The inputs and outputs of a layer, looked up by the number of the call."""

from __future__ import annotations

from typing import Any

from symgraph.engine.layer.node import Node
from symgraph.utils.generic_utils import unpack_singleton


class NodeAccess:
    """Gives a layer `input`, `output_shape`, `get_output_at(1)` and their like, read from its nodes."""

    name: str
    _inbound_nodes: list[Node]

    def _at(self, node_index: int, attribute: str, what: str) -> Any:
        if not self._inbound_nodes:
            raise RuntimeError(f"The layer {self.name} has never been called and thus has no defined {what}.")
        if not -len(self._inbound_nodes) <= node_index < len(self._inbound_nodes):
            raise ValueError(
                f"Asked to get {what} at node {node_index}, but the layer {self.name} has only "
                f"{len(self._inbound_nodes)} inbound nodes."
            )
        return unpack_singleton(getattr(self._inbound_nodes[node_index], attribute))

    def _only(self, attribute: str, what: str, getter: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(f"Layer {self.name} is not connected, no {what} to return.")
        if len(self._inbound_nodes) > 1:
            raise AttributeError(
                f'Layer {self.name} has multiple inbound nodes, hence the notion of "layer {what}" is '
                f"ill-defined. Use `{getter}(node_index)` instead."
            )
        return self._at(0, attribute, what)

    def _common_shape(self, attribute: str, what: str, getter: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"The layer {self.name} has never been called and thus has no defined {what}."
            )
        if len({str(getattr(node, attribute)) for node in self._inbound_nodes}) > 1:
            raise AttributeError(
                f'The layer "{self.name}" has multiple inbound nodes, with different {what}s. Hence the '
                f'notion of "{what}" is ill-defined for the layer. Use `{getter}(node_index)` instead.'
            )
        return self._at(0, attribute, what)

    def get_input_at(self, node_index: int) -> Any:
        """The input (a list for several) of call number `node_index`."""
        return self._at(node_index, "input_tensors", "input")

    def get_output_at(self, node_index: int) -> Any:
        """The output (a list for several) of call number `node_index`."""
        return self._at(node_index, "output_tensors", "output")

    def get_input_mask_at(self, node_index: int) -> Any:
        """The mask of the input, or None, of call number `node_index`."""
        return self._at(node_index, "input_masks", "input mask")

    def get_output_mask_at(self, node_index: int) -> Any:
        """The mask of the output, or None, of call number `node_index`."""
        return self._at(node_index, "output_masks", "output mask")

    def get_input_shape_at(self, node_index: int) -> Any:
        """The shape of the input of call number `node_index`."""
        return self._at(node_index, "input_shapes", "input shape")

    def get_output_shape_at(self, node_index: int) -> Any:
        """The shape of the output of call number `node_index`."""
        return self._at(node_index, "output_shapes", "output shape")

    @property
    def input(self) -> Any:
        """The input of the only call. AttributeError where there are several, or none."""
        return self._only("input_tensors", "input", "get_input_at")

    @property
    def output(self) -> Any:
        """The output of the only call. AttributeError where there are several, or none."""
        return self._only("output_tensors", "output", "get_output_at")

    @property
    def input_mask(self) -> Any:
        """The mask of the input of the only call."""
        return self._only("input_masks", "input mask", "get_input_mask_at")

    @property
    def output_mask(self) -> Any:
        """The mask of the output of the only call."""
        return self._only("output_masks", "output mask", "get_output_mask_at")

    @property
    def input_shape(self) -> Any:
        """The shape of the input, if it is the same in all calls."""
        return self._common_shape("input_shapes", "input shape", "get_input_shape_at")

    @property
    def output_shape(self) -> Any:
        """The shape of the output, if it is the same in all calls."""
        return self._common_shape("output_shapes", "output shape", "get_output_shape_at")
