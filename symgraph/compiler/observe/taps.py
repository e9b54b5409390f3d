"""Values of single nodes, shown while a Function runs as usual.

A name is the id of a node as in the listing (``%12``, or ``%12.3`` inside a loop); a tensor, or the name of
one; a layer, or ``layer/out``: its output. If the rewritten graph still has the node, its value is the one
that the running kernels computed. One that was fused away (a step of a fused kernel), or that is not needed
(a softmax whose logits the loss takes), is computed by a separate Program just before the call, from the same
inputs, variables and random numbers. Inside a loop that is one kernel call numpy recomputes it after the
loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any

import numpy as np

from symgraph.compiler.lower import Lowered, Wanted, lower
from symgraph.compiler.program.works import Work
from symgraph.compiler.run.live_run import OBSERVERS, LiveRun
from symgraph.compiler.run.named_graph import NamedGraph
from symgraph.compiler.run.variant import Variant
from symgraph.graph.evaluate import concrete_op, evaluate
from symgraph.graph.leaves import Placeholder
from symgraph.graph.op import Part
from symgraph.graph.ops.scan import Scan
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TensorType

_MARK = "tap of this node"


@dataclass(frozen=True)
class TapInfo:
    """Where a value comes from.

    Attributes
    ----------
    function : str
        Name of the Function.
    node : str
        Id of the node; ``-`` for one that the rewritten graph has not.
    layer : str or None
    call : int
        The number of the call, from 0, since the tap was set.
    turns : tuple of int
        The numbers, from 0, of the turns of the loops around.
    live : bool
        Whether the running kernels have made it. Else it was computed apart, from the same numbers: by a
        Program of its own, or, inside of a loop that is one kernel call, by numpy.
    """

    function: str
    node: str
    layer: str | None
    call: int
    turns: tuple[int, ...] = ()
    live: bool = True


Callback = Callable[[str, Any, TapInfo], None]
"""Called with the name that was tapped, the value (an array of its own; a tuple for a node with several
results), and where it comes from."""


@dataclass(frozen=True)
class _Target:
    """What a name is in one lowered graph: a leaf or a live node, or a Variant that computes it apart."""

    node: Tensor
    layer: str | None
    variant: Variant | None = None


@dataclass(frozen=True)
class _Look:
    """What a tap waits for in one call.

    The end of the last one of `makers`, of whose results it wants number `index` (all, where that is None),
    or what lies at `view`. `parts` are the results of slices so far. `inner`: it is inside of the maker, a
    loop that is one kernel call.
    """

    target: _Target
    makers: tuple[Work, ...]
    index: int | None = None
    view: Work | None = None
    parts: dict[int, list[np.ndarray]] = field(default_factory=dict)
    inner: bool = False


class Tap:
    """Hands the values of one node to a callback: see the module for what `name` may be.

    Parameters
    ----------
    name : str or Tensor
    callback : callable
        ``callback(name, value, info)``; see `TapInfo`. What it raises ends the call, and nothing is stored.
    lenient : bool
        Whether Functions that have no such node are let pass.
    """

    def __init__(self, name: str | Tensor, callback: Callback, lenient: bool = False) -> None:
        if not callable(callback):
            raise TypeError(f"tap: expected a function for {name!r}, got {callback!r}")
        if not isinstance(name, (str, Tensor)):
            # A layer, which this floor does not know.
            name = str(getattr(name, "name", name))
        self.name = name if isinstance(name, str) else name.name or repr(name)
        self.found = False
        self._wanted = name
        self._callback = callback
        self._lenient = lenient
        self._targets: dict[int, tuple[NamedGraph, _Target | None]] = {}
        self._call = -1
        self.seen = False

    def target(self, graph: NamedGraph) -> _Target | None:
        """What the name is in a lowered graph. ValueError where it is nothing."""
        self.seen = True
        known = self._targets.get(id(graph))
        if known is None:
            try:
                known = graph, _resolved(graph, self._wanted)
            except ValueError:
                if not self._lenient:
                    raise
                known = graph, None
            self._targets[id(graph)] = known
        target = known[1]
        self.found = self.found or target is not None
        return target

    def begin(self, run: LiveRun) -> None:
        """Values that are there already, and those that are computed apart."""
        target = self.target(run.graph)
        if target is None:
            return
        self._call += 1
        if target.variant is not None:
            self._show(run, target, target.variant.alone(run.own_feeds)[0], ())
            return
        look = _look(run, target)
        value: np.ndarray | None = run.leaf(target.node)
        if value is None and not look.makers and look.view is not None and _is_outside(run, target.node):
            # A view of an input or variable.
            (known,) = evaluate([target.node], dict(zip(run.graph.lowered.inputs, run.feeds, strict=True)))
            value = np.asarray(known)
        if value is not None:
            self._show(run, target, np.array(value), ())
            return
        if not look.makers:
            raise ValueError(
                f"{run.graph.name}: {self.name} is no value of its own there, but an input of the inside "
                "of a loop or choice; tap what makes it"
            )
        run.notes[id(self)] = look

    def done(self, run: LiveRun, work: Work) -> None:
        """The value, when the last work of the node is done."""
        look: _Look | None = run.notes.get(id(self))
        if look is None or not any(work is maker for maker in look.makers):
            return
        turns = tuple(turn.number for turn in run.turns(work))
        if look.inner:
            self._replay(run, look, work, turns)
            return
        added = look.makers[-1].kind == "add"
        if not added and look.view is None:
            for number, array in enumerate(run.outputs(work)):
                look.parts.setdefault(number, []).append(np.array(array))
        if work is not look.makers[-1]:
            return
        if look.view is not None:
            value: Any = np.array(run.outputs(look.view, after=work)[0])
        elif added:
            # The first slice's sum lies where the others are added to.
            sums = run.outputs(look.makers[0], after=work)
            value = _chosen([np.array(array) for array in sums], look.index)
        else:
            value = _chosen([_joined(parts) for parts in look.parts.values()], look.index)
            look.parts.clear()
        self._show(run, look.target, value, turns)

    def end(self, run: LiveRun) -> None:
        """Nothing is left to be done."""

    def _replay(self, run: LiveRun, look: _Look, work: Work, turns: tuple[int, ...]) -> None:
        """The turns of a loop that is one kernel call, by the references, on the loop's inputs."""
        op = concrete_op(work.node.op, run.sizes)
        assert isinstance(op, Scan)

        def watch(number: int, node: Tensor, value: Any) -> None:
            if node is look.target.node:
                several = isinstance(value, tuple)
                copy = tuple(map(np.array, value)) if several else np.array(value)
                self._show(run, look.target, copy, (*turns, number), live=False)

        for _ in op.turns([np.array(array) for array in run.inputs(work)], watch):
            pass

    def _show(
        self, run: LiveRun, target: _Target, value: Any, turns: tuple[int, ...], live: bool = True
    ) -> None:
        live = live and target.variant is None
        node = run.graph.ids.of(target.node)
        info = TapInfo(run.graph.name, node, target.layer, self._call, turns, live)
        self._callback(self.name, value, info)


