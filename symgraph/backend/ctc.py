"""Connectionist temporal classification: the loss of unaligned label sequences, and decoding.

Graves et al., Connectionist temporal classification, ICML 2006. The last class is the blank.
"""

from __future__ import annotations

from typing import Any

from symgraph.globals import epsilon
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import barrier, compare, create, cumulative, elementwise, index, nn, reduce
from symgraph.graph.ops import math as math_ops
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops.ctc import ctc_beam_search
from symgraph.graph.ops.scan import scan
from symgraph.graph.ops.sizes import size_tensor
from symgraph.graph.ops.slicing import pad, slice_axis
from symgraph.graph.tensor import Tensor

__all__ = ["ctc_batch_cost", "ctc_decode", "ctc_label_dense_to_sparse"]

# The logarithm of a probability of 0, where minus infinity would make gradients NaN. A probability that is
# not 0 is far greater: epsilon to the power of the number of steps.
_NEVER = -1e30


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> Tensor:
    """Labels, with -1 beyond the end of each sequence.

    This is a dense form of the sparse tensor that Keras returns: class 0 is no missing value in it.

    Parameters
    ----------
    labels : tensor of shape (samples, longest)
        Class numbers.
    label_lengths : tensor of shape (samples,)

    Returns
    -------
    int32 tensor of shape (samples, longest)
    """
    labels = elementwise.cast(as_tensor(labels), "int32")
    return elementwise.where(_before(labels.shape[1], label_lengths), labels, -1)


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Tensor:
    """The negative logarithm of the probability of each label sequence, summed over all its alignments.

    Parameters
    ----------
    y_true : tensor of shape (samples, longest)
        Class numbers, without the blank; what lies beyond `label_length` does not matter.
    y_pred : tensor of shape (samples, steps, classes)
        Probabilities, such as those of softmax. They are held away from 0 by epsilon.
    input_length, label_length : tensor of shape (samples, 1)
        Steps and labels that count.

    Returns
    -------
    tensor of shape (samples, 1)
        Infinite, with a gradient of 0, where a sequence has fewer steps than its labels need.

    Raises
    ------
    ValueError
        For tensors of other ranks; at run time if a label is no class number, or the blank.
    """
    y_true, y_pred = as_tensor(y_true), as_tensor(y_pred)
    if y_true.ndim != 2 or y_pred.ndim != 3:
        raise ValueError(
            "ctc_batch_cost: expected labels (samples, longest) and predictions (samples, steps, classes), "
            f"got {y_true.type} and {y_pred.type}"
        )
    counts = elementwise.cast(shape_ops.squeeze(as_tensor(label_length), -1), "int32")
    steps = elementwise.cast(shape_ops.squeeze(as_tensor(input_length), -1), "int32")
    logs = nn.log_softmax(math_ops.log(y_pred + epsilon()), -1)
    states, skips = _states(y_true, counts, y_pred)
    samples, width = states.shape
    seen = index.take_along_axis(logs, shape_ops.expand_dims(states, 1), 2)
    first = create.arange(width, dtype="int32") < 1
    start = elementwise.cast(elementwise.where(first, 0.0, _NEVER), y_pred.dtype)

    def step(values: list[Tensor], before: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        emitted, counted = values
        (old,) = before
        stay = pad(old, ((0, 0), (2, 0)), _NEVER)
        advance, skip = (slice_axis(stay, 1, shift, width) for shift in (1, 0))
        reached = _log_sum(old, advance, elementwise.where(skips, skip, _NEVER))
        return [], [elementwise.where(counted, reached + emitted, old)]

    running = shape_ops.expand_dims(_before(y_pred.shape[1], steps), 2)
    sequences = [shape_ops.transpose(s, (1, 0, 2)) for s in (seen, running)]
    begin = shape_ops.broadcast_to(start, (samples, width))
    _, (history,) = scan(step, sequences, [begin], what="ctc_batch_cost")
    ends = shape_ops.reshape(slice_axis(history, 0, y_pred.shape[1], 1), (samples, width))
    return _cost(ends, shape_ops.expand_dims(counts, 1))


def _cost(ends: Tensor, counts: Tensor) -> Tensor:
    """From the logarithms of all states after the last step: an alignment ends in a label or a blank."""
    blank = index.take_along_axis(ends, 2 * counts, 1)
    label = index.take_along_axis(ends, elementwise.maximum(2 * counts - 1, 0), 1)
    label = elementwise.where(counts > 0, label, _NEVER)
    total = _log_sum(blank, label)
    return elementwise.where(total > _NEVER / 2, -total, float("inf"))


def _states(y_true: Tensor, counts: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Labels with blanks between and around (samples, 2 · longest + 1), and where a blank may be left out.

    That is between different labels only. Labels that are no class, or the blank, become a number that is
    refused as an index later on.
    """
    samples, longest = y_true.shape
    classes = size_tensor(y_pred.shape[2], "int32")
    blank = size_tensor(y_pred.shape[2] - 1, "int32")
    labels = ctc_label_dense_to_sparse(y_true, counts)
    inside = _before(longest, counts)
    wrong = compare.logical_or(labels < 0, labels >= blank)
    labels = elementwise.where(compare.logical_and(inside, wrong), classes, labels)
    labels = elementwise.where(inside, labels, blank)
    blanks = shape_ops.broadcast_to(shape_ops.reshape(blank, (1, 1)), (samples, longest + 1))
    pairs = shape_ops.stack([slice_axis(blanks, 1, 0, longest), labels], 2)
    rest = shape_ops.reshape(pairs, (samples, 2 * longest))
    states = shape_ops.concatenate([rest, slice_axis(blanks, 1, longest, 1)], 1)
    earlier = slice_axis(pad(states, ((0, 0), (2, 0)), -1), 1, 0, 2 * longest + 1)
    return states, compare.logical_and(compare.not_equal(states, blank), compare.not_equal(states, earlier))


def _before(size: Any, lengths: Any) -> Tensor:
    """Whether each of `size` places lies within the length of its sequence: bool (samples, size)."""
    ends = shape_ops.expand_dims(elementwise.cast(as_tensor(lengths), "int32"), 1)
    return shape_ops.expand_dims(create.arange(size, dtype="int32"), 0) < ends


def _log_sum(*terms: Tensor) -> Tensor:
    """log Σ exp(term), without overflow."""
    top = terms[0]
    for term in terms[1:]:
        top = elementwise.maximum(top, term)
    # The largest term only shifts: what it adds to the gradient cancels.
    top = barrier.stop_gradient(top)
    total = math_ops.exp(terms[0] - top)
    for term in terms[1:]:
        total = total + math_ops.exp(term - top)
    return top + math_ops.log(total)


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Tensor], Tensor]:
    """The most probable label sequences.

    Parameters
    ----------
    y_pred : tensor of shape (samples, steps, classes)
        Probabilities, such as those of softmax.
    input_length : tensor of shape (samples,)
        Steps that count.
    greedy : bool
        Take the best class of every step. Otherwise search, with the sums over alignments.
    beam_width : int
        Sequences that a search keeps after every step.
    top_paths : int
        Sequences that a search returns, at most `beam_width`.

    Returns
    -------
    (list of tensor, tensor)
        One sequence (`top_paths` of a search) for every sample, int64 (samples, steps), with -1 after its
        end. What a Function, `K.eval` or `predict` return leaves out the columns that no sample needs. Then,
        for greedy decoding, the negative sum of the logarithms of the best probabilities (samples, 1); for a
        search the logarithms of the sequences' probabilities (samples, top_paths).

    Raises
    ------
    ValueError
        If `top_paths` is larger than `beam_width`, or a tensor has another rank.

    Notes
    -----
    A search keeps labels that are repeated: Keras merges 'a', blank, 'a' to 'a' then, which loses letters.
    """
    y_pred = as_tensor(y_pred)
    lengths = elementwise.cast(as_tensor(input_length), "int32")
    if y_pred.ndim != 3 or lengths.ndim != 1:
        raise ValueError(
            "ctc_decode: expected predictions (samples, steps, classes) and lengths (samples,), got "
            f"{y_pred.type} and {lengths.type}"
        )
    logs = math_ops.log(y_pred + epsilon())
    if not greedy:
        paths, scores = ctc_beam_search(nn.log_softmax(logs, -1), lengths, beam_width, top_paths)
        return [barrier.padded(paths[number]) for number in range(top_paths)], scores
    steps = y_pred.shape[1]
    best = elementwise.cast(reduce.argmax(logs, -1), "int32")
    before = slice_axis(pad(best, ((0, 0), (1, 0)), -1), 1, 0, steps)
    counted = _before(steps, lengths)
    blank = size_tensor(y_pred.shape[2] - 1, "int32")
    fresh = compare.logical_and(compare.not_equal(best, blank), compare.not_equal(best, before))
    kept = compare.logical_and(counted, fresh)
    # Every label that is kept goes to the next free place, all others to one that is cut off.
    place = cumulative.cumsum(elementwise.cast(kept, "int32"), 1) - 1
    place = elementwise.where(kept, place, size_tensor(steps, "int32"))
    put = index.AddAlongAxis(1, steps + 1)(elementwise.cast(best + 1, "float64"), place)
    decoded = elementwise.cast(slice_axis(put, 1, 0, steps), "int64") - 1
    top = reduce.max(logs, -1)
    score = -reduce.sum(elementwise.where(counted, top, 0), 1, True)
    return [barrier.padded(decoded)], score
