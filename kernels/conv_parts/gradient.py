"""Gradient of two-dimensional convolution with respect to its weights.

``dw[ky, kx, c, f] = sum over n, oy, ox of x[n, oy * sy + ky, ox * sx + kx, c] * grad[n, oy, ox, f]``: a
matrix product whose depth is the output pixels. Rows of the result are (kernel cell, channel), contiguous in
x; the output gradient of a band of pixels is used for every kernel cell (long pixels are packed first). Tiles
that share the depth write partial results, which a second row sums in a fixed order. On demand the gradient
with respect to a bias, ``sum over n, oy, ox of grad``, comes with it: each band is added up while it lies in
the cache.
"""

from __future__ import annotations

import math

import numpy as np

from symgraph.kernels.contraction.contract import SMALL, Operands, slots
from symgraph.kernels.contraction.partials import partial_sum_row
from symgraph.kernels.conv_parts.algorithm import takes_winograd_weight_gradient
from symgraph.kernels.conv_parts.depthwise import depthwise_weight_gradient_rows
from symgraph.kernels.conv_parts.geometry import Padding, Pair, Tap, View, check_geometry, lattice
from symgraph.kernels.conv_parts.gradient_loops import WeightGradient, weight_gradient_kernel
from symgraph.kernels.conv_parts.winograd_gradient import winograd_weight_gradient_rows
from symgraph.kernels.reduce import reduce_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, check_bias, launch
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import Block, choose_block

BAND_STEPS = 256
"""Output pixels whose gradient is packed at once: long enough to hide loading and storing the sums."""
DIRECT_LINE = 256
"""The output's gradient is read where it lies if a pixel has no more bytes; longer lines collide in L1."""
PARTIAL_BYTES = 1 << 20
"""Weights up to this size get partial sums per tile; larger ones are shared by columns."""
STRIP_BYTES = 256 << 10
"""The part of a band of A that is brought together at once, next to the packed B."""


