"""Random tensors: drawn anew at every call of a Function, reproducible, the same on any number of threads.

Numbers come from Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
SC 2011). Each draw has a state: a key, the number of the call, which the draw's `default_update` counts, and
the number of the turn. A draw that a loop's step makes gets another turn each time (see `states_of_turns`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx, note_draw, random_source
from symgraph.graph.dims import Dim
from symgraph.graph.leaves import Variable, constant
from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.compare import less
from symgraph.graph.ops.create import arange
from symgraph.graph.ops.elementwise import add, cast, multiply, subtract
from symgraph.graph.ops.movement import dense
from symgraph.graph.ops.shape import reshape
from symgraph.graph.ops.sizes import checked_shape, known, known_shape, size_tensor
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType, dtype_name, is_float, working_dtype
from symgraph.kernels.random import BLOCK_BITS, STREAM_BITS, random_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_BLOCKS = 16
_MASK = np.uint64(0xFFFFFFFF)


def philox(counter: Sequence[np.ndarray], key: tuple[int, int]) -> list[np.ndarray]:
    """Philox4x32-10: four arrays of 32-bit words (as uint64) from a counter of four words, a key of two."""
    first, second, third, fourth = (np.asarray(word, np.uint64) for word in counter)
    for step in range(10):
        keys = [np.uint64((word + step * weyl) & 0xFFFFFFFF) for word, weyl in zip(key, _WEYL, strict=True)]
        product_0, product_1 = first * np.uint64(_MULTIPLIERS[0]), third * np.uint64(_MULTIPLIERS[1])
        high_0, high_1 = product_0 >> np.uint64(32), product_1 >> np.uint64(32)
        first, second, third, fourth = (
            high_1 ^ second ^ keys[0], product_1 & _MASK, high_0 ^ fourth ^ keys[1], product_0 & _MASK,
        )  # fmt: skip
    return [first, second, third, fourth]


def _words(state: np.ndarray, count: int) -> np.ndarray:
    """Words for at least `count` elements: [groups, 4, 16], in the order of the elements (see the kernel)."""
    groups = -(-count // (4 * _BLOCKS))
    key, call, turn = (int(number) & 0xFFFFFFFFFFFFFFFF for number in state)
    first = turn << BLOCK_BITS & 0xFFFFFFFFFFFFFFFF
    blocks = np.arange(groups * _BLOCKS, dtype=np.uint64) + np.uint64(first)
    stream = (call ^ turn >> 64 - BLOCK_BITS << STREAM_BITS) & 0xFFFFFFFFFFFFFFFF
    halves = [np.full(blocks.shape, part, np.uint64) for part in (stream & 0xFFFFFFFF, stream >> 32)]
    words = philox([blocks & _MASK, blocks >> np.uint64(32), *halves], (key & 0xFFFFFFFF, key >> 32))
    return np.stack([word.reshape(groups, _BLOCKS) for word in words], axis=1)


def _integers(state: np.ndarray, count: int, dtype: str) -> np.ndarray:
    """Random bits for floats: 32 an element, or 64 for float64; [groups, 4 or 2, 16]."""
    if dtype != "float64":
        return _words(state, count)
    words = _words(state, 2 * count)
    pairs: np.ndarray = np.bitwise_or(words[:, ::2] << np.uint64(32), words[:, 1::2])
    return pairs


def _units(state: np.ndarray, count: int, dtype: str) -> np.ndarray:
    """Numbers in [0, 1), multiples of 2**-24 or 2**-53, as float64."""
    kept = 53 if dtype == "float64" else 24
    size = 64 if dtype == "float64" else 32
    return (_integers(state, count, dtype) >> np.uint64(size - kept)) * 2.0**-kept


class _Random(Op):
    """What random ops share: the input is the state, int64 (key, number of the call, number of the turn).

    The numbers are those of the state's stream from number `first` on, a multiple of 64.
    """

    shape: tuple[Dim, ...]
    dtype: str
    first: Dim
    pure: ClassVar[bool] = False
    kind: ClassVar[str]
    accepts: ClassVar[tuple[str, ...]] = ("float32", "float64")

    def __str__(self) -> str:
        return f"random_{self.kind}"

    def parameters(self) -> tuple[float, ...]:
        """Parameters of the distribution's kernel."""
        raise NotImplementedError

    def infer(self, *types: Any) -> TensorType:
        """The given shape and dtype."""
        (state,) = types
        if state.dtype != "int64" or state.shape != (3,):
            raise TypeError(f"{self}: expected a state of type int64(3,), got {state}")
        if self.dtype not in self.accepts:
            raise TypeError(f"{self}: expected a dtype of {', '.join(self.accepts)}, got {self.dtype}")
        return TensorType(self.dtype, self.shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """Not connected."""
        return (None,)

    def draw(self, state: np.ndarray, count: int) -> np.ndarray:
        """At least `count` numbers, in order."""
        raise NotImplementedError

    def reference(self, *arrays: Any) -> Any:
        """The generator in numpy; bits are the kernel's, functions of them agree up to rounding."""
        shape, first = known_shape(self.shape), known(self.first)
        count = int(np.prod(shape, dtype=np.int64))
        drawn = self.draw(arrays[0], first + count).reshape(-1)
        return drawn[first : first + count].reshape(shape).astype(self.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """One function value per element."""
        return int(np.prod(outputs[0], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One sweep; element i depends on state and i alone."""
        rows: list[Row] = []
        state = dense(inputs[0], rows, threads=threads, scratch=scratch)
        first, parameters = known(self.first), self.parameters()
        rows += random_rows(self.kind, outputs[0], state, parameters, first, threads=threads, scratch=scratch)
        return rows


def _states(rng: np.random.Generator) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Shapes and states: small and large keys and counters, no turn and large ones, empty and odd sizes."""
    for number, shape in enumerate(((5,), (3, 7), (0,), (), (2, 65), (1000,))):
        turn = rng.integers(0, 2**40) if number % 2 else 0
        yield shape, np.array([*rng.integers(-(2**63), 2**63 - 1, 2), turn])


@dataclass(frozen=True)
class RandomUniform(_Random):
    """Evenly distributed in [low, high)."""

    shape: tuple[Dim, ...]
    dtype: str
    low: float = 0.0
    high: float = 1.0
    first: Dim = 0
    kind: ClassVar[str] = "uniform"

    def parameters(self) -> tuple[float, ...]:
        """Both ends."""
        return self.low, self.high

    def draw(self, state: np.ndarray, count: int) -> np.ndarray:
        """A multiple of the width; rounding does not reach the upper end."""
        kind = np.dtype(self.dtype).type
        last = np.nextafter(kind(self.high), kind(self.low))
        values = (_units(state, count, self.dtype) * (self.high - self.low) + self.low).astype(self.dtype)
        return np.asarray(np.minimum(values, last if self.high > self.low else kind(self.low)))

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both dtypes."""
        for shape, state in _states(rng):
            yield Sample(cls(shape, "float32"), (state,), False)
            yield Sample(cls(shape, "float64", -2.0, 5.0), (state,), False)
            yield Sample(cls(shape, "float64", first=192), (state,), False)


@dataclass(frozen=True)
class RandomNormal(_Random):
    """Normally distributed, by Box and Muller's transform."""

    shape: tuple[Dim, ...]
    dtype: str
    mean: float = 0.0
    deviation: float = 1.0
    first: Dim = 0
    kind: ClassVar[str] = "normal"

    def parameters(self) -> tuple[float, ...]:
        """Mean and deviation."""
        return self.mean, self.deviation

    def draw(self, state: np.ndarray, count: int) -> np.ndarray:
        """A radius from every other integer, an angle from the next one."""
        size = 64 if self.dtype == "float64" else 32
        integers = _integers(state, count, self.dtype)
        chance = integers[:, ::2].astype(self.dtype).astype(np.float64)
        unit = (chance * 2.0**-size + 2.0 ** (-size - 1)).astype(self.dtype).astype(np.float64)
        radius = self.deviation * np.sqrt(-2.0 * np.log(unit))
        turn = integers[:, 1::2].astype(f"uint{size}").view(f"int{size}") * (2.0 * np.pi * 2.0**-size)
        both = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=2) + self.mean
        return both.reshape(integers.shape)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both dtypes."""
        for shape, state in _states(rng):
            yield Sample(cls(shape, "float32"), (state,), False)
            yield Sample(cls(shape, "float64", -2.0, 0.5), (state,), False)
            yield Sample(cls(shape, "float32", first=64), (state,), False)


@dataclass(frozen=True)
class RandomTruncatedNormal(_Random):
    """Normally distributed, but never further than two deviations from the mean."""

    shape: tuple[Dim, ...]
    dtype: str
    mean: float = 0.0
    deviation: float = 1.0
    first: Dim = 0
    kind: ClassVar[str] = "truncated_normal"

    def parameters(self) -> tuple[float, ...]:
        """Mean and deviation."""
        return self.mean, self.deviation

    def draw(self, state: np.ndarray, count: int) -> np.ndarray:
        """The inverse of the distribution function, between its values at -2 and 2."""
        kept = 53 if self.dtype == "float64" else 24
        centred = 2.0 * _units(state, count, self.dtype) + (2.0**-kept - 1.0)
        chance = 0.5 + 0.5 * centred * math.erf(math.sqrt(2.0))
        quantile = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])
        return np.clip(quantile(chance), -2.0, 2.0) * self.deviation + self.mean if count else chance

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both dtypes."""
        for shape, state in _states(rng):
            yield Sample(cls(shape, "float32"), (state,), False)
            yield Sample(cls(shape, "float64", -2.0, 0.5), (state,), False)
            yield Sample(cls(shape, "float32", first=64), (state,), False)


@dataclass(frozen=True)
class RandomBernoulli(_Random):
    """1 with a given probability, else 0."""

    shape: tuple[Dim, ...]
    dtype: str
    chance: float = 0.5
    first: Dim = 0
    kind: ClassVar[str] = "bernoulli"
    accepts: ClassVar[tuple[str, ...]] = DTYPES

    def parameters(self) -> tuple[float, ...]:
        """The probability."""
        return (self.chance,)

    def draw(self, state: np.ndarray, count: int) -> np.ndarray:
        """A comparison of 32 bits with a threshold."""
        threshold = min(max(math.ceil(self.chance * 2.0**32), 0), 2**32)
        return np.asarray(_words(state, count) < np.uint64(threshold))

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every dtype; never and always."""
        for shape, state in _states(rng):
            yield Sample(cls(shape, "float32", 0.3), (state,), False)
            yield Sample(cls(shape, "float32", 0.3, 128), (state,), False)
        for dtype in DTYPES:
            yield Sample(cls((3, 50), dtype), (state,), False)
        for chance in (0.0, 1.0):
            yield Sample(cls((100,), "int32", chance), (state,), False)


RANDOM: tuple[type[Op], ...] = (RandomUniform, RandomNormal, RandomTruncatedNormal, RandomBernoulli)
"""All random ops."""


class RandomState(Variable):
    """The state of one draw, int64: the key, the number of the call, and 0, the number of the first turn.

    Attributes
    ----------
    turns : int or dimension
        How many turns a call has: the product of the lengths of the loops whose steps make the draw, 1 for a
        draw that belongs to none.
    """

    __slots__ = ("turns",)

    def __init__(self, seed: int) -> None:
        super().__init__(np.array([seed, 0, 0], np.int64), name="random_state")
        self.trainable = False
        self.turns: Dim = 1
        self.default_update = self + constant(np.array([0, 1, 0], np.int64))
        note_draw(self)


def random_state(seed: int | None = None) -> RandomState:
    """The state of one draw: it advances by one at every call of a Function that reads it.

    Without a seed one is taken from numpy's global generator: ``np.random.seed`` makes a run reproducible.
    """
    if seed is None:
        seed = int((random_source() or np.random).randint(10_000_000))
    if not isinstance(seed, (int, np.integer)):
        raise TypeError(f"expected an integer as seed, got {seed!r}")
    return RandomState(seed)


def states_of_turns(state: RandomState, length: Dim, backward: bool) -> Tensor:
    """[length, 3]: the state in each turn of a loop around the draw, which then belongs to that loop too.

    Turns count from 0 in the order in which they run. Where the draw belongs to an inner loop already, whose
    turns count on from the number that they find here, every turn of the outer one leaves room for all.
    """
    turns = arange(length, dtype="int64")
    if backward:
        turns = subtract(size_tensor(length - 1), turns)
    places = reshape(multiply(turns, size_tensor(state.turns)), (length, 1))
    state.turns = state.turns * length
    return add(state, multiply(places, constant(np.array([0, 0, 1], np.int64))))


def _float_dtype(dtype: str | None) -> str:
    name = dtype_name(dtype or floatx())
    if not is_float(name):
        raise TypeError(f"random: expected a float dtype, got {name}")
    return working_dtype(name)


def random_uniform(
    shape: Any, low: Any = 0.0, high: Any = 1.0, dtype: str | None = None, seed: int | None = None
) -> Tensor:
    """Numbers evenly distributed in [low, high); the ends may be tensors."""
    sizes, kind = checked_shape(shape, "random_uniform"), _float_dtype(dtype)
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        unit = RandomUniform(sizes, kind)(random_state(seed))
        return add(multiply(unit, subtract(high, low)), low)
    return RandomUniform(sizes, kind, float(low), float(high))(random_state(seed))


def random_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: str | None = None, seed: int | None = None
) -> Tensor:
    """Normally distributed numbers; mean and deviation may be tensors."""
    sizes, kind = checked_shape(shape, "random_normal"), _float_dtype(dtype)
    if isinstance(mean, Tensor) or isinstance(stddev, Tensor):
        return add(multiply(RandomNormal(sizes, kind)(random_state(seed)), stddev), mean)
    return RandomNormal(sizes, kind, float(mean), float(stddev))(random_state(seed))


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: int | None = None
) -> Tensor:
    """Normally distributed numbers that lie within two deviations of the mean."""
    sizes, kind = checked_shape(shape, "truncated_normal"), _float_dtype(dtype)
    return RandomTruncatedNormal(sizes, kind, float(mean), float(stddev))(random_state(seed))


def random_bernoulli(
    shape: Any, chance: Any = 0.5, dtype: str | None = None, seed: int | None = None
) -> Tensor:
    """1 with probability `chance` (a number, or a tensor that broadcasts to the shape), else 0."""
    sizes, kind = checked_shape(shape, "random_bernoulli"), working_dtype(dtype_name(dtype or floatx()))
    if isinstance(chance, Tensor):
        drawn = RandomUniform(sizes, chance.dtype if is_float(chance.dtype) else floatx())(random_state(seed))
        return cast(less(drawn, chance), kind)
    return RandomBernoulli(sizes, kind, float(chance))(random_state(seed))
