"""Which stored array belongs to which weight of a layer.

Keras lists the frozen weights of a model behind the others, so the order in a file depends on what was
frozen when it was written, and Keras' files do not tell. Names decide, as far as they can; else the order
does, where only one suits.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from symgraph.engine.base_layer import Layer
from symgraph.engine.weights.order import always, as_now, is_network, ordered, single_layers

Places: TypeAlias = list[int]
"""The number of a stored array for each weight."""

_NUMBERED = re.compile(r"(.*?)(?:_(\d+))?", re.DOTALL)


def find_places(
    layer: Layer,
    slots: Callable[[Any], list[Any]],
    names: Sequence[str],
    unfrozen: Sequence[str],
    fits: Callable[[Places], bool],
) -> Places:
    """For each weight of a layer the number of the array that is stored for it.

    Parameters
    ----------
    layer : Layer
    slots : callable
        What the arrays are stored for, when some layers count as trained; as many as there are `names`.
    names : sequence of str
        Those of the stored arrays.
    unfrozen : sequence of str
        The same in the order of `layer.weights`, where the file tells.
    fits : callable
        Whether the shapes allow some places.

    Raises
    ------
    ValueError
        If neither names nor shapes tell which of several orders is that of the file.
    """
    wanted = slots(always)
    own = [str(slot.name or "") for slot in wanted]
    same = _by_equal_names(wanted, own, names)
    if same is not None and fits(same):
        return same
    if len(unfrozen) == len(names) and set(unfrozen) == set(names):
        number = {name: place for place, name in enumerate(names)}
        return [number[name] for name in unfrozen]
    in_order = list(range(len(names)))
    orders = [_in_order(wanted, slots(as_now)), in_order]
    if len(list(single_layers(layer))) == 1 and orders[0] == in_order:
        return in_order
    return _by_other_names(
        layer, own, names, orders, lambda found: fits(found) and _kinds_fit(found, own, names)
    )


def _by_other_names(
    layer: Layer,
    own: Sequence[str],
    names: Sequence[str],
    orders: Sequence[Places],
    fits: Callable[[Places], bool],
) -> Places:
    """Places where names are not the same: by their numbers, their likeness, or one of two orders."""
    numbered = _by_numbers(_told_apart(layer, own), names)
    if numbered is None:
        alike = _by_likeness(own, names)
        if alike is not None and fits(alike):
            return alike
    fitting = [order for order in orders if fits(order)]
    if numbered is not None and fits(numbered):
        explained = numbered in fitting or _could_be_frozen(layer, numbered)
        fitting = [numbered] if explained or not fitting else fitting
    if any(order != fitting[0] for order in fitting):
        raise ValueError(
            f"the arrays {_shown(names)} suit its weights {_shown(own)} in several orders: Keras stores "
            "frozen weights behind the others, and the names are not the same. Give the layers inside the "
            "names that they have in the file, or unfreeze them all while loading if nothing was frozen when "
            "it was written"
        )
    return fitting[0] if fitting else orders[0]


def _shown(names: Sequence[str]) -> str:
    return f"[{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}]"


def _in_order(wanted: Sequence[Any], stored: Sequence[Any]) -> Places:
    """Places of what is wanted in another order of the same."""
    places: dict[int, int] = {id(slot): place for place, slot in enumerate(stored)}
    return [places[id(slot)] for slot in wanted]


# -- names ---------------------------------------------------------------------------------------------------


def _by_equal_names(wanted: Sequence[Any], own: Sequence[str], names: Sequence[str]) -> Places | None:
    """Places by names that are the same, where none is that of two weights."""
    number = {name: place for place, name in enumerate(names)}
    holders = {name: slot for name, slot in zip(own, wanted, strict=True)}
    if any(holders[name] is not slot for name, slot in zip(own, wanted, strict=True)):
        return None
    if len(number) != len(names) or not holders.keys() <= number.keys():
        return None
    # A weight that is listed twice is stored twice, the second time under a longer name.
    return [number[name] for name in own] if len(holders) == len(names) or len(own) > len(holders) else None


def _parts(name: str) -> list[tuple[str, int]]:
    """The parts of a name, and their last numbers: `a_2/kernel:0` -> (a, 2), (kernel, 0)."""
    found = []
    for part in name.replace(":0", "").split("/"):
        text, number = _NUMBERED.fullmatch(part).groups()  # type: ignore[union-attr]
        found.append((text, int(number or 0)))
    return found


def _kind(name: str) -> str:
    return _parts(name)[-1][0]


def _kinds_fit(places: Places, own: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a kernel gets a kernel, and a bias a bias; where the file calls them so at all."""
    wanted, stored = [_kind(name) for name in own], [_kind(name) for name in names]
    return Counter(wanted) != Counter(stored) or wanted == [stored[place] for place in places]