def conv2d_weight_gradient_rows(
    x: Buffer,
    grad: Buffer,
    out: Buffer,
    sums: Buffer | None = None,
    *,
    strides: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient of `conv2d_rows` with respect to w: `grad` has its out's shape, `out` its w's.

    With `sums`, contiguous of shape [F], also those for the gradient with respect to the bias.
    """
    check_geometry(x, out, grad, strides, padding, dilation, groups)
    kh, kw, depth, features = out.shape
    check_bias(sums, features, out.dtype, "conv2d_weight_gradient")
    size, name = x.dtype.itemsize, x.dtype.name
    apart = depth == 1 and groups > 1
    if out.size == 0 or grad.size == 0 or x.size == 0 or apart:
        rows = _sum_rows(grad, sums, threads, scratch) if sums else []
        if apart and out.size and grad.size and x.size:
            return rows + _depthwise(x, grad, out, strides, padding, dilation, threads, scratch)
        zeros = partial_sum_row(name, out.address, 0, kh * kw * depth, features, out.address, features * size)
        return [*rows, zeros] if out.size else rows
    steps = (*strides, *dilation)
    if takes_winograd_weight_gradient(x.dtype, out.shape, steps, groups, grad.shape, threads):
        return winograd_weight_gradient_rows(x, grad, out, sums, padding=padding, threads=threads,
                                             scratch=scratch)  # fmt: skip
    (top, _), (left, _) = padding
    taps = [Tap(ky * dilation[0] - top, kx * dilation[1] - left, 0) for ky in range(kh) for kx in range(kw)]
    # One kernel row's cells and channels follow each other in x, as they do in the weights.
    joined = kw if groups == 1 and dilation[1] == 1 else 1
    view = View.of(taps, lattice(grad), strides, x.shape[1], x.shape[2])
    block = choose_block(joined * depth, features // groups, x.dtype, "rows")
    values = _operands(x, grad, out, strides, groups, joined, view, block)
    bands, columns = _parts(values, block, out, threads)
    values["lines_per_band"] = _even_lines(values, bands)
    values["samples_per_band"] = _together(values, view, bands)
    # Samples that are taken together may be fewer bands than there were to be tiles: each needs one.
    bands = min(bands, _bands(values))
    target = out if bands == 1 else scratch((bands, *out.shape), out.dtype)
    values |= {"parts_bands": bands, "parts_columns": columns, "c": target.address, "c_part": out.nbytes}
    partial = sums if sums is None or bands == 1 else scratch((bands, features), out.dtype)
    if partial:
        values |= {"sums": partial.address, "sums_part": features * size}
    # Masks belong outside the hot loop: an incomplete panel is packed too.
    values["packed"] = int(features * size > DIRECT_LINE or features // groups % block.width != 0)
    samples = values["samples_per_band"]
    strip = _strip_blocks(values, view, block)
    if strip:
        steps = samples * values["lines_per_band"] * values["pixels"]
        # Blocks do not begin in the same sets of the cache.
        values |= {"strip_blocks": strip, "strip_step": steps * block.rows * size + block.vector_bytes + 64}
        values["stage"], values["stage_slot"] = slots(scratch, bands * columns, strip * values["strip_step"])
        panels = math.ceil(math.ceil(features / block.width) / columns)
        values["pack"], values["pack_slot"] = slots(scratch, bands * columns, panels * steps * block.line)
    elif values["packed"]:
        pack = samples * values["lines_per_band"] * values["pixels"] * block.width * size
        values["pack"], values["pack_slot"] = slots(scratch, bands * columns, pack)
    if view.padded:
        values["stage_sample"] = _staged_bytes(values, view)
        values["stage"], values["stage_slot"] = slots(
            scratch, bands * columns, samples * values["stage_sample"]
        )
    below = [tap.y for tap in taps[::joined]]
    operands = (*WeightGradient(**values), *view.offsets(taps, x)[::joined], *below)
    rows = [Row(weight_gradient_kernel(block), operands, bands * columns)]
    if bands > 1:
        rows.append(partial_sum_row(name, target.address, bands, kh * kw * depth, features, out.address,
                                    features * size, threads=threads))  # fmt: skip
    if bands > 1 and sums and partial:
        rows.append(partial_sum_row(name, partial.address, bands, 1, features, sums.address, 0))
    return rows


def _sum_rows(grad: Buffer, sums: Buffer, threads: int, scratch: Scratch) -> list[Row]:
    """Sum over pictures and pixels in a row of its own, for kernels that do not make it."""
    return reduce_rows("sum", (), 0, [grad], sums, (0, 1, 2), threads=threads, scratch=scratch)


def _depthwise(
    x: Buffer,
    grad: Buffer,
    out: Buffer,
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    return depthwise_weight_gradient_rows(
        x, grad, out, strides=strides, padding=padding, dilation=dilation, threads=threads, scratch=scratch
    )


def _operands(
    x: Buffer, grad: Buffer, out: Buffer, strides: Pair, groups: int, joined: int, view: View, block: Block
) -> Operands:
    _, height, width, channels = x.shape
    samples, lines, pixels, features = grad.shape
    kh, kw, depth, _ = out.shape
    size = x.dtype.itemsize
    values: Operands = {
        "a": x.address, "b": grad.address, "samples": samples, "lines": lines, "pixels": pixels,
        "a_sample": height * width * channels * size, "a_line": strides[0] * width * channels * size,
        "a_step": strides[1] * channels * size, "b_sample": lines * pixels * features * size,
        "b_line": pixels * features * size, "b_step": features * size,
        "cells": kh * kw // joined, "length": joined * depth, "groups": groups, "columns": features // groups,
        "a_group": depth * size, "c_step": features * size,
        "block_rows": block.rows, "block_width": block.width, "size": size, "staged": int(view.padded),
    }  # fmt: skip
    if view.padded:
        values |= view.staging(x, strides)
    elif values["a_sample"] == lines * values["a_line"]:
        values |= {"samples": 1, "lines": samples * lines}
    if not view.padded and values["samples"] == 1 and values["a_line"] == pixels * values["a_step"]:
        values["a_ahead"] = values["a_step"]
    values["lines_per_band"] = max(1, min(values["lines"], round(BAND_STEPS / pixels)))
    return values


def _even_lines(values: Operands, threads: int) -> int:
    """Lines of a band with which the busiest of some tiles that share the bands has fewest."""
    most, lines = values["lines_per_band"], values["lines"]
    if values["samples"] > 1:
        return most

    def busiest(band: int) -> int:
        return math.ceil(math.ceil(lines / band) / threads) * band

    return min(range(most, most // 2, -1), key=busiest)


def _parts(values: Operands, block: Block, out: Buffer, threads: int) -> Pair:
    """How many tiles share the depth, and how many the columns."""
    units = _bands(values | {"samples_per_band": 1})
    panels = values["groups"] * -(-values["columns"] // block.width)
    work = values["samples"] * values["lines"] * values["pixels"] * out.size
    if threads == 1 or work < SMALL:
        return 1, 1
    if out.nbytes <= PARTIAL_BYTES:
        return min(units, threads), 1
    columns = min(panels, threads)
    return min(units, max(1, threads // columns)), columns


def _strip_blocks(values: Operands, view: View, block: Block) -> int:
    """How many blocks of rows are brought together at once; 0 where A is read where it lies.

    That takes several panels of columns to pay.
    """
    if view.padded or values["cells"] > 1 or values["groups"] > 1 or values["columns"] <= block.width:
        return 0
    steps = values["samples_per_band"] * values["lines_per_band"] * values["pixels"]
    return max(1, min(-(-values["length"] // block.rows), STRIP_BYTES // (steps * block.rows * block.size)))


def _bands(values: Operands) -> int:
    """How many bands the output's lines make."""
    samples = -(-values["samples"] // values["samples_per_band"])
    return samples * -(-values["lines"] // values["lines_per_band"])


def _staged_bytes(values: Operands, view: View) -> int:
    """Room for a sample's staged lines of a band; none where nothing is staged."""
    if not view.padded:
        return 0
    return ((values["lines_per_band"] - 1) * values["stage_step"] + view.extra + 1) * values["stage_row"]


def _together(values: Operands, view: View, bands: int) -> int:
    """How many samples are taken at once: as many as `BAND_STEPS` pixels are, if those are whole pictures."""
    if values["lines_per_band"] < values["lines"]:
        return 1
    most = min(
        BAND_STEPS // (values["lines"] * values["pixels"]),
        TARGET.l2_bytes // 2 // max(1, _staged_bytes(values, view)),
    )
    share = -(-values["samples"] // bands)
    return -(-share // -(-share // max(1, most)))


def conv2d_weight_gradient(
    x: np.ndarray,
    grad: np.ndarray,
    shape: tuple[int, ...],
    strides: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> np.ndarray:
    """Gradient of `conv2d` with respect to its weights.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C)
    grad : ndarray, shape (N, OH, OW, F)
        Gradient of the output.
    shape : (kh, kw, C / groups, F)
        Shape of the weights.

    Returns
    -------
    ndarray of `shape`
    """
    x, grad = np.ascontiguousarray(x), np.ascontiguousarray(grad)
    out = np.empty(shape, x.dtype)
    launch(conv2d_weight_gradient_rows, x, grad, out, threads=threads, strides=strides, padding=padding,
           dilation=dilation, groups=groups)  # fmt: skip
    return out
