"""What metric and loss objects do beside their numbers, which tests/alias/test_tf_objects.py has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import losses, metrics
from symgraph.layers import Dense, Input
from symgraph.models import Model, Sequential
from symgraph.optimizers import SGD, Adam, schedules


class Moves(metrics.Metric):
    """Reads between its assignments: the last sum, and the largest so far."""

    def __init__(self, name: str = "moves") -> None:
        super().__init__(name)
        self.last, self.now, self.top = (self.add_weight(part) for part in ("last", "now", "top"))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        before = self.now * 1.0
        self.now.assign(K.sum(y_true))
        self.last.assign(before)
        self.top.assign(K.maximum(self.top, self.now))
        self.top.assign_add(0.5)

    def result(self) -> Any:
        return 100.0 * self.top + 10.0 * self.now + self.last


def model(*args: Any, **kwargs: Any) -> Sequential:
    made = Sequential([Dense(1, input_shape=(2,), kernel_initializer="ones")])
    made.compile(*args, **kwargs)
    return made


X, Y = np.ones((4, 2)), np.array([1.0, 2.0, 3.0, 5.0])


def test_lines_read_what_lines_above_assigned() -> None:
    net = model("sgd", "mse", metrics=[Moves()])
    # Batches of 2: sums 3, then 8; top is max(0, 3) + 0.5, then max(3.5, 8) + 0.5.
    assert net.evaluate(X, Y, batch_size=2, verbose=0)[1] == 850 + 80 + 3
    alone = Moves()
    for part in (Y[:2], Y[2:]):
        alone.update_state(part, part)
    assert K.eval(alone.result()) == 850 + 80 + 3
    alone.reset_states()
    assert K.eval(alone.result()) == 0


def test_batches_begin_anew_unless_told_otherwise() -> None:
    net = model(SGD(lr=0.0), "mse", metrics=[Moves()])
    assert [net.train_on_batch(X, Y)[1] for _ in range(2)] == [1150 + 110, 1150 + 110]
    assert net.train_on_batch(X, Y, reset_metrics=False)[1] == 1200 + 110 + 11
    net.reset_metrics()
    assert net.test_on_batch(X, Y, reset_metrics=False)[1] == 1150 + 110


def test_outputs_count_apart() -> None:
    x = Input((2,))
    net = Model(x, [Dense(1, name="a")(x), Dense(1, name="b")(x)])
    net.compile("sgd", "mse", metrics=[metrics.MeanAbsoluteError(name="mae")])
    found = dict(zip(net.metrics_names, net.evaluate(X, [Y, -Y], verbose=0), strict=True))
    for name, y, p in zip("ab", (Y, -Y), net.predict(X), strict=True):
        assert found[f"{name}_mae"] == pytest.approx(np.abs(p[:, 0] - y).mean(), rel=1e-5)


def test_reductions_in_training() -> None:
    weights = np.array([0.0, 1.0, 2.0, 1.0])
    squares = (2 - Y) ** 2
    for reduction, expected in (("sum", (squares * weights).sum()), ("auto", (squares * weights).mean())):
        net = model("sgd", losses.MeanSquaredError(reduction=reduction))
        assert net.test_on_batch(X, Y, sample_weight=weights) == pytest.approx(expected)


def test_a_rate_of_a_schedule() -> None:
    net = model(SGD(learning_rate=schedules.PiecewiseConstantDecay([0, 1], [0.1, 0.01, 0.0])), "mae")
    kernels = []
    for _ in range(3):
        net.train_on_batch(X, Y + 100)
        kernels.append(net.get_weights()[0][0, 0])
    np.testing.assert_allclose(kernels, [1.1, 1.11, 1.11], rtol=1e-6)
    again = Adam.from_config(Adam(schedules.ExponentialDecay(0.1, 5, 0.5, staircase=True)).get_config())
    assert again.lr.get_config() == schedules.ExponentialDecay(0.1, 5, 0.5, True).get_config()


def test_a_step_out_of_range_is_no_result() -> None:
    auc = metrics.AUC()
    auc.update_state([0, 1], [0.2, 1.5])
    assert np.isnan(K.eval(auc.result()))


class Idle(metrics.Metric):
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        K.sum(y_true)

    def result(self) -> Any:
        return K.constant(0.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: model("sgd", losses.MeanSquaredError(reduction="none")), "needs one number"),
        (lambda: model("sgd", losses.MeanSquaredError), r"write MeanSquaredError\(\.\.\.\)"),
        (lambda: model("sgd", "mse", metrics=[metrics.AUC]), r"write AUC\(\.\.\.\)"),
        (lambda: model("sgd", "mse", metrics=[metrics.Recall([0.1, 0.2])]), "expected one number to report"),
        (lambda: model("sgd", "mse", metrics=[Idle(name="idle")]), "metric idle: .* changes no weight"),
        (lambda: losses.Loss("mean"), "expected one of auto, none, sum"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=2), "from 0 to 1, got 2"),
        (lambda: metrics.AUC(curve="roc"), "one of ROC, PR, got 'roc'"),
        (lambda: metrics.Precision(top_k=3), "top_k is not supported"),
        (lambda: metrics.Recall(thresholds=-1), r"lie in \[0, 1\], got \[-1"),
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "should be positive, got 0"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 2, 3]), "should rise"),
        (lambda: model("sgd", "mse").fit(X, Y, validation_freq=0), "at least 1, or a list"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
