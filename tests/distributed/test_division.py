"""Training graphs of models, divided among ranks: losses, outputs and gradients are those of one process."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import layers, regularizers
from symgraph.compiler.function import Function
from symgraph.distributed.own_batch import normalize_own_batch
from symgraph.distributed.rows import bounds
from symgraph.distributed.sharding import divide
from symgraph.graph.ops.collective import Alone, RowsOfRanks, SumOfRanks
from symgraph.graph.tensor import Tensor, topological
from symgraph.models import Model, Sequential
from tests.distributed.thread_ranks import on_ranks


@pytest.fixture(autouse=True)
def _double():
    before = K.floatx()
    K.set_floatx("float64")
    yield
    K.set_floatx(before)


def run(inputs: Sequence[Tensor], outputs: Sequence[Tensor], arrays: Sequence[np.ndarray]) -> list[Any]:
    """In the training phase; draws are not counted, so that all ranks and one process make the same ones."""
    function = Function(inputs, list(outputs), givens={K.symbolic_learning_phase(): 1})
    return function.run(dict(zip(inputs, arrays, strict=True)), update=False)


def trained(model: Any, loss: Any = "mse", **options: Any) -> tuple[list[Tensor], list[Tensor]]:
    """The inputs of a training step, and its loss, outputs and gradients."""
    model.compile("sgd", loss, **options)
    gradients = K.gradients(model.total_loss, model.trainable_weights)
    inputs = model._feed_inputs + model._feed_targets + model._feed_sample_weights
    return inputs, [model.total_loss, *model.metrics_tensors, *model.outputs, *gradients]


def check(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], arrays: Sequence[np.ndarray], size: int = 3
) -> Any:
    """Compare ranks with one process; returns what the first rank exchanged."""
    whole = run(inputs, outputs, arrays)
    ranks, calls = on_ranks(inputs, outputs, arrays, size, run)
    for found in ranks:
        for expected, value, other in zip(whole, found, ranks[0], strict=True):
            np.testing.assert_allclose(value, expected, 1e-11, 1e-13)
            np.testing.assert_array_equal(value, other)
    return calls


def batch(model: Any, samples: int, weights: bool = True) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    shapes = [K.int_shape(t)[1:] for t in (*model._feed_inputs, *model.outputs)]
    arrays = [rng.random((samples, *shape)) for shape in shapes]
    sample_weights = rng.integers(0, 3, samples).astype(float) if weights else np.ones(samples)
    sample_weights[0] = 1.0
    return [*arrays, *(sample_weights for _ in model._feed_targets)]


@pytest.mark.parametrize("samples", [7, 2])
def test_dense_layers_with_weights_penalties_and_metrics(samples: int) -> None:
    """Also where some ranks have no samples. One exchange is for the weights, one for all the rest."""
    model = Sequential(
        [
            layers.Dense(6, activation="relu", input_shape=(5,), kernel_regularizer=regularizers.l2(0.1)),
            layers.Dropout(0.4),
            layers.Dense(3, activation="softmax", activity_regularizer=regularizers.l1(0.01)),
        ]
    )
    options = {"metrics": ["acc", "mae"], "weighted_metrics": ["mse"]}
    calls = check(*trained(model, "categorical_crossentropy", **options), batch(model, samples))
    outputs = 3 * samples
    assert [kind for kind, _ in calls] == ["sum", "rows", "sum"]
    # The share of weights other than 0, for the loss and for the weighted metric, and the penalty's share.
    assert calls[0][1] <= 4
    assert calls[1][1] == outputs
    assert calls[2][1] >= 5 * 6 + 6 + 6 * 3 + 3 + 1


@pytest.mark.parametrize(("samples", "size"), [(5, 2), (2, 3)])
def test_convolutions_and_pooling(samples: int, size: int) -> None:
    model = Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 2)),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(3, 2),
            layers.AveragePooling2D(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    calls = check(*trained(model), batch(model, samples), size)
    assert sum(values for kind, values in calls if kind == "rows") == 2 * samples


@pytest.mark.parametrize("samples", [5, 2])
def test_statistics_of_the_whole_batch(samples: int) -> None:
    """Batch normalisation as one process does it, forwards and backwards."""
    model = Sequential(
        [
            layers.Conv2D(3, 2, input_shape=(4, 4, 2), use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    check(*trained(model), batch(model, samples))


@pytest.mark.parametrize("cell", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_recurrent_layers_exchange_no_sequences(cell: Any) -> None:
    """Their weights' gradients, summed over steps and samples, are parts of sums."""
    model = Sequential([cell(4, return_sequences=True, input_shape=(5, 3)), cell(2)])
    for samples in (7, 2):
        calls = check(*trained(model), batch(model, samples))
        assert sum(size for kind, size in calls if kind == "rows") == samples * 2