def _chosen(results: Sequence[np.ndarray], index: int | None) -> Any:
    """One result, or all of a node that has several."""
    if index is not None:
        return results[index]
    return results[0] if len(results) == 1 else tuple(results)


def _loop_calls(run: LiveRun, node: Tensor) -> list[Work]:
    """The call of the loop that a node is inside of, where all of the loop is one kernel call."""
    around = run.graph.ids.around(node)
    loop = run.graph.ids.node(around[-1]) if around else None
    return [] if loop is None else [work for work in run.works_of(loop) if work.kind == "op"]


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The results of slices as one."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _is_outside(run: LiveRun, node: Tensor) -> bool:
    """Whether a node is in no loop or choice."""
    return not run.graph.ids.around(node)


def _look(run: LiveRun, target: _Target) -> _Look:
    """What to wait for: of a view the end of what it is a view of."""
    index: int | None = None
    view: Work | None = None
    node = target.node
    while True:
        if isinstance(node.op, Part):
            index, node = node.op.index, node.inputs[0]
            continue
        own = [work for work in run.works_of(node) if work.kind != "copy"]
        if not own:
            calls = _loop_calls(run, target.node)
            return _Look(target, tuple(calls), inner=True) if calls else _Look(target, (), index, view)
        if own[0].kind != "view":
            return _Look(target, tuple(own), index, view)
        view = view or own[0]
        index, node = None, node.inputs[0]


