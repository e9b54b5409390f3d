"""What this machine can do at most: multiply-adds a second from registers, and bytes copied a second.

python -m benchmarks.ceilings [--threads 2]
"""

from __future__ import annotations

import argparse

from symgraph.kernels.ceilings import measure_ceilings


def main() -> None:
    """Print both ceilings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    found = measure_ceilings(parser.parse_args().threads)
    print(
        f"{found.threads} threads: {found.gflops:.0f} GFLOP/s multiply-adds, {found.gbytes:.1f} GB/s copied"
    )


if __name__ == "__main__":
    main()