def test_masks_words_and_several_outputs() -> None:
    words = layers.Input((6,), name="words")
    steps = layers.LSTM(3, return_sequences=True)(layers.Embedding(9, 4, mask_zero=True)(words))
    first = layers.TimeDistributed(layers.Dense(2), name="first")(steps)
    second = layers.Dense(1, activation="sigmoid", name="second")(layers.GRU(3)(steps))
    model = Model(words, [first, second])
    inputs, outputs = trained(model, ["mse", "binary_crossentropy"], loss_weights=[0.3, 2.0])
    arrays = batch(model, 7)
    arrays[0] = np.random.default_rng(1).integers(0, 9, (7, 6)) * (np.arange(6) < np.arange(1, 8)[:, None])
    check(inputs, outputs, arrays)


def test_layers_and_losses_that_mix_samples() -> None:
    """What no rule knows is computed from the rows of all ranks."""

    def loss(y_true: Any, y_pred: Any) -> Any:
        ranked = K.cumsum(y_pred, axis=0) - K.max(y_true, axis=0) + K.dot(y_pred, K.transpose(y_true))[:, :2]
        return K.square(ranked) + K.std(y_pred)

    model = Sequential(
        [
            layers.Dense(2, input_shape=(3,)),
            layers.Lambda(lambda x: K.reverse(x, 0) + 0.1 * x),
            layers.Lambda(lambda x: x / (1.0 + K.sum(K.abs(x), axis=0))),
        ]
    )
    check(*trained(model, loss), batch(model, 5))


@pytest.mark.parametrize("draw", [K.random_uniform, K.random_normal, K.truncated_normal, K.random_binomial])
def test_ranks_draw_what_one_process_draws(draw: Any) -> None:
    x = K.placeholder((None, 7, 3))
    noise = draw(K.shape(x), seed=3)
    check([x], [x + noise, noise], [np.random.default_rng(0).random((11, 7, 3))])


def test_gradients_are_exchanged_at_once_and_last() -> None:
    model = Sequential([layers.Dense(4, input_shape=(3,)), layers.BatchNormalization(), layers.Dense(2)])
    inputs, outputs = trained(model)
    divided = divide(inputs, outputs, [], Alone())
    assert divided is not None
    collective = [n for n in topological(divided.outputs) if isinstance(n.op, (SumOfRanks, RowsOfRanks))]
    for earlier, later in pairwise(collective):
        assert earlier in later.inputs, "every exchange waits for the one before it"
    sizes = [node.shape for node in collective if isinstance(node.op, SumOfRanks)]
    assert sizes[-1][0] >= sum(K.count_params(w) for w in model.trainable_weights)


def test_each_rank_may_normalise_by_its_own_samples() -> None:
    """Beside float64 in numpy: statistics and gradients of each share apart; averages by their sizes."""
    x = K.placeholder((None, 3))
    gamma, beta = K.variable(np.array([1.0, 2.0, 0.5])), K.variable(np.array([0.1, 0.0, -0.3]))
    slope = K.placeholder((None, 3))
    normed, mean, variance = normalize_own_batch(x, gamma, beta, [0])
    wrt_x, wrt_gamma = K.gradients(K.sum(normed * slope), [x, gamma])
    rng = np.random.default_rng(0)
    arrays, edges = [rng.random((7, 3)), rng.random((7, 3))], bounds(7, 3)
    ranks, _ = on_ranks([x, slope], [normed, mean, variance, wrt_x, wrt_gamma], arrays, 3, run)
    shares = [[a[i:j] for a in arrays] for i, j in pairwise(edges)]
    whole = [run([x, slope], [normed, mean, variance, wrt_x, wrt_gamma], share) for share in shares]
    sizes = np.diff(edges)[:, None] / 7
    expected = [
        np.concatenate([w[0] for w in whole]),
        sum(size * w[1] for size, w in zip(sizes, whole, strict=True)),
        sum(size * w[2] for size, w in zip(sizes, whole, strict=True)),
        np.concatenate([w[3] for w in whole]),
        sum(w[4] for w in whole),
    ]
    for found in ranks:
        for value, known in zip(found, expected, strict=True):
            np.testing.assert_allclose(value, known, 1e-12, 1e-14)
    # One share by itself, in numpy.
    share, weight = shares[0]
    scale = 1 / np.sqrt(share.var(0) + 1e-3)
    y, g = (share - share.mean(0)) * scale, weight * np.array([1.0, 2.0, 0.5])
    np.testing.assert_allclose(whole[0][3], scale * (g - g.mean(0) - y * (g * y).mean(0)), 1e-12, 1e-14)


def test_what_has_no_batch_size_is_not_divided() -> None:
    fixed = K.placeholder((4, 3))
    assert divide([fixed], [K.sum(fixed)], [], Alone()) is None
    sparse = K.placeholder((None, 3), sparse=True)
    assert divide([sparse], [K.sum(K.to_dense(sparse))], [], Alone()) is None
