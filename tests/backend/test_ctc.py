"""Connectionist temporal classification against sums over all alignments, written out in numpy."""

import itertools

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import Input, Lambda
from symgraph.models import Model


def probabilities(p):
    """Keras holds probabilities away from 0, then scales them to sum 1."""
    q = p + 1e-7
    return q / q.sum(-1, keepdims=True)


def collapsed(path, blank):
    """What an alignment spells."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def spelled(q):
    """The probability of every label sequence: the sum over all alignments [steps, classes]."""
    found = {}
    for path in itertools.product(range(q.shape[1]), repeat=len(q)):
        labels = collapsed(path, q.shape[1] - 1)
        found[labels] = found.get(labels, 0.0) + np.prod([q[t, label] for t, label in enumerate(path)])
    return found


def cost(p, labels, steps, counts):
    q = probabilities(p)
    with np.errstate(divide="ignore"):
        return np.array(
            [
                -np.log(spelled(q[n, : steps[n]]).get(tuple(labels[n, : counts[n]]), 0.0))
                for n in range(len(p))
            ]
        )[:, None]


@pytest.fixture(scope="module")
def function():
    labels, predictions = K.placeholder((None, None)), K.placeholder((None, None, None), dtype="float64")
    steps, counts = (K.placeholder((None, 1), dtype="int32") for _ in range(2))
    loss = K.ctc_batch_cost(labels, predictions, steps, counts)
    (gradient,) = K.gradients(loss, [predictions])
    return K.function([labels, predictions, steps, counts], [loss, gradient])


def test_cost_is_the_sum_over_all_alignments(function):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), (7, 5))
    labels = rng.integers(0, 3, (7, 3))
    labels[5] = labels[6] = [1, 1, 2]  # a blank has to be between
    steps, counts = np.array([5, 4, 3, 1, 0, 5, 4]), np.array([3, 2, 0, 1, 0, 2, 3])
    labels[counts[:, None] <= np.arange(3)] = -1
    actual, gradient = function([labels, p, steps[:, None], counts[:, None]])
    np.testing.assert_allclose(actual, cost(p, labels, steps, counts), rtol=1e-12)
    assert not gradient[np.arange(5) >= steps[:, None]].any()
    direction = rng.normal(size=p.shape)
    change = (
        cost(p + 1e-5 * direction, labels, steps, counts) - cost(p - 1e-5 * direction, labels, steps, counts)
    ) / 2e-5
    np.testing.assert_allclose((gradient * direction).sum((1, 2)), change[:, 0], rtol=1e-6, atol=1e-8)


def test_labels_that_need_more_steps_cost_infinity(function):
    p = np.full((2, 3, 3), 1 / 3)
    labels = np.array([[0, 0, 1], [0, 1, 0]])
    loss, gradient = function([labels, p, [[3], [3]], [[3], [3]]])
    np.testing.assert_allclose(loss, [[np.inf], [3 * np.log(3)]], rtol=1e-6)
    assert not gradient[0].any() and gradient[1].all()


@pytest.mark.parametrize("label", [-1, 2, 3])
def test_labels_that_are_no_classes_are_refused(function, label):
    p = np.full((1, 3, 3), 1 / 3)
    with pytest.raises(ValueError, match="index"):
        function([[[0, label]], p, [[3]], [[2]]])
    function([[[0, label]], p, [[3]], [[1]]])


def test_tensors_of_other_ranks_are_refused():
    x = K.ones((2, 3))
    with pytest.raises(ValueError, match="ctc_batch_cost: expected labels"):
        K.ctc_batch_cost(x, x, K.ones((2, 1)), K.ones((2, 1)))
    with pytest.raises(ValueError, match="ctc_decode: expected predictions"):
        K.ctc_decode(x, K.ones((2,)))
    with pytest.raises(ValueError, match="sequences to return"):
        K.ctc_decode(K.ones((2, 3, 4)), K.ones((2,)), greedy=False, beam_width=2, top_paths=3)


def test_a_model_learns_to_spell():
    """Gradient steps on free predictions make the right sequence the most probable one."""
    scores = K.variable(np.random.default_rng(1).normal(size=(2, 8, 5)))
    labels, counts, steps = np.array([[0, 1, 1], [3, 2, 0]]), np.array([[3], [2]]), np.array([[8], [6]])
    spelling = K.softmax(scores)
    loss = K.mean(
        K.ctc_batch_cost(*map(K.constant, (labels,)), spelling, K.constant(steps), K.constant(counts))
    )
    (gradient,) = K.gradients(loss, [scores])
    step = K.function([], [loss], [(scores, scores - 2.0 * gradient)])
    losses = [float(step([])[0]) for _ in range(40)]
    assert losses[-1] < 0.1 * losses[0]
    (decoded,), _ = K.ctc_decode(spelling, K.constant(steps[:, 0]))
    np.testing.assert_array_equal(K.eval(decoded), [[0, 1, 1], [3, 2, -1]])


def test_labels_beyond_the_end():
    labels = K.ctc_label_dense_to_sparse(K.variable([[1, 2, 3], [4, 5, 6]]), K.variable([2, 0]))
    assert K.dtype(labels) == "int32"
    np.testing.assert_array_equal(K.eval(labels), [[1, 2, -1], [-1, -1, -1]])


def decoded(p, steps, **options):
    x, lengths = (
        K.placeholder((None, None, p.shape[2]), dtype="float64"),
        K.placeholder((None,), dtype="int32"),
    )
    sequences, scores = K.ctc_decode(x, lengths, **options)
    *found, score = K.function([x, lengths], [*sequences, scores])([p, steps])
    # Columns that no sample needs are left out.
    assert all((path[:, -1:] >= 0).any() or not path.size for path in found)
    rest = [((0, 0), (0, p.shape[1] - path.shape[1])) for path in found]
    return [np.pad(path, more, constant_values=-1) for path, more in zip(found, rest, strict=True)], score


# Of Keras 2.2.4 on TensorFlow 1.14, for the predictions and lengths of the test below.
DECODED = [[1, 2, 1, 2, 0], [0, 1, 0, -1, -1], [0, 1, -1, -1, -1], [0, 0, 1, 2, 1]]


def test_results_have_the_columns_that_a_sample_needs():
    p = np.random.RandomState(3).rand(4, 9, 4) ** 6
    p = (p / p.sum(-1, keepdims=True)).astype("float32")
    steps = np.array([[9], [5], [3], [7]])
    x, lengths = Input((9, 4)), Input((1,), dtype="int32")
    decode = Lambda(lambda given: K.ctc_decode(given[0], K.flatten(given[1]))[0][0])
    model = Model([x, lengths], decode([x, lengths]))
    # One by one Keras fails: batches of different widths do not fit together.
    for size in (4, 1):
        np.testing.assert_array_equal(model.predict([p, steps], batch_size=size), DECODED)
    np.testing.assert_array_equal(model.predict_on_batch([p[1:3], steps[1:3]]), [[0, 1, 0], [0, 1, -1]])
    batches = ([p[i : i + 2], steps[i : i + 2]] for i in (0, 2))
    np.testing.assert_array_equal(model.predict_generator(batches, 2), DECODED)
    function = K.function(model.inputs, model.outputs)
    np.testing.assert_array_equal(function([p[1:3], steps[1:3]])[0], [[0, 1, 0], [0, 1, -1]])
    nothing = K.ctc_decode(K.constant(np.eye(3)[[[2, 2, 2]]]), K.constant([3]))[0][0]
    assert K.eval(nothing).shape == (1, 0)


def test_greedy_decoding_takes_the_best_of_every_step():
    rng = np.random.default_rng(2)
    p, steps = rng.dirichlet(np.full(4, 0.3), (9, 12)), rng.integers(0, 13, 9)
    p[0] = np.eye(4)[[0, 0, 3, 0, 1, 1, 3, 3, 2, 2, 1, 3]]
    steps[0] = 12
    (found,), score = decoded(p, steps)
    expected = np.full((9, 12), -1)
    for n in range(9):
        labels = collapsed(p[n, : steps[n]].argmax(-1), 3)
        expected[n, : len(labels)] = labels
    np.testing.assert_array_equal(found, expected)
    assert list(found[0, :6]) == [0, 0, 1, 2, 1, -1]
    counted = np.arange(12) < steps[:, None]
    np.testing.assert_allclose(score[:, 0], -(np.log(p.max(-1) + 1e-7) * counted).sum(1), rtol=1e-12)


def test_a_wide_search_finds_the_most_probable_sequences():
    rng = np.random.default_rng(3)
    p, steps = rng.dirichlet(np.ones(3), (6, 6)), np.array([6, 5, 4, 3, 2, 6])
    found, score = decoded(p, steps, greedy=False, beam_width=200, top_paths=4)
    for n in range(6):
        all_of_them = spelled(probabilities(p)[n, : steps[n]])
        best = sorted(all_of_them.items(), key=lambda item: -item[1])[:4]
        for place, (labels, total) in enumerate(best):
            row = found[place][n]
            assert tuple(row[row >= 0]) == labels
            np.testing.assert_allclose(score[n, place], np.log(total), rtol=1e-10)
            assert (row[len(labels) :] == -1).all()


def test_a_search_finds_what_the_best_of_every_step_misses():
    """Blanks are the best of both steps, but together the alignments of 'a' are more probable."""
    p = np.array([[[0.4, 0.0, 0.6], [0.4, 0.0, 0.6]]])
    (greedy,), _ = decoded(p, [2])
    (searched,), score = decoded(p, [2], greedy=False, beam_width=5)
    assert list(greedy[0]) == [-1, -1]
    assert list(searched[0]) == [0, -1]
    np.testing.assert_allclose(np.exp(score), [[0.64]], rtol=1e-5)


def test_a_narrow_search_returns_fewer_sequences_than_asked_for():
    (_, second), score = decoded(np.ones((1, 2, 1)), [2], greedy=False, beam_width=2, top_paths=2)
    assert list(second[0]) == [-1, -1]
    assert score[0, 0] == 0 and score[0, 1] == -np.inf
