"""Lists, tuples and dictionaries of things, nested in any way: taken apart and put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from symgraph.graph.symbolic import brief


def leaves(structure: Any) -> list[Any]:
    """What `structure` holds, from left to right; dictionaries by their own order. None is a leaf."""
    if isinstance(structure, Mapping):
        return [leaf for value in structure.values() for leaf in leaves(value)]
    if isinstance(structure, (list, tuple)):
        return [leaf for value in structure for leaf in leaves(value)]
    return [structure]


def matched(structure: Any, values: Any) -> list[Any]:
    """What `values` holds in the places of the leaves of `structure`; lists and tuples count as the same.

    ValueError where containers, keys or lengths differ.
    """
    if isinstance(structure, Mapping):
        if not isinstance(values, Mapping) or set(values) != set(structure):
            raise ValueError(f"expected a dict with the keys {list(structure)}, got {brief(values)}")
        return [leaf for key, part in structure.items() for leaf in matched(part, values[key])]
    if isinstance(structure, (list, tuple)):
        if not isinstance(values, (list, tuple)) or len(values) != len(structure):
            raise ValueError(f"expected a list of {len(structure)}, got {brief(values)}")
        return [leaf for part, value in zip(structure, values, strict=True) for leaf in matched(part, value)]
    return [values]


def filled(structure: Any, values: Iterable[Any]) -> Any:
    """`structure` with other leaves, as many as `leaves` gives."""
    return _filled(structure, iter(values))


def _filled(structure: Any, values: Iterator[Any]) -> Any:
    if isinstance(structure, Mapping):
        # A dictionary of a kind of its own may have other arguments.
        return {key: _filled(value, values) for key, value in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(_filled(value, values) for value in structure))
    if isinstance(structure, (list, tuple)):
        return type(structure)([_filled(value, values) for value in structure])
    return next(values)


def kind_of(structure: Any) -> Any:
    """Something hashable that only structures of one kind share: the same containers and keys."""
    if isinstance(structure, Mapping):
        return (dict, tuple((key, kind_of(value)) for key, value in structure.items()))
    if isinstance(structure, (list, tuple)):
        return (type(structure), tuple(map(kind_of, structure)))
    return None
