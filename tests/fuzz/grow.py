"""Random graphs: inputs, and one operation after the other on what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from symgraph.graph.dims import Dim, evaluate, unknown, unknowns
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops.elementwise import broadcast_shapes
from symgraph.graph.tensor import Tensor
from tests.fuzz import arithmetic, control, shapes, sizes
from tests.fuzz.nodes import Environment, Node, Scope
from tests.fuzz.values import Value

MODES = ("whole", "smooth", "special")
_DTYPES = ("float32", "float32", "float64", "float32", "int32", "int64", "bool", "uint8")
_STEPS = (*arithmetic.STEPS, *shapes.STEPS, *sizes.STEPS)
_MOST_ELEMENTS = 3000
_Item = TypeVar("_Item")


class NothingFitsError(Exception):
    """No node is of the kind that was asked for."""


def special_values(dtype: str) -> np.ndarray:
    """Numbers at which formulas break: zeros of both signs, denormals, ends of the range, infinities, NaN."""
    limits = np.finfo(dtype)
    ends = [limits.max, limits.tiny, limits.smallest_subnormal, 1.5e38, 1e-38, 1e-30, 88.8, 104.0, 1e4]
    numbers = np.array([0.0, 1.0, 0.5, 3.0, np.inf, np.nan, *ends], dtype)
    return np.concatenate([numbers, -numbers])


def array(rng: np.random.Generator, shape: Sequence[int], dtype: str, mode: str) -> np.ndarray:
    """Values of an input."""
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype("bool")
    if not dtype.startswith("float"):
        limits = np.iinfo(dtype)
        low, high = (limits.min, limits.max) if mode == "special" else (0 if dtype == "uint8" else -4, 5)
        return np.asarray(rng.integers(low, high, shape, dtype=dtype))
    if mode == "smooth":
        return rng.standard_normal(shape).astype(dtype)
    whole = rng.integers(-4, 5, shape).astype(dtype)
    if mode == "whole":
        return whole
    return np.where(rng.random(shape) < 0.3, rng.choice(special_values(dtype), shape), whole).astype(dtype)


class Grower:
    """A graph that grows: `scope` takes new nodes, `runs` hold their values, for several sizes."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.mode = MODES[self.draw(len(MODES))]
        self.size = unknown("N")
        self.scope = Scope()
        self.refused: list[str] = []
        self.inputs: list[Node] = []
        self.fed: list[Node] = []
        rows = (self.choose((2, 3, 5, 17)), self.choose((0, 1)))
        (atom,) = unknowns(self.size)
        self.runs = [Environment(self.scope, {atom: n}) for n in rows]
        self._leaves()
        for _ in range(5 + self.draw(36)):
            self.step()

    def draw(self, count: int) -> int:
        """A number below `count`."""
        return int(self.rng.integers(count))

    def choose(self, items: Sequence[_Item]) -> _Item:
        """One of them."""
        return items[self.draw(len(items))]

    def pick(self, wanted: Callable[[Node], bool] = lambda n: True) -> Node:
        """A node that `wanted` holds for; recent ones are likelier."""
        found = [n for n in self.scope.visible() if n.tensor is not None and wanted(n)]
        if not found:
            raise NothingFitsError
        return found[self.draw(len(found))] if self.draw(2) else found[-1 - self.draw(min(4, len(found)))]

    def partner(self, a: Node, wanted: Callable[[Node], bool] = lambda n: True) -> Node:
        """A node that broadcasts with `a`."""
        return self.pick(lambda n: wanted(n) and self.fit(a, n))

    def fit(self, a: Node, b: Node) -> bool:
        """Whether the two broadcast, whatever the sizes."""
        return _broadcast(a.tensor, b.tensor)

    def filled(self, node: Node, axis: int | None, least: int = 1) -> bool:
        """Whether the axis, or all of them, are known to have at least so many entries."""
        sizes = node.tensor.shape if axis is None else node.tensor.shape[axis : axis + 1 or None]
        return all(isinstance(d, int) and d >= least for d in sizes)

    def has_nan(self, node: Node) -> bool:
        """Whether the node's value has a NaN in one of the runs."""
        values = [run.of(node).own for run in self.runs]
        return any(v.dtype.kind == "f" and bool(np.isnan(v).any()) for v in values)

    def node(
        self, name: str, build: Callable[..., Tensor], sources: tuple[Node, ...], compute: Callable[..., Any],
        moves: bool = False, jumps: bool = False, stabilised: bool = False,
        sums: bool = False, vanishes: bool = False, doubt: Callable[..., bool] | None = None,
    ) -> Node | None:  # fmt: skip
        """A new node, or None where it is refused, or too large."""
        try:
            tensor = build(*(s.tensor for s in sources))
        except (ValueError, TypeError, IndexError) as error:
            self.refused.append(f"{name}: {error}")
            return None
        marks = (moves, jumps, stabilised, sums, vanishes, doubt)
        return self.kept(Node(self.scope, tensor, name, sources, compute, *marks))

    def kept(self, node: Node) -> Node | None:
        """`node`, if numpy can compute it in every run, and it is not too large."""
        try:
            values = [run.of(node) for run in self.runs]
        except (ValueError, IndexError):
            self.scope.nodes.remove(node)
            return None
        arrays = [v.own for v in values if isinstance(v, Value)]
        if any(a.size > _MOST_ELEMENTS or a.ndim > 5 for a in arrays):
            self.scope.nodes.remove(node)
            return None
        return node

    @contextmanager
    def inside(self, scope: Scope, runs: list[Environment]) -> Iterator[None]:
        """Grow in another scope for a while."""
        before = self.scope, self.runs
        self.scope, self.runs = scope, runs
        try:
            yield
        finally:
            self.scope, self.runs = before

    def step(self, deeper: bool = True) -> None:
        """One more node, or none where the choice has no candidates."""
        choices = (*_STEPS, *(control.STEPS if deeper else ()))
        try:
            self.choose(choices)(self)
        except NothingFitsError:
            return

    def _leaves(self) -> None:
        self._input((self.size, 4), "float32")
        for _ in range(2 + self.draw(4)):
            self._input(self._shape(), self.choose(_DTYPES))
        for _ in range(1 + self.draw(3)):
            self._fixed()
        self.fed = [self._number() for _ in range(2)]

    def _number(self) -> Node:
        """A number that is fed, another one in each run."""
        name = f"n{len(self.inputs)}"
        node = Node(self.scope, placeholder((), dtype="int32", name=name), f"input {name}")
        for run in self.runs:
            run.values[node] = Value.given(np.array(self.draw(6), "int32"))
        self.inputs.append(node)
        return node

    def _shape(self) -> tuple[Dim, ...]:
        found: tuple[Dim, ...] = self.choose(
            (
                *((self.size, 4), (self.size,), (self.size, 1), (self.size, 2, 4)),
                *((4,), (), (1, 4), (4, 4), (4, 3), (0, 4), (3,)),
            )
        )  # fmt: skip
        return found

    def _input(self, shape: tuple[Dim, ...], dtype: str) -> None:
        name = f"x{len(self.inputs)}"
        node = Node(self.scope, placeholder(shape, dtype=dtype, name=name), f"input {name}")
        for run in self.runs:
            known = [evaluate(d, run.sizes) for d in shape]
            run.values[node] = Value.given(array(self.rng, known, dtype, self.mode))
        self.inputs.append(node)

    def _fixed(self) -> None:
        dtype = self.choose(_DTYPES)
        shape = self.choose(((4,), (4, 4), (4, 3), (), (3,), (1, 4)))
        value = array(self.rng, shape, dtype, self.mode)
        tensor: Any = Variable(value, name="v") if self.draw(2) else constant(value)
        node = Node(self.scope, tensor, "variable" if isinstance(tensor, Variable) else "constant")
        for run in self.runs:
            run.values[node] = Value.given(value)


def _broadcast(a: Tensor, b: Tensor) -> bool:
    """Whether the two shapes broadcast for certain."""
    try:
        broadcast_shapes([a.shape, b.shape], "")
    except ValueError:
        return False
    pairs = zip(a.shape[::-1], b.shape[::-1], strict=False)
    return all(m == n or 1 in (m, n) for m, n in pairs)
