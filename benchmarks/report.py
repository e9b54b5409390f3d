"""What all tables of results have in common: rows, and the machine they were measured on."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from symgraph.kernels.ceilings import measure_ceilings


def machine(threads: int, command: str) -> list[str]:
    """Lines that tell the machine, its measured ceilings, versions, and the command to repeat it all."""
    ceiling = measure_ceilings(threads)
    return [
        f"- machine: {platform.processor() or platform.machine()}, {_cpu_name()}, {threads} threads",
        f"- measured ceilings: {ceiling.gflops:.0f} GFLOP/s multiply-adds (float32), "
        f"{ceiling.gbytes:.1f} GB/s copy",
        f"- Python {platform.python_version()}, numpy {np.__version__}",
        f"- command: `make bench` (`{command}`)",
    ]


def row(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def rule(columns: int) -> str:
    """The line below a table's head."""
    return row(["---"] * columns)


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    return next(
        (line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "?"
    )