class Fetched(dict[str | Tensor, Any]):
    """Values that the next call fills in, by requested name: arrays; of a loop, its turns stacked."""

    def __missing__(self, name: str | Tensor) -> Any:
        raise KeyError(f"{name!r}: it is set by the next call that computes it")


class Fetch:
    """Fills a `Fetched` in the next call that runs to its end, and calls `over` then."""

    def __init__(self, names: Sequence[str | Tensor], over: Callable[[Fetch], None]) -> None:
        self.values = Fetched()
        self._over = over
        self._found: dict[str | Tensor, list[Any]] = {}
        self._taps = [Tap(name, partial(self._take, name)) for name in names]

    def check(self, graph: NamedGraph) -> None:
        """ValueError for a name that is nothing."""
        for tap in self._taps:
            tap.target(graph)

    def _take(self, wanted: str | Tensor, name: str, value: Any, info: TapInfo) -> None:
        looped = bool(info.turns)
        self._found.setdefault(wanted, []).append((looped, value))

    def begin(self, run: LiveRun) -> None:
        """Start with nothing."""
        self._found.clear()
        for tap in self._taps:
            tap.begin(run)

    def done(self, run: LiveRun, work: Work) -> None:
        """Collect."""
        for tap in self._taps:
            tap.done(run, work)

    def end(self, run: LiveRun) -> None:
        """Hand over."""
        for name, found in self._found.items():
            looped = found[0][0]
            self.values[name] = np.stack([value for _, value in found]) if looped else found[-1][1]
        self._over(self)


@contextmanager
def tap(name: str | Tensor, callback: Callback) -> Iterator[Tap]:
    """Tap a node in all Functions that this thread calls inside ``with symgraph.tap(name, callback):``.

    Functions that have no such node are let pass.

    Raises
    ------
    ValueError
        At the end, if no Function had it.
    """
    own = Tap(name, callback, lenient=True)
    token = OBSERVERS.set((*OBSERVERS.get(), own))
    try:
        yield own
    finally:
        OBSERVERS.reset(token)
    if own.seen and not own.found:
        raise ValueError(f"tap: no Function that was called has a node {own.name!r}")


# Names


def _resolved(graph: NamedGraph, wanted: str | Tensor) -> _Target:
    if isinstance(wanted, str) and wanted.startswith("%"):
        node = graph.ids.node(wanted)
        if node is None:
            raise ValueError(f"{graph.name}: there is no node {wanted}; `print(function)` lists them")
        return _Target(node, node.layer)
    written = wanted if isinstance(wanted, Tensor) else _written(graph, wanted)
    known = {id(t) for t in topological(_roots(graph.lowered.wanted))}
    live = _live(graph.lowered, written) if id(written) in known else None
    if live is not None:
        return _Target(live, written.layer)
    missing = [t for t in topological([written]) if isinstance(t.op, Placeholder) and not _is_given(t, graph)]
    if missing:
        raise ValueError(f"{graph.name}: {written!r} needs {missing[0]!r}, which is no input of it")
    return _Target(written, written.layer, _apart(graph, written))


def _is_given(placeholder: Tensor, graph: NamedGraph) -> bool:
    wanted = graph.lowered.wanted
    return any(placeholder is known for known in (*wanted.inputs, *wanted.givens))


