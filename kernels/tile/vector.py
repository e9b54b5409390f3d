"""Formulas over LLVM vectors: `Vec` wraps a vector (or scalar) value with Python's operators.

A function of `Vec` writes straight-line code at the builder's place, so ``x * (1.0 - x)`` reads as the
formula that it emits. Python numbers become constants of the other operand's type. Nothing here reorders
arithmetic: no fast-math flags are set, so split constants and compensated sums keep their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from symgraph.kernels.tile.builder import (
    ELEMENT,
    INDEX,
    Builder,
    Kind,
    Value,
    call,
    constant,
    lane_order,
    lanes_of,
    vector_type,
)

ITEMSIZE = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
    "float16": 2,
    "float32": 4,
    "float64": 8,
}
FLOATS = ("float32", "float64")
_UNSIGNED = ("bool", "uint8", "uint16", "uint32", "uint64")
_SAME_SIZE_INT = {"float32": "int32", "float64": "int64"}


@cache
def _constant(dtype: str, lanes: int, text: str) -> Value:
    """A constant in every lane, kept by its exact text (0.0, -0.0 and 0 stay apart)."""
    number = float(text) if dtype in FLOATS else int(text)
    value: object = bool(number) if dtype == "bool" else number
    return constant(vector_type(dtype, lanes), [value] * lanes if lanes else value)


def is_integer(dtype: str) -> bool:
    """Whether `dtype` is an integer type wider than one bit."""
    return dtype not in FLOATS and dtype != "bool"


def lowest(dtype: str) -> float | int:
    """The least value of `dtype`: minus infinity for floats."""
    if dtype in FLOATS:
        return float("-inf")
    return 0 if dtype in _UNSIGNED else -(1 << (8 * ITEMSIZE[dtype] - 1))


def highest(dtype: str) -> float | int:
    """The greatest value of `dtype`: infinity for floats."""
    if dtype in FLOATS:
        return float("inf")
    if dtype == "bool":
        return 1
    return (1 << (8 * ITEMSIZE[dtype] - (0 if dtype in _UNSIGNED else 1))) - 1


class Vec:
    """A vector of `lanes` elements of `dtype` (a scalar where `lanes` is 0), and the builder that emits."""

    __slots__ = ("builder", "dtype", "value")

    def __init__(self, builder: Builder, value: Value, dtype: str) -> None:
        self.builder = builder
        self.value = value
        self.dtype = dtype

    @property
    def lanes(self) -> int:
        """Elements of the vector; 0 for a scalar."""
        return lanes_of(self.value)

    @property
    def is_float(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.dtype in FLOATS

    @property
    def mangled(self) -> str:
        """The type as intrinsics' names end with it, such as ``v16f32``."""
        letter = "f" if self.dtype.startswith("float") else "i"
        bits = 1 if self.dtype == "bool" else 8 * ITEMSIZE[self.dtype]
        return (f"v{self.lanes}" if self.lanes else "") + f"{letter}{bits}"

    def constant(self, number: float, dtype: str | None = None) -> Vec:
        """`number` in every lane."""
        dtype = dtype or self.dtype
        text = repr(float(number)) if dtype in FLOATS else str(int(number))
        return Vec(self.builder, _constant(dtype, self.lanes, text), dtype)

    def _lift(self, other: Vec | float) -> Vec:
        if not isinstance(other, Vec):
            return self.constant(other)
        assert other.dtype == self.dtype, f"{self.dtype} meets {other.dtype}"
        return other

    def _make(self, value: Value, dtype: str | None = None) -> Vec:
        return Vec(self.builder, value, dtype or self.dtype)

    def call(self, name: str, *others: Vec) -> Vec:
        """The intrinsic ``llvm.<name>`` of this vector and others of the same type."""
        return self._make(
            call(
                self.builder,
                f"llvm.{name}.{self.mangled}",
                self.value.type,
                [self.value, *(o.value for o in others)],
            )
        )

    # Arithmetic ------------------------------------------------------------------------------------------
    def _binary(self, other: Vec | float, on_float: str, on_int: str) -> Vec:
        method = getattr(self.builder, on_float if self.is_float else on_int)
        return self._make(method(self.value, self._lift(other).value))

    def __add__(self, other: Vec | float) -> Vec:
        return self._binary(other, "fadd", "add")

    def __sub__(self, other: Vec | float) -> Vec:
        return self._binary(other, "fsub", "sub")

    def __mul__(self, other: Vec | float) -> Vec:
        return self._binary(other, "fmul", "mul")

    def __truediv__(self, other: Vec | float) -> Vec:
        """Quotient; of integers truncated (the divisor must be safe)."""
        return self._binary(other, "fdiv", "udiv" if self.dtype in _UNSIGNED else "sdiv")

    def remainder(self, other: Vec | float) -> Vec:
        """Remainder of truncated integer division (the divisor must be safe)."""
        return self._binary(other, "frem", "urem" if self.dtype in _UNSIGNED else "srem")

    def __radd__(self, other: float) -> Vec:
        return self._lift(other) + self

    def __rsub__(self, other: float) -> Vec:
        return self._lift(other) - self

    def __rmul__(self, other: float) -> Vec:
        return self._lift(other) * self

    def __rtruediv__(self, other: float) -> Vec:
        return self._lift(other) / self

    def __neg__(self) -> Vec:
        return self._make(self.builder.fneg(self.value)) if self.is_float else 0 - self

    def multiply_add(self, factor: Vec | float, term: Vec | float) -> Vec:
        """``self * factor + term``, fused where the processor can."""
        if not self.is_float:
            return self * factor + term
        return self.call("fmuladd", self._lift(factor), self._lift(term))

    def lane(self, number: int) -> Vec:
        """One element, as a scalar."""
        return self._make(self.builder.extract_element(self.value, INDEX(number)))

    def shuffled(self, other: Vec, order: Sequence[int]) -> Vec:
        """Lanes of this vector and of `other`, which are numbered on, in a new order."""
        return self._make(self.builder.shuffle_vector(self.value, other.value, lane_order(order)))

    # Bits and truth --------------------------------------------------------------------------------------
    def _bitwise(self, other: Vec | int, operation: str) -> Vec:
        return self._make(getattr(self.builder, operation)(self.value, self._lift(other).value))

    def __and__(self, other: Vec | int) -> Vec:
        return self._bitwise(other, "and_")

    def __or__(self, other: Vec | int) -> Vec:
        return self._bitwise(other, "or_")

    def __xor__(self, other: Vec | int) -> Vec:
        return self._bitwise(other, "xor")

    def __lshift__(self, other: Vec | int) -> Vec:
        return self._bitwise(other, "shl")

    def __rshift__(self, other: Vec | int) -> Vec:
        return self._bitwise(other, "lshr" if self.dtype in _UNSIGNED else "ashr")

    def __invert__(self) -> Vec:
        return self ^ (1 if self.dtype == "bool" else -1)

    # Comparisons -----------------------------------------------------------------------------------------
    def _compare(self, other: Vec | float, operator: str) -> Vec:
        if self.is_float:
            method = self.builder.fcmp_unordered if operator == "!=" else self.builder.fcmp_ordered
        else:
            method = self.builder.icmp_unsigned if self.dtype in _UNSIGNED else self.builder.icmp_signed
        return self._make(method(operator, self.value, self._lift(other).value), "bool")

    def __lt__(self, other: Vec | float) -> Vec:
        return self._compare(other, "<")

    def __le__(self, other: Vec | float) -> Vec:
        return self._compare(other, "<=")

    def __gt__(self, other: Vec | float) -> Vec:
        return self._compare(other, ">")

    def __ge__(self, other: Vec | float) -> Vec:
        return self._compare(other, ">=")

    def equals(self, other: Vec | float) -> Vec:
        """Lane-wise ``==``; false where either is NaN."""
        return self._compare(other, "==")

    def differs(self, other: Vec | float) -> Vec:
        """Lane-wise ``!=``; true where either is NaN."""
        return self._compare(other, "!=")

    def is_nan(self) -> Vec:
        """Whether each lane is NaN; never for integers."""
        if not self.is_float:
            return self.constant(0, "bool")
        return self._make(self.builder.fcmp_unordered("uno", self.value, self.value), "bool")

    def truth(self) -> Vec:
        """Each lane as numpy's bool: not zero (NaN counts as true)."""
        return self if self.dtype == "bool" else self.differs(0)

    # Rounding, signs, roots ------------------------------------------------------------------------------
    def floor(self) -> Vec:
        """The greatest whole number that is not greater; integers stay."""
        return self.call("floor") if self.is_float else self

    def ceil(self) -> Vec:
        """The least whole number that is not less; integers stay."""
        return self.call("ceil") if self.is_float else self

    def trunc(self) -> Vec:
        """The whole part, towards zero; integers stay."""
        return self.call("trunc") if self.is_float else self

    def rint(self) -> Vec:
        """The nearest whole number, ties to even; integers stay."""
        return self.call("rint") if self.is_float else self

    def sqrt(self) -> Vec:
        """Correctly rounded square root."""
        return self.call("sqrt")

    def copysign(self, sign: Vec) -> Vec:
        """This magnitude with the sign bit of `sign`."""
        return self.call("copysign", sign)

    def __abs__(self) -> Vec:
        if self.is_float:
            return self.call("fabs")
        return self if self.dtype in _UNSIGNED else where(self < 0, -self, self)

    # Conversions -----------------------------------------------------------------------------------------
    def bits(self) -> Vec:
        """The float's bits as a signed integer of its size."""
        dtype = _SAME_SIZE_INT[self.dtype]
        return self._make(self.builder.bitcast(self.value, vector_type(dtype, self.lanes)), dtype)

    def as_float(self, dtype: str) -> Vec:
        """The float whose bits these integers are."""
        return self._make(self.builder.bitcast(self.value, vector_type(dtype, self.lanes)), dtype)

    def unsigned(self) -> Vec:
        """The same bits read as an unsigned integer."""
        return self._make(self.value, "u" + self.dtype)

    def signed(self) -> Vec:
        """The same bits read as a signed integer."""
        return self._make(self.value, self.dtype.removeprefix("u"))

    def cast(self, dtype: str) -> Vec:
        """Converted as numpy's astype does; floats outside an integer's range saturate, NaN gives 0.

        float16 is met here only: it is read as float32, and made of it.
        """
        if dtype == self.dtype:
            return self
        if self.dtype == "float16":
            whole = self.builder.fpext(self.value, vector_type("float32", self.lanes))
            return self._make(whole, "float32").cast(dtype)
        if dtype == "float16":
            return self._halved()
        if dtype == "bool":
            return self.truth()
        target = vector_type(dtype, self.lanes)
        if self.dtype == "bool":
            return where(self, self.constant(1, dtype), self.constant(0, dtype))
        return self._make(self._converted(dtype, target), dtype)

    def _halved(self) -> Vec:
        """As float16, rounded once: to the nearest, ties to even."""
        if self.dtype in ("int32", "uint32", "int64", "uint64"):
            return self.cast("float64")._halved()
        if self.dtype != "float64":
            single = self.cast("float32")
            half = self.builder.fptrunc(single.value, vector_type("float16", self.lanes))
            return self._make(half, "float16")
        # Cut to float32 with what was cut off noted in the last bit ("round to odd"): it settles all ties.
        near = self.cast("float32")
        beyond = abs(near).cast("float64") > abs(self)
        cut = near.bits() - where(beyond, near.bits().constant(1), 0)
        inexact = (near.cast("float64") < self) | (near.cast("float64") > self)
        return where(inexact, cut | 1, cut).as_float("float32")._halved()

    def _converted(self, dtype: str, target: Kind) -> Value:
        builder, value = self.builder, self.value
        if self.is_float and dtype in FLOATS:
            return builder.fptrunc(value, target) if dtype == "float32" else builder.fpext(value, target)
        if self.is_float:
            kind = "fptoui" if dtype in _UNSIGNED else "fptosi"
            name = f"llvm.{kind}.sat.{self.constant(0, dtype).mangled}.{self.mangled}"
            return call(builder, name, target, [value])
        if dtype in FLOATS:
            return (builder.uitofp if self.dtype in _UNSIGNED else builder.sitofp)(value, target)
        size, old = ITEMSIZE[dtype], ITEMSIZE[self.dtype]
        if size == old:
            return value
        if size < old:
            return builder.trunc(value, target)
        return (builder.zext if self.dtype in _UNSIGNED else builder.sext)(value, target)


