"""A kernel's code, for reading: its Python source, LLVM IR and assembly."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from textwrap import fill
from types import MappingProxyType

from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.table import Address, Row

_WIDTHS = ((r"%zmm\d|\bzmm\d", 512), (r"%ymm\d|\bymm\d", 256), (r"%xmm\d|\bxmm\d|\bv\d+\.", 128))
# Words are told of so many rows.
_MOST_ROWS = 4
_FMA = re.compile(r"^\s*(?:v?fn?m(?:add|sub|la|ls)\w*)\s", re.MULTILINE)


class KernelSource:
    """The code of one kernel, produced on demand.

    `rows` are calls of it, by their numbers, whose words its Python tells; `place` names an address.
    """

    def __init__(
        self,
        kernel: Kernel,
        rows: Mapping[int, Row] = MappingProxyType({}),
        place: Callable[[Address], str] = str,
    ) -> None:
        self.kernel = kernel
        self._rows = rows
        self._place = place

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.kernel.name

    @cached_property
    def python(self) -> str:
        """The Python that wrote the kernel, and the words that it gets."""
        words = [self._words(number) for number in list(self._rows)[:_MOST_ROWS]] if self.kernel.words else []
        return "\n".join([self.kernel.source().rstrip(), *words]) + "\n"

    def _words(self, number: int) -> str:
        """The words of a row that are not 0, as a comment."""
        row = self._rows[number]
        pairs = zip(self.kernel.words, row.operands, strict=False)
        values = [f"{name} = {self._text(value)}" for name, value in pairs if value != 0]
        rest = len(row.operands) - len(self.kernel.words)
        more = [f"and {rest} more without names"] if rest > 0 else []
        # Values stay whole where lines end.
        listed = ", ".join(item.replace(" ", "\0") for item in [*values, *more])
        tiles = f"{row.tiles} tile{'s' * (row.tiles != 1)}"
        text = f"row {number}, {tiles}; words that are not listed are 0: {listed}"
        wrapped = fill(text, 100, initial_indent="# ", subsequent_indent="#     ", break_on_hyphens=False)
        return "\n" + wrapped.replace("\0", " ")

    def _text(self, value: int | Address) -> str:
        return self._place(value) if isinstance(value, Address) else str(value)

    @cached_property
    def llvm(self) -> str:
        """Its LLVM IR, optimised."""
        return self.kernel.llvm()

    @cached_property
    def assembly(self) -> str:
        """Its assembly for this processor."""
        return self.kernel.assembly(self.llvm)

    @property
    def vector_bits(self) -> int:
        """Width of the widest registers in the assembly; 0 where there are no vector registers."""
        return next((bits for pattern, bits in _WIDTHS if re.search(pattern, self.assembly)), 0)

    @property
    def fma_count(self) -> int:
        """How many multiply-and-add instructions the assembly has."""
        return len(_FMA.findall(self.assembly))

    def __str__(self) -> str:
        return "\n".join(
            [
                f"== {self.name}: {self.vector_bits} bits, {self.fma_count} fused multiply-adds",
                "-- Python",
                self.python.rstrip(),
                "-- LLVM IR",
                self.llvm.rstrip(),
                "-- assembly",
                self.assembly.rstrip(),
            ]
        )

    def __repr__(self) -> str:
        return f"<KernelSource {self.name}>"
