"""What a kernel is made of, for reading: its Python, its LLVM IR, its assembly."""

from __future__ import annotations

import re
from functools import cached_property

from symgraph.kernels.run.jit import Kernel

_WIDTHS = ((r"%zmm\d|\bzmm\d", 512), (r"%ymm\d|\bymm\d", 256), (r"%xmm\d|\bxmm\d|\bv\d+\.", 128))
_FMA = re.compile(r"^\s*(?:v?fn?m(?:add|sub|la|ls)\w*)\s", re.MULTILINE)


class KernelSource:
    """The texts of one kernel, made when they are asked for."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.kernel.name

    @cached_property
    def python(self) -> str:
        """The Python that wrote the kernel."""
        return self.kernel.source()

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