def where(condition: Vec, yes: Vec | float, no: Vec | float) -> Vec:
    """Lane by lane `yes` where the condition holds, else `no`. One of them must be a `Vec`."""
    model = yes if isinstance(yes, Vec) else no
    assert isinstance(model, Vec)
    yes, no = model._lift(yes), model._lift(no)
    return Vec(model.builder, model.builder.select(condition.value, yes.value, no.value), model.dtype)


def maximum(a: Vec, b: Vec | float) -> Vec:
    """The greater of two; NaN where either is NaN."""
    b = a._lift(b)
    chosen = where(a > b, a, b)
    return where(a.is_nan(), a, chosen) if a.is_float else chosen


def minimum(a: Vec, b: Vec | float) -> Vec:
    """The lesser of two; NaN where either is NaN."""
    b = a._lift(b)
    chosen = where(a < b, a, b)
    return where(a.is_nan(), a, chosen) if a.is_float else chosen


def polynomial(x: Vec, coefficients: Sequence[float]) -> Vec:
    """``c0 + c1 x + c2 x**2 + ...`` by Horner's rule."""
    total = x.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total.multiply_add(x, coefficient)
    return total


def transposed(rows: list[Vec]) -> list[Vec]:
    """The columns of a square of vectors: log2(n) rounds of interleaving row i with row i + n/2."""
    side = len(rows)
    half = side // 2
    low = [i // 2 + side * (i % 2) for i in range(side)]
    high = [half + i // 2 + side * (i % 2) for i in range(side)]
    for _ in range(side.bit_length() - 1):
        pairs = zip(rows[:half], rows[half:], strict=True)
        rows = [a.shuffled(b, order) for a, b in pairs for order in (low, high)]
    return rows


def any_lane(condition: Vec) -> Value:
    """Whether the condition holds in at least one lane, as an i1."""
    if not condition.lanes:
        return condition.value
    name = f"llvm.vector.reduce.or.v{condition.lanes}i1"
    return call(condition.builder, name, ELEMENT["bool"], [condition.value])


def repeat_while(
    condition: Callable[..., Vec], step: Callable[..., Sequence[Vec]], state: Sequence[Vec]
) -> list[Vec]:
    """Run ``state = step(*state)`` while `condition(*state)` holds in any lane; the last state.

    Lanes that are done go on being stepped: `step` has to leave them as they are.
    """
    builder = state[0].builder
    entry = builder.block
    test = builder.append_basic_block("test")
    body = builder.append_basic_block("body")
    done = builder.append_basic_block("done")
    builder.branch(test)
    builder.position_at_end(test)
    phis = [builder.phi(s.value.type) for s in state]
    current = [Vec(builder, phi, s.dtype) for phi, s in zip(phis, state, strict=True)]
    going = any_lane(condition(*current))
    builder.cbranch(going, body, done)
    builder.position_at_end(body)
    following = step(*current)
    for phi, before, after in zip(phis, state, following, strict=True):
        phi.add_incoming(before.value, entry)
        phi.add_incoming(after.value, builder.block)
    builder.branch(test)
    builder.position_at_end(done)
    return current


def where_any(condition: Vec, compute: Callable[[], Sequence[Vec]], otherwise: Sequence[Vec]) -> list[Vec]:
    """Lane by lane what `compute` gives where the condition holds, else `otherwise`.

    A vector in which it holds nowhere jumps over the computation.
    """
    builder = condition.builder
    before = builder.block
    with builder.if_then(any_lane(condition), likely=False):
        rare = [where(condition, a, b) for a, b in zip(compute(), otherwise, strict=True)]
        behind = builder.block
    merged = []
    for chosen, usual in zip(rare, otherwise, strict=True):
        phi = builder.phi(usual.value.type)
        phi.add_incoming(usual.value, before)
        phi.add_incoming(chosen.value, behind)
        merged.append(Vec(builder, phi, usual.dtype))
    return merged
