"""A call that fails leaves layers as they were before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from symgraph.graph.origin import here


@contextmanager
def unchanged_on_error(layers: Iterable[object], parts: bool = True) -> Iterator[None]:
    """Give `layers` (and, with `parts`, the layers inside them) their old attributes back on an error.

    An optimizer may be among them. Lists and tables among the attributes are put back too, one level deep:
    weights, losses, nodes.
    """
    before = [(layer, _copied(vars(layer))) for layer in (with_parts(layers) if parts else layers)]
    try:
        yield
    except BaseException:
        for layer, attributes in before:
            vars(layer).clear()
            vars(layer).update(attributes)
        raise


def with_parts(layers: Iterable[object]) -> list[object]:
    """`layers` and all layers inside them, each once."""
    found: dict[int, object] = {}
    waiting = list(layers)
    while waiting:
        layer = waiting.pop()
        if id(layer) not in found:
            found[id(layer)] = layer
            waiting.extend(getattr(layer, "_layers", ()))
    return list(found.values())


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    copies = dict(attributes)
    for name, value in attributes.items():
        if type(value) is list:
            copies[name] = list(value)
        elif type(value) is dict:
            copies[name] = {key: list(item) if type(item) is list else item for key, item in value.items()}
    return copies


class NamedErrors:
    """A block that adds the layer's name and the user's line to its ValueErrors and TypeErrors."""

    # No generator: the frames of contextlib would pass for the user's.
    def __init__(self, layer_name: str) -> None:
        self._layer_name = layer_name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        # Subclasses may have another constructor, and an inner layer has said where the error comes from.
        if kind not in (ValueError, TypeError) or error is None or hasattr(error, "layer"):
            return
        text = " ".join(str(part) for part in error.args)
        told = re.search(rf'\blayer "?{re.escape(self._layer_name)}\b', text, re.IGNORECASE)
        named = text if told else f"in layer {self._layer_name}: {text}"
        where = here()
        error.args = (f"{named} ({where.file}:{where.line})",)
        error.layer = self._layer_name  # type: ignore[attr-defined]
