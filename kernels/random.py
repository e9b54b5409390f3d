"""Random numbers from a counter: element i is a function of (key, stream, turn, i), however the work is cut.

The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
SC 2011). Block b of a stream is the generator's value for the counter (b, stream), both of 64 bits. Above the
lower 45 bits of b and the lower 43 of the stream these hold a turn of 40 bits, so that no two of (b, stream,
turn) meet: 2**45 blocks make 2**47 elements of a byte, all that a processor can address; 2**43 streams, at a
draw in 10 microseconds each, last for two years, 2**40 turns for four months. Sixteen blocks make a group:
their first words are 16 neighbouring elements, their second words the next 16, and so on (for float64 drawn
to full precision: pairs of words). A kernel makes a group in one or more steps, so that the rounds of a step
stay in registers; the numbers are the same on all processors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from symgraph.kernels.maths import exponential, trigonometric
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.memory import float_bits
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.nest import Writer, load, store, vector_kernel
from symgraph.kernels.tile.operand import WORTH_A_THREAD, lesser
from symgraph.kernels.tile.vector import FLOATS, ITEMSIZE, Vec, highest, lowest, minimum, polynomial, where

KINDS = ("uniform", "normal", "bernoulli", "truncated_normal", "bits")
BLOCKS = 16
BLOCK_BITS, STREAM_BITS = 45, 43
"""Of the counter's two halves: what is above holds the lower and the upper bits of the turn."""
# Blocks of a step: the four words of its rounds fill eight registers, half of what the narrow machines have.
_LANES = min(BLOCKS, max(4, TARGET.lanes(4)))
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_OUT, _SEED, _SIZE, _GROUPS, _GROUPS_PER_TILE, _SKIPPED, _PARAMETERS = range(7)
ALIGNMENT = 64
"""Elements of the largest group: numbers from the midst of a stream begin at a multiple of it."""
# sqrt(2) erfinv(x) / x as a polynomial in -log(1 - x**2), for abs(x) <= erf(sqrt(2)).
_QUANTILE = {
    "float32": (1.2533141, 3.2811826e-1, 1.6323265e-2, -3.2750685e-3, -2.1723766e-4, 9.1313326e-5,
                -6.4514697e-6),
    "float64": (1.2533141373155006, 0.3281168738691656, 0.01633323614857299, -0.0033023324298255387,
                -0.00018108044600144638, 6.591809026203675e-05, 2.857772458675353e-06, -1.433759542567816e-06,
                -5.065920658302115e-08, 3.052268219723774e-08, 2.051758619443179e-09, -1.123778058395917e-09,
                6.721957106304881e-11, 9.220782960638093e-12, -1.0360583913419258e-12),
}  # fmt: skip
_WITHIN_TWO = math.erf(math.sqrt(2.0))


def philox(counter: list[Vec], key: tuple[Vec, Vec]) -> list[Vec]:
    """Philox4x32-10: four uint32 vectors from a counter of four and a key of two, all of them uint64.

    Of all words between only the lower halves count: a processor's 32 by 32 bit multiply reads no more, so
    the upper halves may hold anything, and nothing has to be cut or packed between the rounds.
    """
    first, second, third, fourth = counter
    key_0, key_1 = key
    for _ in range(_ROUNDS):
        product_0, product_1 = _multiply(first, _MULTIPLIERS[0]), _multiply(third, _MULTIPLIERS[1])
        first, second = (product_1 >> 32) ^ (second ^ key_0), product_1
        third, fourth = (product_0 >> 32) ^ (fourth ^ key_1), product_0
        key_0, key_1 = key_0 + _WEYL[0], key_1 + _WEYL[1]
    return [word.cast("uint32") for word in (first, second, third, fourth)]


def _multiply(x: Vec, factor: int) -> Vec:
    """The 64-bit product of the lower half of `x`."""
    return (x & 0xFFFFFFFF) * factor


class _Numbers(NamedTuple):
    """Words of a group and the kernel's parameters, as the distributions take them."""

    words: list[Vec]
    dtype: str
    parameter: Callable[[int, str], Vec]

    @property
    def wide(self) -> bool:
        """Whether an element takes two words."""
        return self.dtype == "float64"

    def integers(self) -> list[Vec]:
        """The uint32 vectors, or half as many of uint64 where elements are float64."""
        if not self.wide:
            return self.words
        pairs = zip(self.words[::2], self.words[1::2], strict=True)
        return [(a.cast("uint64") << 32) | b.cast("uint64") for a, b in pairs]

    def units(self) -> list[Vec]:
        """Floats in [0, 1): multiples of 2**-24 or 2**-53."""
        if self.wide:
            return [(x >> 11).cast("float64") * 2.0**-53 for x in self.integers()]
        return [(x >> 8).cast("float32") * 2.0**-24 for x in self.words]

    def centred(self) -> list[Vec]:
        """Floats in (-1, 1), symmetric about 0."""
        if self.wide:
            return [2.0 * x + (2.0**-53 - 1.0) for x in self.units()]
        return [2.0 * x + (2.0**-24 - 1.0) for x in self.units()]


