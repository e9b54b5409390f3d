"""Single kernels, symgraph beside PyTorch: the table of KERNELS.md.

    python -m benchmarks.kernels [--only conv] [--rounds 5] [--calls 5] [--out benchmarks/KERNELS.md]

GFLOP/s count a multiply and an add for each multiply-add of the direct algorithm. The ceiling is the best
2,048 x 2,048 sgemm of both engines, measured first in the same run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cases import Case, cases, every_case
from benchmarks.harness import Engine, run
from benchmarks.peers import peers

_SGEMM = Case("matmul", (2048, 2048, 2048))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="beginning of the cases' names")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    how = (options.rounds, options.calls, options.threads)
    ceiling = max(_gflops(_SGEMM, e) for e in measure(_SGEMM, *how))
    lines = [
        "# Kernels",
        "",
        f"Milliseconds a call (median), {options.threads} threads, float32. "
        f"Best sgemm of both engines in this run: {ceiling:.0f} GFLOP/s.",
        "",
        "| kernel | symgraph ms | torch ms | ratio | GFLOP/s | share of sgemm |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines), flush=True)
    for case in cases():
        if case.name.startswith(options.only):
            lines.append(row(case, measure(case, *how), ceiling))
            print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


def measure(case: Case, rounds: int, calls: int, threads: int) -> list[Engine]:
    """symgraph, and PyTorch where it is there, after `rounds` turns of `calls` calls each."""
    engines = [Engine("symgraph", "benchmarks.engines.symgraph_kernels")]
    engines += [
        Engine("torch", "benchmarks.engines.torch_kernels", peer.python) for peer in peers("torch eager nhwc")
    ]
    run(engines, [str(every_case().index(case))], rounds, calls, threads)
    return engines


def _gflops(case: Case, engine: Engine) -> float:
    return 2 * case.multiply_adds / engine.median / 1e6


def row(case: Case, engines: list[Engine], ceiling: float) -> str:
    """A line of a table: times, ratio, GFLOP/s of symgraph, and that as a part of `ceiling`."""
    ours, *others = engines
    rate = _gflops(case, ours)
    cells = [case.name, f"{ours.median:.3f}"]
    cells += [f"{e.median:.3f}" for e in others] or ["-"]
    cells += [f"{ours.median / e.median:.2f}" for e in others] or ["-"]
    cells += [f"{rate:.0f}", f"{100 * rate / ceiling:.0f} %"] if case.multiply_adds else ["", ""]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
