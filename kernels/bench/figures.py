"""What a measurement found."""

from __future__ import annotations

from dataclasses import dataclass, field

from symgraph.kernels.ceilings import Ceilings
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.source import KernelSource


@dataclass(frozen=True)
class KernelCall:
    """One of the kernels that a run consists of.

    Attributes
    ----------
    name : str
        As in listings of programs.
    tiles : int
        Parts of its work, which threads share.
    compile_seconds : float
        What compiling it took in this process; 0 where it came from the disk.
    lasting : bool
        Whether it ran once, before the first run, and is not in the figures.
    """

    name: str
    tiles: int
    compile_seconds: float
    lasting: bool
    kernel: Kernel = field(repr=False, compare=False)

    @property
    def source(self) -> KernelSource:
        """Its code: Python, LLVM IR and assembly."""
        return KernelSource(self.kernel)


@dataclass(frozen=True)
class Figures:
    """How long one way to compute a problem took.

    Attributes
    ----------
    kernel : str
        Name of the problem.
    side : str
        The forced choice: an algorithm, a block such as ``6x4``, or ``planned`` for the default.
    dtype : str
    threads : int
    runs : int
        How many were timed.
    seconds : float
        Of a run: the median.
    fastest : float
        Seconds of the fastest run: nearer to what the kernel needs than the median where the machine is busy.
    quartiles : (float, float)
        A quarter of the runs took less seconds than the first, a quarter more than the second.
    flops, bytes : int
        Of a run: floating-point operations of the direct algorithm, and bytes of the operands, each once.
    ceilings : Ceilings
        The machine's, on that many threads.
    calls : tuple of KernelCall
        What a run consists of.
    """

    kernel: str
    side: str
    dtype: str
    threads: int
    runs: int
    seconds: float
    fastest: float
    quartiles: tuple[float, float]
    flops: int
    bytes: int
    ceilings: Ceilings
    calls: tuple[KernelCall, ...]

    @property
    def gflops(self) -> float:
        """10^9 floating-point operations a second."""
        return self.flops / self.seconds / 1e9

    @property
    def gbytes(self) -> float:
        """10^9 bytes a second."""
        return self.bytes / self.seconds / 1e9

    @property
    def peak_gflops(self) -> float:
        """The ceiling for the dtype: a vector holds half as many numbers of 8 bytes."""
        return self.ceilings.gflops / (2 if self.dtype.endswith("64") else 1)

    @property
    def flops_share(self) -> float:
        """`gflops` over the ceiling. More than 1 where tiles need fewer operations than are counted."""
        return self.gflops / self.peak_gflops

    @property
    def bytes_share(self) -> float:
        """`gbytes` over the ceiling. More than 1 where operands lie in caches."""
        return self.gbytes / self.ceilings.gbytes
