"""Square matrix products through a Function, symgraph beside PyTorch on as many threads.

    python -m benchmarks.products [--only 512,1024] [--rounds 5] [--threads 2]

Both take arrays and give a new one; `python -m benchmarks.kernels --only matmul` measures the kernel alone.
The peak is that of multiply-adds from registers, measured first.
"""

from __future__ import annotations

import argparse

from benchmarks.cases import products
from benchmarks.kernels import measure, row
from symgraph.kernels.ceilings import measure_ceilings

# Multiply-adds of a turn: small products are called often.
_TURN = 2**31


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="sizes, such as 512,1024")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    peak = measure_ceilings(options.threads).gflops
    only = options.only.split(",") if options.only else None
    print(f"Milliseconds a call (median), {options.threads} threads, float32, peak {peak:.0f} GFLOP/s.\n")
    print("| product | symgraph ms | torch ms | ratio | GFLOP/s | share of peak |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for case in products():
        if only is None or str(case.shape[0]) in only:
            calls = min(200, max(3, _TURN // case.multiply_adds))
            print(row(case, measure(case, options.rounds, calls, options.threads), peak), flush=True)


if __name__ == "__main__":
    main()
