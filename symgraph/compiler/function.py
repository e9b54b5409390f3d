"""A compiled computation that is called like a Python function: feeds in, fetches out, variables updated."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from symgraph.compiler.lower import Lowered, Update, is_static, lower, variables_of
from symgraph.compiler.observe.debugging import Debugging
from symgraph.compiler.observe.guard import as_guard
from symgraph.compiler.observe.views import FunctionViews
from symgraph.compiler.program.program import Program
from symgraph.compiler.run.collect import collect, kernel_sources, pass_facts
from symgraph.compiler.run.connect import Connections, connected, with_connections
from symgraph.compiler.run.feeds import as_feed, as_feeds, is_plain, label
from symgraph.compiler.run.live_run import Observer
from symgraph.compiler.run.named_graph import Compilation
from symgraph.compiler.run.results import has_padding, shown
from symgraph.compiler.run.signature import Results, Signature, as_givens, as_pairs
from symgraph.compiler.run.variant import Variant, recent
from symgraph.graph.leaves import Variable, as_stored, free_sizes
from symgraph.graph.measured import with_sources
from symgraph.graph.ops.csr import to_dense
from symgraph.graph.sparse import SparseTensor
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor, install_operators, topological
from symgraph.inspection.facts.function import Facts
from symgraph.inspection.text.costs import Costs, costs
from symgraph.inspection.text.explain import explain, find
from symgraph.inspection.text.listing import listing
from symgraph.inspection.text.memory_map import MemoryMap, memory_map
from symgraph.inspection.text.passes import Passes
from symgraph.kernels.run.source import KernelSource

_MOST_SPECIALISATIONS = 32


class Function(Debugging, FunctionViews):
    """Outputs and updates of a graph as a callable.

    ``f(a, b)``, ``f([a, b])`` and ``f(a, y=b)`` feed the inputs, in order or by name, and return a list of
    arrays, or what else was asked for. `run` feeds and fetches any node. Several threads may call one
    Function; calls of a Function with updates run one at a time.

    Parameters
    ----------
    inputs : Tensor, In, or sequence of them
        Placeholders, or any nodes: a fed node cuts the graph above it. `In` gives names and default values.
    outputs : Tensor, Out, sequence or dict of them, or None
        A call returns one array, a list, a dict with the same keys, or None.
    updates : mapping of Variable to Tensor, or pairs
        New values, all computed from the old ones and stored after the outputs.
    givens : mapping of Tensor to value, or pairs
        Tensors replaced by other tensors or constants.
    nan_guard : bool or "nan"
        Whether every value is checked, and the first NaN or infinity ends the call with a
        `FloatingPointError` that names its origin; nothing is updated then. ``"nan"`` allows infinities.
        Calls take longer, and all intermediate values keep their memory.

    Attributes
    ----------
    known : dict of str to Tensor
        Tensors that `fetch` and `tap` find by these names, though the graph may not have them.

    Raises
    ------
    TypeError
        An input or an output is no tensor.
    ValueError
        A placeholder that the outputs need is missing, or a variable is updated twice.
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any = None,
        updates: Any = (),
        givens: Any = None,
        name: str | None = None,
        nan_guard: bool | str = False,
    ) -> None:
        self.name = name or "function"
        self.known: dict[str, Tensor] = {}
        guard = as_guard(nan_guard)
        self._observers: list[Observer] = [] if guard is None else [guard]
        self._signature = Signature(self.name, inputs)
        self._form = Results(outputs)
        self.inputs = self._signature.tensors
        self.outputs = tuple(map(_dense, self._form.tensors))
        for role, tensors in (("input", self.inputs), ("output", self.outputs)):
            _check_tensors(self.name, role, tensors)
        self.givens = as_givens(self.name, givens)
        _check_givens(self.name, self.inputs, self.givens)
        checked = _checked_updates(as_pairs("updates", updates))
        self._explicit = len(checked)
        # What a call computes: the outputs, and new defaults of inputs.
        self._computed = (*self.outputs, *self._signature.kept)
        self.updates = tuple(_with_defaults(checked, [*self._computed, *self._given_values()]))
        self._sparse = any(t.sparse for t in self.inputs)
        self._dtypes = () if self._sparse else tuple(np.dtype(t.dtype) for t in self.inputs)
        self._padded = has_padding(self.outputs)
        # What the graph is fed with: the inputs, and for a sparse one its parts.
        self._leaves = tuple(leaf for t in self.inputs for leaf in _fed_leaves(t))
        self._static = [i for i, t in enumerate(self._leaves) if is_static(t)]
        self._lock = threading.RLock()
        self._compilations: list[Compilation] = []
        self._variants: OrderedDict[Hashable, Variant] = OrderedDict()
        self._check_duplicates()
        if not self._static:
            self._main(())
        used = {
            id(t)
            for t in topological(
                with_sources([*self._computed, *(v for _, v in self.updates), *self._given_values()])
            )
        }
        self.unused_inputs = tuple(
            t for t in self.inputs if all(id(leaf) not in used for leaf in _fed_leaves(t))
        )

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Feed the inputs in order or by name.

        A single list or tuple is the argument list, as in Keras, where no input has a default.
        """
        if self._signature.plain and not named:
            return self._results(self._arguments(arguments, self.inputs))
        if not self._signature.kept:
            return self._results(self._signature.bound(arguments, named))
        # A default is read and stored by one call at a time.
        with self._lock:
            return self._results(self._signature.bound(arguments, named))

    def _results(self, values: Sequence[Any]) -> Any:
        """The results of a call with one value for each input."""
        variant, feeds = self._fed(values)
        results = variant.run(feeds)
        if self._signature.kept:
            self._signature.keep(results[len(self.outputs) :])
            results = results[: len(self.outputs)]
        if self._padded:
            results = self._shown(self.outputs, results)
        return self._form.shaped(results)

    def _shown(self, outputs: Sequence[Tensor], results: list[np.ndarray]) -> list[np.ndarray]:
        """What the caller gets for the results: no columns that are padding in every row."""
        return shown(outputs, results)

    def _fed(self, values: Sequence[Any]) -> tuple[Variant, list[np.ndarray]]:
        """What a call with these values runs, and the arrays that it is fed with."""
        if self._sparse:
            feeds = [f for value, t in zip(values, self.inputs, strict=True) for f in as_feeds(value, t)]
        else:
            # Arrays as they should be, the usual case, are taken at once.
            feeds = [
                value if is_plain(value, dtype) else as_feed(value, target)
                for value, target, dtype in zip(values, self.inputs, self._dtypes, strict=True)
            ]
        if not self._static:
            return self._main(()), feeds
        static = tuple(_static_value(feeds[i], self._leaves[i]) for i in self._static)
        return self._main(static), [f for i, f in enumerate(feeds) if i not in self._static]

    def _arguments(self, arguments: tuple[Any, ...], inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """One value for each of `inputs`, from arguments that may be a single list of them."""
        listed = len(arguments) == 1 and isinstance(arguments[0], (list, tuple))
        if listed and (len(inputs) != 1 or _is_argument_list(arguments[0])):
            arguments = tuple(arguments[0])
        if len(arguments) != len(inputs):
            names = ", ".join(t.name or repr(t) for t in inputs)
            raise ValueError(f"{self.name}: expected {len(inputs)} inputs ({names}), got {len(arguments)}")
        return arguments

    def run(self, feed: Mapping[Any, Any] | None = None, fetch: Any = None, update: bool = True) -> Any:
        """Feed and fetch any nodes, by tensor or by name.

        Parameters
        ----------
        feed : mapping of tensor or name to array
            A fed node cuts the graph above it. ValueError for one that neither this computation nor the
            Function itself has any use for. A tensor in the place of an array is computed in the same run,
            once for all its readers, from the other feeds.
        fetch : tensor, name, or sequence of them, optional
            What to return; the Function's outputs where not given.
        update : bool
            Whether the updates are computed and stored.
        """
        fed = {self._find(key): value for key, value in (feed or {}).items()}
        single = fetch is not None and not isinstance(fetch, (list, tuple))
        wanted = (
            self.outputs
            if fetch is None
            else tuple(_dense(self._find(f)) for f in ([fetch] if single else fetch))
        )
        connections = {
            t: v for t, v in fed.items() if isinstance(v, Tensor) and not (is_static(t) or t.sparse)
        }
        values = {t: _fixed(v, t) for t, v in fed.items() if t not in connections}
        targets = tuple(leaf for t in values for leaf in _fed_leaves(t))
        feeds = [feed for t, value in values.items() for feed in as_feeds(value, t)]
        static = tuple((t, _static_value(f, t)) for t, f in zip(targets, feeds, strict=True) if is_static(t))
        # The key holds the tensors: the identity of one that is gone could be that of the next.
        key = ("run", targets, wanted, static, update, tuple(connections.items()))
        variant = recent(self._variants, key)
        if variant is None:
            joined = connected(connections, targets)
            self._check_feeds([*targets, *joined], [*wanted, *joined.values()])
            reason = _names([*targets, *joined], wanted)
            variant = self._variant(key, targets, wanted, dict(static), update, reason, joined)
        results = variant.run([f for t, f in zip(targets, feeds, strict=True) if not is_static(t)])
        if has_padding(wanted):
            results = self._shown(wanted, results)
        if fetch is None:
            return self._form.shaped(results)
        return results[0] if single else results

    def lowered(self, static: Sequence[int] = ()) -> Lowered:
        """The rewritten graph of the main call (for given values of static inputs)."""
        return self._main(tuple(static) or (0,) * len(self._static)).lowered

    def program(self, *shapes: Sequence[int]) -> Program:
        """The Program for inputs of these shapes; the most recent one where none are given."""
        variant = self._latest()
        return variant.program(tuple(tuple(s) for s in shapes)) if shapes else variant.latest()

    def listing(self) -> str:
        """One row a kernel of the latest Program; the rewritten graph where none was planned yet."""
        return listing(self.facts())

    __str__ = listing

    def facts(self) -> Facts:
        """All that is known of the latest Program (of the rewritten graph alone where none was planned)."""
        variant = self._latest()
        return collect(self.name, variant.lowered, variant.newest)

    @property
    def passes(self) -> Passes:
        """What each pass did to the graph: nodes before and after, rules, nodes that went and came."""
        return Passes(pass_facts(self._latest().lowered))

    @property
    def memory(self) -> MemoryMap:
        """The arena of the latest Program: its pieces, its peak, and who holds it."""
        self._latest().latest()
        return memory_map(self.facts())

    @property
    def cost(self) -> Costs:
        """Floating-point operations and bytes of the latest Program, node by node."""
        self._latest().latest()
        return costs(self.facts())

    @property
    def compilations(self) -> list[Compilation]:
        """Every lowering and planning so far, with its reason."""
        return list(self._compilations)

    def explain(self, name: Any) -> str:
        """What a node (by id or name), layer, row or kernel was compiled to in the latest Program.

        `name` is a text or number, or a named tensor or layer.

        Raises
        ------
        ValueError
            Nothing is called that; the message lists what comes close.
        """
        return explain(self.facts(), _called(name))

    def source(self, name: Any) -> list[KernelSource]:
        """The kernels of what `name` stands for (see `explain`): Python, LLVM IR and assembly of each."""
        facts = self.facts()
        program = self._latest().latest()
        numbers = sorted({number for node in find(facts, _called(name)) for number in node.rows})
        return kernel_sources(self._latest().lowered, program, numbers)

    def __repr__(self) -> str:
        return f"<Function {self.name}: {len(self.inputs)} inputs, {len(self.outputs)} outputs>"

    def _latest(self) -> Variant:
        """The variant that was used last."""
        if not self._variants:
            return self._main((0,) * len(self._static))
        return next(reversed(self._variants.values()))

    def _given_values(self) -> list[Tensor]:
        return [as_stored(v, k.dtype) for k, v in self.givens.items()]

    def _check_duplicates(self) -> None:
        seen: set[int] = set()
        for tensor in self.inputs:
            if id(tensor) in seen:
                raise ValueError(f"{self.name}: {tensor!r} is given as an input twice")
            seen.add(id(tensor))

    def _main(self, static: tuple[int, ...]) -> Variant:
        variant = recent(self._variants, static)
        if variant is not None:
            return variant
        fixed = {self._leaves[i]: v for i, v in zip(self._static, static, strict=True)}
        phases = ", ".join(f"{t.name or repr(t)} = {v}" for t, v in fixed.items())
        return self._variant(
            static, self._leaves, self._computed, fixed, True, phases or "the Function was made"
        )

    def _variant(
        self,
        key: Hashable,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        static: Mapping[Tensor, int],
        update: bool,
        reason: str,
        joined: Connections = MappingProxyType({}),
    ) -> Variant:
        with self._lock:
            variant = recent(self._variants, key)
            if variant is None:
                fed = set(inputs)
                givens = {old: new for old, new in self.givens.items() if old not in fed} | dict(static)
                givens = with_connections(givens, joined) if joined else givens
                left = [t for t in inputs if t not in static]
                updates = _with_defaults(self.updates, [*outputs, *joined.values()]) if update else []
                defaults = max(len(updates) - self._explicit, 0)
                lowered = lower(left, outputs, updates, givens, defaults)
                lock = self._lock if lowered.updates else None
                variant = Variant(
                    self.name, reason, lowered, lock, self._compilations, self._observers, self.known
                )
                self._variants[key] = variant
                while len(self._variants) > _MOST_SPECIALISATIONS:
                    self._variants.popitem(last=False)
            return variant

    def _check_feeds(self, fed: Sequence[Tensor], fetched: Sequence[Tensor]) -> None:
        """ValueError for a feed that is no input of this Function and that nothing here is computed from.

        One of unknown sizes may serve to tell them.
        """
        roots = [*self._leaves, *self.outputs, *fetched, *self._given_values(), *(v for _, v in self.updates)]
        known = {id(t) for t in (*topological(with_sources(roots)), *self.givens)}
        for tensor in fed:
            if id(tensor) not in known and not is_static(tensor) and not free_sizes(tensor):
                raise ValueError(f"{self.name}: {tensor!r} is fed, but nothing needs it")

    def _find(self, key: Any) -> Tensor:
        """A tensor given as such or by name.

        An ambiguous or unknown name is an error that lists candidates.
        """
        if isinstance(key, Tensor):
            return key
        nodes = topological(with_sources([*self.inputs, *self.outputs, *(v for _, v in self.updates)]))
        named = [n for n in nodes if n.name == key]
        if len(named) == 1:
            return named[0]
        if named:
            raise ValueError(f"{self.name}: the name {key!r} is ambiguous: {', '.join(map(repr, named))}")
        names = sorted({n.name for n in nodes if n.name})
        raise ValueError(
            f"{self.name}: no node is called {key!r}; there are {', '.join(names) or 'no names'}"
        )


def _called(thing: Any) -> str:
    """The name of a tensor or a layer, or what is a name already."""
    return str(getattr(thing, "name", None) or thing)


def _names(fed: Sequence[Tensor], fetched: Sequence[Tensor]) -> str:
    feeds, fetches = (", ".join(t.name or repr(t) for t in tensors) for tensors in (fed, fetched))
    return f"run with feeds {feeds or 'none'} and fetches {fetches or 'none'}"


def function(
    inputs: Any,
    outputs: Any = None,
    updates: Any = (),
    givens: Any = None,
    name: str | None = None,
    nan_guard: bool | str = False,
) -> Function:
    """Compile a `Function`: see there."""
    return Function(inputs, outputs, updates, givens, name, nan_guard)


def evaluate(tensor: Tensor, feed: Mapping[Any, Any] | None = None) -> Any:
    """The value of one tensor: what ``tensor.eval(feed)`` does."""
    if isinstance(tensor, Variable):
        return tensor.get_value()
    by_name = {n.name: n for n in topological(with_sources([tensor])) if n.name}
    fed = {k if isinstance(k, Tensor) else by_name.get(k, k): v for k, v in (feed or {}).items()}
    unknown = [k for k in fed if not isinstance(k, Tensor)]
    if unknown:
        raise ValueError(
            f"eval: no node is called {unknown[0]!r}; there are {', '.join(sorted(by_name)) or 'no names'}"
        )
    return Function(list(fed), tensor, name="eval")(*fed.values())


def _dense(tensor: Tensor) -> Tensor:
    """What a Function returns for a tensor: arrays are dense."""
    return to_dense(tensor) if isinstance(tensor, SparseTensor) else tensor


def _fed_leaves(tensor: Tensor) -> tuple[Tensor, ...]:
    """What the graph is fed with for an input."""
    return tensor.fed if isinstance(tensor, SparseTensor) else (tensor,)


def _check_tensors(name: str, role: str, tensors: Sequence[Any]) -> None:
    for number, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            why = ", which stands for a gradient of something that the loss does not depend on"
            raise TypeError(
                f"{name}: expected a tensor as {role} {number}, got {brief(tensor)}"
                f"{why if tensor is None else ''}"
            )


def _check_givens(name: str, inputs: Sequence[Tensor], givens: Mapping[Tensor, Any]) -> None:
    """TypeError or ValueError for a given thing that is no tensor, or is an input too."""
    for old in givens:
        if not isinstance(old, Tensor):
            raise TypeError(f"{name}: givens: expected tensors to be replaced, got {old!r}")
        if old.sparse:
            raise TypeError(f"{name}: givens: {old!r} is sparse and can only be fed")
        if any(old is tensor for tensor in inputs):
            raise ValueError(f"{name}: {old!r} is an input and in givens")


def _with_defaults(updates: Sequence[Update], roots: Sequence[Tensor]) -> list[Update]:
    """`updates`, and the default updates of all variables that they and `roots` read."""
    pairs = list(updates)
    seen = {id(variable) for variable, _ in pairs}
    for variable in variables_of(with_sources([*roots, *(value for _, value in pairs)])):
        if variable.default_update is not None and id(variable) not in seen:
            pairs.append((variable, variable.default_update))
    return pairs


def _checked_updates(updates: Iterable[Any]) -> list[Update]:
    """Pairs of a variable, each once, and a tensor that fits it."""
    pairs: list[Update] = []
    seen: set[int] = set()
    for item in updates:
        pair = isinstance(item, (tuple, list)) and len(item) == 2
        variable, value = item if pair else (None, None)
        if not isinstance(variable, Variable):
            raise TypeError(f"updates: expected pairs of a variable and its new value, got {item!r}")
        if id(variable) in seen:
            raise ValueError(f"updates: variable {variable.name} is updated twice")
        seen.add(id(variable))
        pairs.append((variable, _fitting(variable, as_stored(value, variable.dtype))))
    return pairs


def _fitting(variable: Variable, value: Tensor) -> Tensor:
    if value.sparse:
        raise TypeError(
            f"updates: variable {variable.name} is dense, its new value {value!r}; use K.to_dense"
        )
    if value.dtype != variable.dtype:
        raise TypeError(f"updates: variable {variable.name} is {variable.dtype}, its new value {value.dtype}")
    clash = value.ndim != variable.ndim or any(
        isinstance(a, int) and a != b for a, b in zip(value.shape, variable.shape, strict=True)
    )
    if clash:
        raise ValueError(f"updates: variable {variable.name} is {variable.type}, its new value {value.type}")
    return value


def _fixed(value: Any, target: Tensor) -> Any:
    """A tensor that chooses the Program is computed before the run; anything else stays as it is."""
    return value.eval() if isinstance(value, Tensor) and is_static(target) else value


def _static_value(feed: np.ndarray, tensor: Tensor) -> int:
    if feed.ndim:
        raise ValueError(f"{label(tensor)}: expected a single value, got shape {feed.shape}")
    return int(feed)


def _is_argument_list(value: Sequence[Any]) -> bool:
    """Whether a list given to a one-input Function is the argument list rather than the data.

    It holds one array.
    """
    return len(value) == 1


# Tensors lie below the compiler, so `tensor.eval` is handed down.
install_operators({"eval": evaluate})
