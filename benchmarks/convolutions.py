"""Convolutions by each algorithm, and which of them the model of `kernels/conv_parts/algorithm.py` takes.

    python -m benchmarks.convolutions [--kind forward|input|weight] [--seconds 1] [--threads 2]

Layers are 3 x 3 with stride 1, float32: those of classic networks at batch 32, of small slices of a batch,
and of VGG at batch 1. Times are medians in ms, the algorithms taking turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from symgraph.kernels.conv import conv2d_input_gradient_rows, conv2d_rows
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient_rows
from symgraph.kernels.conv_parts.winograd import winograd_input_gradient_rows, winograd_rows
from symgraph.kernels.conv_parts.winograd_gradient import winograd_weight_gradient_rows
from symgraph.kernels.run.buffer import Buffer, contiguous_strides
from symgraph.kernels.run.choices import choosing
from symgraph.kernels.run.machine import Lease, Row, Table

# Samples, height and width, channels, filters, padding.
LAYERS = (
    (128, 26, 32, 64, 0), (32, 26, 32, 64, 0), (32, 72, 32, 64, 0), (32, 56, 64, 64, 0), (32, 34, 64, 128, 0),
    (32, 28, 128, 128, 1), (32, 14, 256, 256, 1), (32, 15, 64, 64, 0), (8, 56, 64, 64, 1),
    (32, 32, 32, 32, 1), (32, 15, 32, 32, 0), (32, 7, 128, 256, 0), (2, 72, 32, 64, 0), (2, 34, 64, 128, 0),
    (2, 15, 128, 128, 0), (1, 224, 64, 64, 1), (1, 112, 128, 128, 1), (1, 56, 256, 256, 1),
    (1, 28, 512, 512, 1), (1, 14, 512, 512, 1),
)  # fmt: skip


_Plan = Callable[..., list[Row]]


def main() -> None:
    """Measure and print a line for each layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("forward", "input", "weight"), default="forward")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each layer")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print("| layer | direct ms | 4x4 ms | 2x2 ms | ratio | taken |")
    print("| --- | --- | --- | --- | --- | --- |")
    for layer in LAYERS:
        print(_line(layer, options.kind, options.seconds, options.threads), flush=True)


def _line(layer: tuple[int, ...], kind: str, seconds: float, threads: int) -> str:
    samples, side, channels, filters, border = layer
    padding = ((border, border), (border, border))
    rng = np.random.default_rng(0)
    out = side + 2 * border - 2
    shapes = ((samples, side, side, channels), (3, 3, channels, filters), (samples, out, out, filters))
    x, w, y = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    arrays = {"forward": (x, w, y), "input": (y, w, x), "weight": (x, y, w)}[kind]
    choose, tiles = _plans(kind)
    choose = partial(choose, strides=(1, 1), padding=padding)
    leases = [_lease(choose, arrays, threads, "direct")]
    leases += [_lease(partial(plan, padding=padding), arrays, threads) for plan in tiles]
    times = _times(leases, seconds)
    taken = _lease(choose, arrays, threads).table.rows[0].kernel.name.split("[")[0]
    cells = [f"{kind} {samples}x{side}x{side}x{channels} -> {filters}{', same' if border else ''}"]
    cells += [f"{t:.3f}" for t in times] + ["-"] * (3 - len(times))
    return "| " + " | ".join([*cells, f"{min(times[1:]) / times[0]:.2f}", taken]) + " |"


def _plans(kind: str) -> tuple[_Plan, list[_Plan]]:
    """What chooses the algorithm, and what takes each size of tiles."""
    if kind == "weight":
        return conv2d_weight_gradient_rows, [winograd_weight_gradient_rows]
    choose, tiles = {
        "forward": (conv2d_rows, winograd_rows),
        "input": (conv2d_input_gradient_rows, winograd_input_gradient_rows),
    }[kind]
    return choose, [partial(tiles, outputs=outputs) for outputs in (4, 2)]


def _lease(plan: _Plan, arrays: Sequence[np.ndarray], threads: int, algorithm: str = "auto") -> Lease:
    """Rows for arrays, ready to run. The arrays of scratch live as long as the lease's table of rows."""
    held = list(arrays)

    def scratch(shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        held.append(np.zeros(shape, dtype))
        return _buffer(len(held) - 1, held[-1])

    with choosing(algorithm):
        rows = plan(*map(_buffer, range(len(held)), arrays), threads=threads, scratch=scratch)
    table = Table([Row(r.kernel, r.operands, r.tiles, node=held) for r in rows], threads)
    lease = Lease(table, len(held))
    lease.bases[:] = [array.ctypes.data for array in held]
    return lease


def _buffer(base: int, array: np.ndarray) -> Buffer:
    return Buffer(base, 0, array.shape, contiguous_strides(array.shape, array.itemsize), array.dtype)


def _times(leases: Sequence[Lease], seconds: float) -> list[float]:
    """Median time of each in ms."""
    times: list[list[float]] = [[] for _ in leases]
    for lease in leases:
        lease.run()
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for found, lease in zip(times, leases, strict=True):
            start = time.perf_counter()
            lease.run()
            found.append(time.perf_counter() - start)
    return [float(np.median(found)) * 1e3 for found in times]


if __name__ == "__main__":
    main()