def _bits(numbers: _Numbers) -> list[Vec]:
    return [w.cast("int64") for w in numbers.words]


def _uniform(numbers: _Numbers) -> list[Vec]:
    dtype = numbers.dtype
    if dtype in FLOATS:
        low, width, last = (numbers.parameter(i, dtype) for i in range(3))
        return [minimum(u.multiply_add(width, low), last) for u in numbers.units()]
    low, width = numbers.parameter(0, "int64"), numbers.parameter(1, "int64").unsigned()
    # The upper half of a 64-bit product spreads 2**32 words evenly over `width` values.
    offsets = [((w.cast("uint64") * width) >> 32) for w in numbers.words]
    return [(Vec(low.builder, offset.value, "int64") + low).cast(dtype) for offset in offsets]


def _bernoulli(numbers: _Numbers) -> list[Vec]:
    threshold, possible = numbers.parameter(0, "uint32"), numbers.parameter(1, "uint32").truth()
    return [((w <= threshold) & possible).cast(numbers.dtype) for w in numbers.words]


def _normal(numbers: _Numbers) -> list[Vec]:
    """Box and Muller (1958): a radius from one uniform number, an angle from another, two normal numbers."""
    dtype = numbers.dtype
    mean, deviation = numbers.parameter(0, dtype), numbers.parameter(1, dtype)
    form = exponential.FORMAT[dtype]
    size = 8 * ITEMSIZE[dtype]
    results = []
    integers = numbers.integers()
    for chance, turn in zip(integers[::2], integers[1::2], strict=True):
        # (0, 1]: the half step keeps 0 out, so that the logarithm is finite.
        unit = chance.cast(dtype).multiply_add(2.0**-size, 2.0 ** (-size - 1))
        radius = deviation * (-2.0 * exponential.log_positive(unit)).sqrt()
        signed = Vec(turn.builder, turn.value, form.integer)
        # The two upper bits (rounded) are the quadrant, the rest a signed angle within it.
        quadrant = (signed + (1 << (size - 3))) >> (size - 2)
        angle = (signed - (quadrant << (size - 2))).cast(dtype) * (math.pi / 2 * 2.0 ** (2 - size))
        sine, cosine = trigonometric.sin_cos(angle)
        odd = (quadrant & 1).differs(0)
        sine, cosine = where(odd, cosine, sine), where(odd, sine, cosine)
        sine = where((quadrant & 2).differs(0), -sine, sine)
        cosine = where(((quadrant + 1) & 2).differs(0), -cosine, cosine)
        results += [radius.multiply_add(cosine, mean), radius.multiply_add(sine, mean)]
    return results


def _truncated_normal(numbers: _Numbers) -> list[Vec]:
    """A normal number within two deviations: the inverse of its distribution function."""
    dtype = numbers.dtype
    mean, deviation = numbers.parameter(0, dtype), numbers.parameter(1, dtype)
    results = []
    for unit in numbers.centred():
        x = unit * _WITHIN_TWO
        tail = -exponential.log_positive(1.0 - x * x)
        quantile = exponential.clamp(x * polynomial(tail, _QUANTILE[dtype]), -2.0, 2.0)
        results.append(quantile.multiply_add(deviation, mean))
    return results


_DISTRIBUTIONS: dict[str, Callable[[_Numbers], list[Vec]]] = {
    "uniform": _uniform,
    "normal": _normal,
    "bernoulli": _bernoulli,
    "truncated_normal": _truncated_normal,
    "bits": _bits,
}


def _group_size(kind: str, dtype: str) -> int:
    """Elements that a group of blocks makes: four or two from each."""
    return BLOCKS * (2 if dtype == "float64" and kind not in ("bernoulli", "bits") else 4)


@cache
def _kernel(kind: str, dtype: str) -> Kernel:
    def write(writer: Writer) -> None:
        _emit(writer, kind, dtype)

    return vector_kernel(f"random_{kind}[{dtype}]", write, (kind, dtype))


