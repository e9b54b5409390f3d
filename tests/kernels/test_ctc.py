"""Beam search on numpy arrays against the search with dictionaries, and over all alignments."""

import numpy as np
import pytest

from symgraph.graph.ops.ctc import CtcBeamSearch
from symgraph.kernels.ctc import ctc_beam_search


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("width", "best"), [(1, 1), (3, 3), (17, 4)])
def test_as_with_dictionaries(width, best, dtype):
    rng = np.random.default_rng(0)
    logs = np.log(rng.dirichlet(np.full(6, 0.5), (5, 20))).astype(dtype)
    lengths = np.array([20, 13, 1, 0, 20], np.int32)
    paths, scores = ctc_beam_search(logs, lengths, width, best)
    expected, totals = CtcBeamSearch(width, best).reference(logs.astype("float64"), lengths)
    np.testing.assert_array_equal(paths, expected)
    np.testing.assert_allclose(scores, totals, rtol=1e-12)


def test_any_number_of_threads_finds_the_same():
    logs = np.log(np.random.default_rng(1).dirichlet(np.ones(5), (7, 15)))
    lengths = np.full(7, 15)
    first = ctc_beam_search(logs, lengths, 10, 2, threads=1)
    for threads in (2, 3, 8):
        for a, b in zip(first, ctc_beam_search(logs, lengths, 10, 2, threads=threads), strict=True):
            np.testing.assert_array_equal(a, b)


def test_lengths_are_held_inside():
    logs = np.log(np.full((2, 3, 2), 0.5))
    (paths,), scores = ctc_beam_search(logs, np.array([-5, 99]), 4, 1)
    (whole,), totals = ctc_beam_search(logs, np.array([0, 3]), 4, 1)
    np.testing.assert_array_equal(paths, whole)
    np.testing.assert_array_equal(scores, totals)


def test_impossible_and_undefined_labels_are_left_out():
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([[[0.0, 0.5, 0.5], [0.0, 0.5, 0.5]]]))
    logs[0, 1, 0] = np.nan
    paths, scores = ctc_beam_search(logs, np.array([2]), 10, 3)
    assert [list(p[0][p[0] >= 0]) for p in paths] == [[1], [], []]
    np.testing.assert_allclose(np.exp(scores[0]), [0.75, 0.25, 0.0])
