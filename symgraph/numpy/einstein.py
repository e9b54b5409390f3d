"""Sums of products by Einstein's convention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, product
from symgraph.graph.ops import reduce
from symgraph.graph.ops.elementwise import cast, together
from symgraph.graph.ops.linalg.diagonals import diagonal
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.shape import reshape, transpose
from symgraph.graph.tensor import Tensor
from symgraph.numpy.arguments import operands


class _Term:
    """A tensor, and a letter for each of its axes."""

    def __init__(self, tensor: Tensor, letters: str) -> None:
        self.tensor = tensor
        self.letters = letters

    def sizes(self) -> dict[str, Dim]:
        """The size that each letter has here."""
        return dict(zip(self.letters, self.tensor.shape, strict=True))

    def ordered(self, letters: str) -> Tensor:
        """The tensor with its axes in this order."""
        return transpose(self.tensor, [self.letters.index(c) for c in letters])

    def without(self, letters: str) -> _Term:
        """Summed over letters."""
        gone = tuple(i for i, c in enumerate(self.letters) if c in letters)
        if not gone:
            return self
        rest = "".join(c for c in self.letters if c not in letters)
        return _Term(reduce.Sum(gone)(self.tensor), rest)


def einsum(subscripts: str, /, *arrays: Any) -> Tensor:
    """A sum of products, such as ``einsum("bij,bjk->bik", x, y)``, as numpy has it.

    A letter names an axis; products of elements with equal letters are summed over all letters that the
    result does not have. Without ``->`` these are the letters that occur twice. ``...`` stands for leading
    axes that broadcast. Two tensors at a time meet in a matrix product, in the order that costs least where
    all sizes are known. Integers are added in their own dtype.

    Raises
    ------
    ValueError
        The subscripts do not fit the operands, or sizes of one letter differ.
    """
    tensors = together(*operands(*arrays))
    if tensors and tensors[0].dtype == "bool":
        tensors = [cast(t, "int32") for t in tensors]
    inputs, result = _parsed(subscripts, tensors)
    terms = [_diagonals(_Term(t, letters)) for t, letters in zip(tensors, inputs, strict=True)]
    terms = _unstretched(terms, subscripts)
    for pair in _path(terms, result):
        chosen = [terms[i] for i in pair]
        terms = [t for i, t in enumerate(terms) if i not in pair]
        kept = result + "".join(t.letters for t in terms)
        made = chosen[0]
        for other in chosen[1:]:
            made = _contracted(made, other, kept)
        terms.append(made.without("".join(set(made.letters) - set(kept))))
    (last,) = terms
    return last.ordered(result)


def _parsed(subscripts: str, tensors: Sequence[Tensor]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with capital Greek ones for ``...``."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(tensors):
        raise ValueError(f"einsum: {subscripts!r} names {len(inputs)} operands, got {len(tensors)}")
    free = [t.ndim - len(letters.replace("...", "")) for t, letters in zip(tensors, inputs, strict=True)]
    most = max((n for n, letters in zip(free, inputs, strict=True) if "..." in letters), default=0)
    dots = "".join(chr(0x391 + i) for i in range(most))
    found = []
    for tensor, letters, count in zip(tensors, inputs, free, strict=True):
        if count < 0 or (count > 0 and "..." not in letters):
            raise ValueError(f"einsum: {letters!r} does not fit a tensor of {tensor.ndim} dimensions")
        found.append(letters.replace("...", dots[most - count :]))
    every = "".join(found)
    if arrow:
        result = right.replace("...", dots)
    else:
        result = dots + "".join(sorted(c for c in set(every) - set(dots) if every.count(c) == 1))
    if not (every + result).replace(".", "-").isalpha() and (every + result):
        raise ValueError(f"einsum: expected letters, commas, '...' and one '->', got {subscripts!r}")
    if len(set(result)) != len(result) or not set(result) <= set(every):
        raise ValueError(
            f"einsum: expected each letter of the result once and among the operands', got {right!r}"
        )
    return found, result


def _diagonals(term: _Term) -> _Term:
    """Letters that an operand has twice are its diagonal."""
    for letter in dict.fromkeys(term.letters):
        while term.letters.count(letter) > 1:
            first = term.letters.index(letter)
            second = term.letters.index(letter, first + 1)
            order = [a for a in range(len(term.letters)) if a not in (first, second)]
            sizes = term.tensor.shape[first], term.tensor.shape[second]
            if all(isinstance(s, int) for s in sizes) and sizes[0] != sizes[1]:
                raise ValueError(f"einsum: sizes {sizes[0]} and {sizes[1]} of {letter!r} differ")
            moved = diagonal(transpose(term.tensor, [*order, first, second]))
            term = _Term(moved, "".join(term.letters[a] for a in order) + letter)
    return term


def _unstretched(terms: list[_Term], subscripts: str) -> list[_Term]:
    """Without the axes of size 1 that are stretched to other sizes of their letter."""
    sizes: dict[str, Dim] = {}
    for term in terms:
        for letter, size in term.sizes().items():
            known = sizes.setdefault(letter, size)
            if known == 1:
                sizes[letter] = size
            elif size not in (1, known) and isinstance(size, int) and isinstance(known, int):
                raise ValueError(f"einsum: {subscripts!r} has sizes {known} and {size} of {letter!r}")
    return [
        term.without("".join(c for c, size in term.sizes().items() if size == 1 != sizes[c]))
        for term in terms
    ]


def _path(terms: Sequence[_Term], result: str) -> list[tuple[int, ...]]:
    """Which terms meet, step by step; numpy's order where all sizes are known, else from left to right."""
    if len(terms) < 3:
        return [tuple(range(len(terms)))]
    if not all(isinstance(size, int) for t in terms for size in t.tensor.shape):
        return [(0, 1), *((0, len(terms) - 1 - step) for step in range(1, len(terms) - 1))]
    names = {
        c: chr(97 + i) if i < 26 else chr(39 + i)
        for i, c in enumerate(dict.fromkeys("".join(t.letters for t in terms)))
    }
    text = ",".join("".join(names[c] for c in t.letters) for t in terms)
    shapes = [np.broadcast_to(np.float32(0), tuple(t.tensor.shape)) for t in terms]  # type: ignore[arg-type]
    steps, _ = np.einsum_path(f"{text}->{''.join(names[c] for c in result)}", *shapes, optimize="greedy")
    return [tuple(step) for step in steps[1:]]


def _contracted(a: _Term, b: _Term, kept: str) -> _Term:
    """The product of two terms, summed over letters that are needed no more."""
    a = a.without("".join(c for c in a.letters if c not in b.letters and c not in kept))
    b = b.without("".join(c for c in b.letters if c not in a.letters and c not in kept))
    both = [c for c in a.letters if c in b.letters]
    batch = "".join(c for c in both if c in kept)
    inner = "".join(c for c in both if c not in kept)
    rows = "".join(c for c in a.letters if c not in both)
    columns = "".join(c for c in b.letters if c not in both)
    sizes = {**b.sizes(), **a.sizes()}

    def joined(letters: str) -> Dim:
        return product(sizes[c] for c in letters)

    front = tuple(sizes[c] for c in batch)
    left = reshape(a.ordered(batch + rows + inner), (*front, joined(rows), joined(inner)))
    right = reshape(b.ordered(batch + inner + columns), (*front, joined(inner), joined(columns)))
    made = matmul(left, right) if inner else left * right
    letters = batch + rows + columns
    return _Term(reshape(made, tuple(sizes[c] for c in letters)), letters)


__all__ = ["einsum"]