def _emit(writer: Writer, kind: str, dtype: str) -> None:
    builder = writer.builder
    seed = writer.word(_SEED)
    number, call, turn = (load(seed + 8 * i, "uint64") for i in range(3))
    key, stream = _halves(writer, number), _halves(writer, call ^ _upper_turn(turn))
    first_block = (turn << BLOCK_BITS) + (writer.word(_SKIPPED) * BLOCKS).unsigned()

    def parameter(number: int, wanted: str) -> Vec:
        at = _PARAMETERS + number
        scalar = writer.float_word(at) if wanted in FLOATS else writer.word(at)
        return writer.splat(scalar.cast(wanted), _LANES)

    group = writer.tile * writer.word(_GROUPS_PER_TILE)
    last = lesser(group + writer.word(_GROUPS_PER_TILE), writer.word(_GROUPS))
    size = ITEMSIZE[dtype]
    step = _group_size(kind, dtype)
    numbers = writer.lane_numbers(_LANES, "uint64")
    with writer.loop(group, last) as at, writer.loop(0, writer.integer(BLOCKS), _LANES) as part:
        block = numbers + writer.splat((at * BLOCKS + part).unsigned() + first_block, _LANES)
        drawn = _Numbers(philox([block, block >> 32, *stream], (key[0], key[1])), dtype, parameter)
        values = _DISTRIBUTIONS[kind](drawn)
        first = at * step + part
        place, left = writer.word(_OUT) + first * size, writer.word(_SIZE) - first
        with builder.if_else((at * step + step <= writer.word(_SIZE)).value) as (then, otherwise):
            with then:
                for i, value in enumerate(values):
                    store(value, place + i * BLOCKS * size)
            with otherwise:
                for i, value in enumerate(values):
                    rest = left - i * BLOCKS
                    mask = writer.tail_mask(where(rest > 0, rest, 0), _LANES)
                    store(value, place + i * BLOCKS * size, mask)


def _upper_turn(turn: Vec) -> Vec:
    """The bits of the turn that the upper half of the counter holds, in their place."""
    return (turn >> (64 - BLOCK_BITS)) << STREAM_BITS


def _halves(writer: Writer, number: Vec) -> list[Vec]:
    """Lower and upper 32 bits of a 64-bit scalar, in the lower halves of every lane."""
    return [writer.splat(half, _LANES) for half in (number, number >> 32)]


def _parameter_words(kind: str, dtype: str, parameters: tuple[float, ...]) -> list[int]:
    if kind == "bernoulli":
        (chance,) = parameters
        threshold = min(max(math.ceil(chance * 2.0**32), 0), 2**32)
        return [max(threshold - 1, 0), int(threshold > 0)]
    if kind == "uniform" and dtype not in FLOATS:
        first, end = (int(p) for p in parameters)
        if not (lowest(dtype) <= first < end <= highest(dtype) + 1 and end - first <= 2**32):
            raise ValueError(
                f"random uniform {dtype}: expected low < high within the dtype, got {first} and {end}"
            )
        return [first, end - first]
    if kind == "uniform":
        low, high = parameters
        # Rounding must not reach the excluded end.
        last = float(np.nextafter(np.dtype(dtype).type(high), np.dtype(dtype).type(low)))
        return [float_bits(low), float_bits(high - low), float_bits(last if high > low else low)]
    return [float_bits(p) for p in parameters]


def random_rows(
    kind: str,
    out: Buffer,
    seed: Buffer,
    parameters: tuple[float, ...] = (),
    first: int = 0,
    *,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows that fill `out` with random numbers.

    Parameters
    ----------
    kind : {'uniform', 'normal', 'bernoulli', 'truncated_normal', 'bits'}
        With parameters (low, high), (mean, deviation), (probability of 1), (mean, deviation) and none.
        Uniform numbers lie in [low, high), of floats and of integers; truncated normal ones within two
        deviations.
    out : Buffer
        Contiguous. Uniform: any dtype but bool; normal kinds: floats; bernoulli: any dtype; bits: int64 (32
        random bits each).
    seed : Buffer
        uint64 or int64 [3], read when the row runs: the key, the number of the stream, and that of the
        turn. Different streams, and the turns of one, are independent.
    first : int
        How many numbers of the stream come before these: a multiple of `ALIGNMENT`.

    Raises
    ------
    ValueError
        A range that the integer dtype does not hold.
    """
    assert out.contiguous, "random numbers are written in order"
    assert first % ALIGNMENT == 0, first
    dtype = out.dtype.name
    if out.size == 0:
        return []
    step = _group_size(kind, dtype)
    groups = -(-out.size // step)
    cost = step * (0.5 if kind in ("uniform", "bernoulli", "bits") else 1.0)
    tiles = 1 if threads == 1 else max(1, min(4 * threads, groups, int(groups * cost / WORTH_A_THREAD)))
    per_tile = -(-groups // tiles)
    words: list[int | Address] = [out.address, seed.address, out.size, groups, per_tile, first // step]
    words += _parameter_words(kind, dtype, parameters)
    return [Row(_kernel(kind, dtype), tuple(words), -(-groups // per_tile))]


def random(
    kind: str,
    shape: int | tuple[int, ...],
    dtype: str = "float32",
    parameters: tuple[float, ...] = (),
    *,
    key: int,
    stream: int = 0,
    turn: int = 0,
    first: int = 0,
    threads: int | None = None,
) -> np.ndarray:
    """Random numbers as a numpy array; see `random_rows` for kinds and parameters."""
    out = np.empty(shape, dtype)
    seed = np.array([key, stream, turn], "uint64")
    launch(
        lambda out, seed, **options: random_rows(kind, out, seed, parameters, first, **options),
        out,
        seed,
        threads=threads,
    )
    return out
