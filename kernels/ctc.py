"""Beam search for the most probable label sequences of connectionist temporal classification."""

from __future__ import annotations

import numpy as np

from symgraph.kernels.copies import contiguous_copy
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.jit import inlined, intrinsic, numba_kernel, types
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.memory import load_int, store_int
from symgraph.kernels.tile.builder import pointer_to

# A sequence is a node of a tree of words: the node of the sequence before its last label, that label, its
# first child and its next sibling. So a sequence that comes back after it was dropped is the same node again.
_PARENT, _LABEL, _CHILD, _SIBLING, _NODE = 0, 8, 16, 24, 32
# A sequence in the beam: its node, and the logarithms of the probabilities that its alignments end in a
# blank, and in its last label, and of both. While candidates are ranked: the place in the beam of what they
# were made of instead of the node, and the label to add (or -1).
#
# No loop here has a step, goes through a tuple or sees an array: numba makes code of them that may raise. Why
# that must not be: see `inlined`.
_FROM, _BLANK, _ENDS, _SCORE, _ADDED, _ENTRY = 0, 8, 16, 24, 32, 40


@intrinsic
def _load_float(typing, address):
    def emit(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], pointer_to("float64")))

    return types.float64(types.int64), emit


@intrinsic
def _store_float(typing, address, value):
    def emit(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], pointer_to("float64")))
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), emit


@inlined
def _log_add(a, b):
    top, low = (a, b) if a > b else (b, a)
    return top if low == -np.inf else top + np.log1p(np.exp(low - top))


