"""The order of weights: one that `trainable` does not change, and those in which Keras lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from symgraph.graph.leaves import Variable

if TYPE_CHECKING:
    from symgraph.engine.base_layer import Layer

Trains: TypeAlias = Callable[["Layer", "Layer | None"], bool]
"""Whether a layer, given the one that holds it, counts as trained."""


class WeightParts(NamedTuple):
    """The weights of a layer, in parts."""

    trained: Sequence[Variable]
    """Its own that are made to be trained."""
    fixed: Sequence[Variable]
    """Its own others."""
    inner: Sequence[Layer]
    """Layers inside, whose weights are its weights too."""


def always(layer: Layer, holder: Layer | None) -> bool:
    """As if nothing was frozen."""
    return True


def as_now(layer: Layer, holder: Layer | None) -> bool:
    """As the flags say."""
    return layer.trainable


def as_reloaded(layer: Layer, holder: Layer | None) -> bool:
    """As when Keras 2.2.4 has read the configuration, in which it tells nothing of models but in wrappers."""
    forgotten = is_network(layer) and (holder is None or is_network(holder))
    return layer.trainable or forgotten


def is_network(layer: Any) -> bool:
    """Whether a layer is a model."""
    return hasattr(layer, "_is_graph_network")


def ordered(
    layer: Layer, trains: Trains, instead: Callable[[Layer], list[Any] | None] | None = None
) -> list[Any]:
    """The weights of a layer in the order that Keras lists them in.

    Those that are trained come first, then the others, each layer by layer; in a frozen layer those that it
    would train come before the others.

    Parameters
    ----------
    layer : Layer
    trains : callable
        Which layers count as trained.
    instead : callable, optional
        What stands for the weights of a layer, all of them trained; None where it is the weights themselves.
    """
    trained, fixed = _split(layer, trains, instead, None)
    return [*trained, *fixed]


def _split(
    layer: Layer, trains: Trains, instead: Callable[[Layer], list[Any] | None] | None, holder: Layer | None
) -> tuple[list[Any], list[Any]]:
    replaced = instead(layer) if instead else None
    trained, fixed, inner = (replaced, (), ()) if replaced is not None else layer._weight_parts()
    halves = [_split(part, trains, instead, layer) for part in inner]
    before = [*trained, *(x for half, _ in halves for x in half)]
    behind = [*fixed, *(x for _, half in halves for x in half)]
    return (before, behind) if trains(layer, holder) else ([], [*before, *behind])


def single_layers(layer: Layer) -> Iterator[tuple[Layer, list[Variable]]]:
    """The layers inside models and wrappers, each with its weights; else the layer itself."""
    trained, fixed, inner = layer._weight_parts()
    if not is_network(layer) and not (inner and hasattr(layer, "layer")):
        yield layer, ordered(layer, always)
        return
    if trained or fixed:
        yield layer, [*trained, *fixed]
    for part in inner:
        yield from single_layers(part)
