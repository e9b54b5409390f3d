"""Measurements of single kernels as text: what `symgraph bench` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symgraph.inspection.text.table import byte_text, count_text, table, time_text
from symgraph.kernels.bench import Figures, KernelCall, Problem

_TITLES = {"python": "Python", "llvm": "LLVM IR", "assembly": "assembly"}
_SIDES = (
    "side",
    "median",
    "fastest",
    "quartiles",
    "runs",
    "GFLOP/s",
    "% of peak",
    "GB/s",
    "% of peak",
    "ratio",
)


def bench_lines(problem: Problem, figures: Sequence[Figures]) -> list[str]:
    """The problem, a line for each side, and the kernels that each consists of."""
    first = figures[0]
    ceilings, threads = first.ceilings, f"{first.threads} thread{'s' if first.threads > 1 else ''}"
    operands = [f"{name} {_size(array.shape)}" for name, array in problem.inputs.items()]
    results = [f"{name} {_size(array.shape)}" for name, array in problem.outputs.items()]
    work = f"{count_text(first.flops)}{'' if first.flops >= 1000 else ' '}FLOP"
    settings = [f", {name} {value}" for name, value in problem.settings.items()]
    return [
        f"{problem.kernel}: {', '.join(operands)} -> {', '.join(results)}{''.join(settings)}",
        f"{first.dtype}, {threads}; a run is {work} and {byte_text(first.bytes)}; "
        f"peaks: {first.peak_gflops:.1f} GFLOP/s, {ceilings.gbytes:.1f} GB/s",
        "",
        *table(
            _SIDES,
            [_side(found, first) for found in figures],
            range(1, len(_SIDES)),
        ),
        "",
        *table(
            ("side", "kernel", "tiles", "compiled in"),
            [_call(found.side, call) for found in figures for call in found.calls],
            (2,),
        ),
    ]


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "()"


def _side(found: Figures, first: Figures) -> tuple[str, ...]:
    low, high = found.quartiles
    return (
        found.side,
        time_text(found.seconds),
        time_text(found.fastest),
        f"{time_text(low)} to {time_text(high)}",
        str(found.runs),
        f"{found.gflops:.4g}",
        f"{100 * found.flops_share:.1f}",
        f"{found.gbytes:.4g}",
        f"{100 * found.bytes_share:.1f}",
        f"{found.seconds / first.seconds:.2f}",
    )


def _call(side: str, call: KernelCall) -> tuple[str, ...]:
    compiled = time_text(call.compile_seconds) if call.compile_seconds else "from the cache"
    once = ", runs once" if call.lasting else ""
    return side, call.name, str(call.tiles), compiled + once


def source_lines(figures: Sequence[Figures], texts: Sequence[str]) -> Iterator[str]:
    """The code of each different kernel; `texts` are some of python, llvm and assembly."""
    calls = {call.kernel: call for found in figures for call in found.calls} if texts else {}
    for call in calls.values():
        source = call.source
        yield f"== {source.name}: {source.vector_bits} bits, {source.fma_count} fused multiply-adds"
        for name in texts:
            yield f"-- {_TITLES[name]}"
            yield str(getattr(source, name)).rstrip()