def _roots(wanted: Wanted) -> list[Tensor]:
    given = [value for value in wanted.givens.values() if isinstance(value, Tensor)]
    return [*wanted.outputs, *(value for _, value in wanted.updates), *wanted.inputs, *given]


def _written(graph: NamedGraph, name: str) -> Tensor:
    """The tensor that the user's graph has under a name."""
    wanted = graph.lowered.wanted
    nodes = topological(_roots(wanted))
    single = [node for node in nodes if isinstance(node.type, TensorType)]
    # Keras' variables have ":0" at the end of their names.
    for text in (name, f"{name}:0"):
        named = [node for node in single if node.name == text]
        if named:
            break
    else:
        layer = name.removesuffix("/out")
        named = _layer_outputs(topological([*wanted.outputs, *wanted.inputs]), layer)
        if not named and layer in graph.known:
            named = [graph.known[layer]]
    if len(named) == 1:
        return named[0]
    if named:
        shown = ", ".join(map(repr, named[:5]))
        raise ValueError(f"{graph.name}: {name!r} stands for {len(named)} tensors; give one of them: {shown}")
    known = dict.fromkeys(str(text) for n in nodes for text in (n.name, n.layer) if text)
    near = get_close_matches(name, known, 5, 0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(list(known)[:20])}"
    raise ValueError(f"{graph.name}: no tensor, layer or node is called {name!r}; {hint}")


def _layer_outputs(nodes: Sequence[Tensor], layer: str) -> list[Tensor]:
    """What a layer hands on."""
    marked = [n for n in nodes if getattr(getattr(n, "_keras_history", (None,))[0], "name", None) == layer]
    if marked:
        return marked
    # Inside a model that is a layer: layers note shapes on what they hand on.
    inside = [n for n in nodes if not n.op.leaf and hasattr(n, "_stated_shape") and _is_of(n, layer)]
    read = {id(i) for n in inside for i in n.inputs}
    return [n for n in inside if id(n) not in read]


def _is_of(node: Tensor, layer: str) -> bool:
    layers = [origin.layer for origin in node.origins if origin.layer is not None]
    return any(name == layer or name.startswith(f"{layer}/") for name in layers)


def _live(lowered: Lowered, written: Tensor) -> Tensor | None:
    """The node of the rewritten graph that is `written`: the graph is lowered again with a mark on it."""
    wanted = lowered.wanted
    for fed, inner in zip(wanted.inputs, lowered.inputs, strict=False):
        if fed is written:
            return inner
    if written.op.leaf:
        return next((node for node in lowered.nodes if node.op is written.op), None)
    marked = Tensor(written.op, written.inputs, written.type, written.origins, _MARK)
    replaced = {written: marked}
    values = substitute([*wanted.outputs, *(value for _, value in wanted.updates)], replaced)
    count = len(wanted.outputs)
    updates = [(v, new) for (v, _), new in zip(wanted.updates, values[count:], strict=True)]
    givens = {
        replaced.get(old, old): substitute([new], replaced)[0] if isinstance(new, Tensor) else new
        for old, new in wanted.givens.items()
    }
    again = lower(wanted.inputs, values[:count], updates, givens)
    same = len(again.nodes) == len(lowered.nodes) and all(
        type(a.op) is type(b.op) and str(a.op) == str(b.op) and len(a.inputs) == len(b.inputs)
        for a, b in zip(again.nodes, lowered.nodes, strict=True)
    )
    places = [number for number, node in enumerate(again.nodes) if node.name == _MARK]
    return lowered.nodes[places[-1]] if same and places else None


def _apart(graph: NamedGraph, written: Tensor) -> Variant:
    """A Variant that computes one tensor from the same inputs."""
    wanted = graph.lowered.wanted
    lowered = lower(wanted.inputs, [written], (), wanted.givens)
    return Variant(graph.name, f"{written!r} is tapped", lowered, None, graph.compilations)


__all__ = ["Fetch", "Fetched", "Tap", "TapInfo", "tap"]