def _told_apart(layer: Layer, own: Sequence[str]) -> list[str]:
    """Names in which a number tells the second layer of a name from the first, as in TensorFlow's graphs."""
    weights = ordered(layer, always)
    names = {id(w): name for w, name in zip(weights, own, strict=False)}
    taken: set[str] = set()
    for _, inner in single_layers(layer):
        new = [w for w in dict.fromkeys(inner) if id(w) in names]
        for scope in dict.fromkeys(names[id(w)].rpartition("/")[0] for w in new):
            number = next(n for n in itertools.count() if _numbered(scope, n) not in taken)
            taken.add(_numbered(scope, number))
            for w in new:
                before, _, last = names[id(w)].rpartition("/")
                if number and before == scope:
                    names[id(w)] = f"{_numbered(scope, number)}/{last}"
    return [names[id(w)] for w in weights] if len(weights) == len(own) else list(own)


def _numbered(scope: str, number: int) -> str:
    return f"{scope}_{number}" if number else scope


def _by_numbers(own: Sequence[str], names: Sequence[str]) -> Places | None:
    """Places by names that differ in their numbers only: the lowest number to the lowest."""
    stored, wanted = _ranked(names), _ranked(own)
    if {text: len(found) for text, found in stored.items()} != {
        text: len(found) for text, found in wanted.items()
    }:
        return None
    place = {a: b for text, found in wanted.items() for a, b in zip(found, stored[text], strict=True)}
    scopes = {(own[a].rpartition("/")[0], names[b].rpartition("/")[0]) for a, b in place.items()}
    one_to_one = len({a for a, _ in scopes}) == len(scopes) == len({b for _, b in scopes})
    return [place[number] for number in range(len(own))] if one_to_one else None


def _ranked(names: Sequence[str]) -> dict[tuple[str, ...], Places]:
    """Names that differ in numbers only, in the order of these."""
    found: dict[tuple[str, ...], Places] = defaultdict(list)
    parts = [_parts(name) for name in names]
    for place in sorted(range(len(names)), key=lambda place: [number for _, number in parts[place]]):
        found[tuple(text for text, _ in parts[place])].append(place)
    return dict(found)


def _by_likeness(own: Sequence[str], names: Sequence[str]) -> Places | None:
    """Places by names to which TensorFlow has added numbers, and tf.keras the cells of recurrent layers."""
    choices = {a: {b for b, name in enumerate(names) if _like(name, own[a])} for a in range(len(own))}
    found: dict[int, int] = {}
    while choices:
        # A pairing is the only one if there is always a weight, or an array, that has no choice.
        rivals = Counter(b for options in choices.values() for b in options)
        forced = [
            (a, b) for a, options in choices.items() for b in options if len(options) == 1 or rivals[b] == 1
        ]
        if not forced:
            return None
        a, b = forced[0]
        found[a] = b
        del choices[a]
        for options in choices.values():
            options.discard(b)
    return [found[number] for number in range(len(own))]


def _like(stored: str, own: str) -> bool:
    """Whether the parts of a name are among those of a stored one, the last one last."""
    have, want = stored.replace(":0", "").split("/"), own.replace(":0", "").split("/")
    if not _numbered_like(have[-1], want[-1]):
        return False
    rest = iter(have[:-1])
    return all(any(_numbered_like(part, name) for part in rest) for name in want[:-1])


def _numbered_like(stored: str, own: str) -> bool:
    return stored == own or re.fullmatch(re.escape(own) + r"_\d+", stored) is not None


# -- what was frozen -----------------------------------------------------------------------------------------


def _could_be_frozen(layer: Layer, places: Places) -> bool:
    """Whether Keras lists the weights in this order while some layers are frozen.

    First those that are trained, then the others, both layer by layer; those of a frozen model in two turns.
    """
    by_layer = [w for _, weights in single_layers(layer) for w in weights]
    rank = {id(w): number for number, w in enumerate(by_layer)}
    stored = sorted(zip(places, ordered(layer, always), strict=True), key=lambda pair: pair[0])
    ranks = [rank[id(w)] for _, w in stored]
    turns = sum(a > b for a, b in itertools.pairwise(ranks))
    return turns <= 1 + len(_models(layer))


def _models(layer: Any) -> list[Any]:
    inner = [part for held in layer._weight_parts().inner for part in _models(held)]
    return [*inner, *(part for part in layer._weight_parts().inner if is_network(part))]