@inlined
def _offer(score, blank, ends, source, label, beam, count, width):
    """Put a candidate into the sorted list of the best; the earlier of equals comes first."""
    if not score > -np.inf or (
        count == width and not score > _load_float(beam + (width - 1) * _ENTRY + _SCORE)
    ):
        return count
    at = beam + min(count, width - 1) * _ENTRY
    while at > beam and score > _load_float(at - _ENTRY + _SCORE):
        for word in range(_ENTRY // 8):
            store_int(at + 8 * word, load_int(at - _ENTRY + 8 * word))
        at -= _ENTRY
    store_int(at + _FROM, source)
    _store_float(at + _BLANK, blank)
    _store_float(at + _ENDS, ends)
    _store_float(at + _SCORE, score)
    store_int(at + _ADDED, label)
    return min(count + 1, width)


@inlined
def _child(parent, label, free):
    """The node of a sequence and one more label: `free`, if there is none yet."""
    node = load_int(parent + _CHILD)
    while node != 0:
        if load_int(node + _LABEL) == label:
            return node
        node = load_int(node + _SIBLING)
    store_int(free + _PARENT, parent)
    store_int(free + _LABEL, label)
    store_int(free + _CHILD, 0)
    store_int(free + _SIBLING, load_int(parent + _CHILD))
    store_int(parent + _CHILD, free)
    return free


@inlined
def _stay(row, classes, beam, count, entry, place, new, kept, width):
    """Offer a sequence that gets no longer, or whose last label comes after the sequence before it."""
    node = load_int(entry + _FROM)
    label = load_int(node + _LABEL)
    blank = _load_float(entry + _SCORE) + _load_float(row + 8 * (classes - 1))
    ends = -np.inf
    if label >= 0:
        emitted = _load_float(row + 8 * label)
        ends = _load_float(entry + _ENDS) + emitted
        for k in range(count):
            other = beam + k * _ENTRY
            before = load_int(other + _FROM)
            if before == load_int(node + _PARENT):
                # Between equal labels there has to be a blank.
                repeated = load_int(before + _LABEL) == label
                ends = _log_add(ends, _load_float(other + (_BLANK if repeated else _SCORE)) + emitted)
    return _offer(_log_add(blank, ends), blank, ends, place, -1, new, kept, width)


@inlined
def _grow(row, classes, beam, count, entry, place, flags, new, kept, width):
    """Offer a sequence with each label after it, but for longer ones that are in the beam themselves."""
    node = load_int(entry + _FROM)
    for k in range(count):
        other = beam + k * _ENTRY
        longer = load_int(other + _FROM)
        if load_int(longer + _PARENT) == node:
            store_int(flags + 8 * load_int(longer + _LABEL), 1)
    for label in range(classes - 1):
        if load_int(flags + 8 * label) != 0:
            store_int(flags + 8 * label, 0)
            continue
        before = _BLANK if label == load_int(node + _LABEL) else _SCORE
        score = _load_float(entry + before) + _load_float(row + 8 * label)
        kept = _offer(score, -np.inf, score, place, label, new, kept, width)
    return kept


@inlined
def _search(logs, length, classes, width, tree, beam, new, flags):
    """The number of sequences in the beam after all steps, best first."""
    store_int(tree + _PARENT, 0)
    store_int(tree + _CHILD, 0)
    store_int(tree + _SIBLING, 0)
    store_int(tree + _LABEL, -1)
    store_int(beam + _FROM, tree)
    _store_float(beam + _BLANK, 0.0)
    _store_float(beam + _ENDS, -np.inf)
    _store_float(beam + _SCORE, 0.0)
    for label in range(classes):
        store_int(flags + 8 * label, 0)
    free, count = tree + _NODE, 1
    for t in range(length):
        row, kept = logs + 8 * t * classes, 0
        for place in range(count):
            kept = _stay(row, classes, beam, count, beam + place * _ENTRY, place, new, kept, width)
        for place in range(count):
            kept = _grow(row, classes, beam, count, beam + place * _ENTRY, place, flags, new, kept, width)
        for place in range(kept):
            entry = new + place * _ENTRY
            node = load_int(beam + load_int(entry + _FROM) * _ENTRY + _FROM)
            if load_int(entry + _ADDED) >= 0:
                node = _child(node, load_int(entry + _ADDED), free)
                free += _NODE if node == free else 0
            store_int(entry + _ADDED, node)
        for word in range(kept * (_ENTRY // 8)):
            store_int(beam + 8 * word, load_int(new + 8 * word))
        for place in range(kept):
            entry = beam + place * _ENTRY
            store_int(entry + _FROM, load_int(entry + _ADDED))
        count = kept
    return count


@inlined
def _spell(node, found, steps):
    """Write a sequence's labels, then -1."""
    size, at = 0, node
    while load_int(at + _PARENT) != 0:
        size, at = size + 1, load_int(at + _PARENT)
    for t in range(size, steps):
        store_int(found + 8 * t, -1)
    while size > 0:
        size -= 1
        store_int(found + 8 * size, load_int(node + _LABEL))
        node = load_int(node + _PARENT)


def _entry(operands, tile):
    samples, steps, classes, width = operands[0], operands[1], operands[2], operands[3]
    paths, tiles = operands[4], operands[5]
    tree = operands[7] + 8 * tile * operands[6]
    beam = tree + (1 + steps * width) * _NODE
    new = beam + width * _ENTRY
    flags = new + width * _ENTRY
    for turn in range((samples - tile + tiles - 1) // tiles):
        n = tile + turn * tiles
        length = min(max(load_int(operands[9] + 8 * n), 0), steps)
        count = _search(operands[8] + 8 * n * steps * classes, length, classes, width, tree, beam, new, flags)
        for p in range(paths):
            found = operands[10] + 8 * (p * samples + n) * steps
            entry = beam + p * _ENTRY
            _spell(load_int(entry + _FROM) if p < count else tree, found, steps)
            score = _load_float(entry + _SCORE) if p < count else -np.inf
            _store_float(operands[11] + 8 * (n * paths + p), score)
    return 0


_KERNEL = numba_kernel("ctc_beam_search", _entry)


def ctc_beam_search_rows(
    logs: Buffer,
    lengths: Buffer,
    paths: Buffer,
    scores: Buffer,
    width: int,
    *,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for a search that keeps the `width` most probable sequences after every step.

    Parameters
    ----------
    logs : Buffer
        Logarithms of probabilities, float64 [samples, steps, classes]; the last class is the blank.
    lengths : Buffer
        Steps that count, int64 [samples]; held between 0 and `steps`.
    paths : Buffer
        Contiguous int64 [best, samples, steps]: labels, then -1.
    scores : Buffer
        Contiguous float64 [samples, best]; minus infinity where there are not so many.
    """
    samples, steps, classes = logs.shape
    rows: list[Row] = []
    if not samples:
        return rows
    logs = contiguous_copy(logs, rows, threads, scratch)
    lengths = contiguous_copy(lengths, rows, threads, scratch)
    tiles = max(1, min(threads, samples))
    words = ((1 + steps * width) * _NODE + 2 * width * _ENTRY) // 8 + classes
    whole = scratch((tiles * words,), "int64")
    operands = (
        samples, steps, classes, width, paths.shape[0], tiles, words, whole.address, logs.address,
        lengths.address, paths.address, scores.address,
    )  # fmt: skip
    return [*rows, Row(_KERNEL, operands, tiles)]


def ctc_beam_search(
    logs: np.ndarray, lengths: np.ndarray, width: int, best: int, threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The `best` most probable label sequences of numpy arrays: see `ctc_beam_search_rows`."""
    samples, steps, _ = logs.shape
    paths, scores = np.empty((best, samples, steps), np.int64), np.empty((samples, best))
    logs, lengths = logs.astype("float64"), lengths.astype("int64")
    launch(ctc_beam_search_rows, logs, lengths, paths, scores, threads=threads, width=width)
    return paths, scores
