"""Softmax, cross entropies, in_top_k, top_k and random ops against formulas of their own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from symgraph.graph import operators  # noqa: F401 - gives tensors their operators
from symgraph.graph.dims import unknown
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import nn, random, sort

RNG = np.random.default_rng(0)


def value(tensor):
    return evaluate([tensor])[0]


class TestSoftmax:
    @pytest.mark.parametrize("axis", [0, 1, -1])
    def test_any_axis(self, axis):
        x = RNG.standard_normal((3, 4, 5))
        np.testing.assert_allclose(value(nn.softmax(constant(x), axis)), special.softmax(x, axis), rtol=1e-12)
        np.testing.assert_allclose(
            value(nn.log_softmax(constant(x), axis)), special.log_softmax(x, axis), rtol=1e-12
        )

    def test_integers_become_floats(self):
        assert nn.softmax(constant(np.array([1, 2]))).dtype == "float32"

    def test_scalars_are_refused(self):
        with pytest.raises(ValueError, match="out of range"):
            nn.softmax(constant(1.0))


class TestCrossEntropy:
    def test_extreme_logits(self):
        logits = np.array([[1000.0, 0.0, -1000.0], [0.0, 0.0, 0.0]])
        targets = np.eye(3)[[2, 1]]
        ours = value(nn.softmax_cross_entropy(constant(logits), constant(targets)))
        np.testing.assert_allclose(ours, [2000.0, np.log(3.0)])
        sparse = value(nn.sparse_softmax_cross_entropy(constant(logits), constant(np.array([2, 1]))))
        np.testing.assert_array_equal(sparse, ours)

    def test_class_axis_in_the_middle(self):
        logits, labels = RNG.standard_normal((2, 4, 3)), RNG.integers(0, 4, (2, 3))
        ours = value(nn.sparse_softmax_cross_entropy(constant(logits), constant(labels), axis=1))
        wanted = -np.take_along_axis(special.log_softmax(logits, 1), labels[:, None], 1)[:, 0]
        np.testing.assert_allclose(ours, wanted, rtol=1e-12)

    def test_gradient_is_softmax_minus_target(self):
        x = placeholder((2, 3), dtype="float64")
        logits, labels = RNG.standard_normal((2, 3)), np.array([0, 2])
        (flow,) = gradients(nn.sparse_softmax_cross_entropy(x, constant(labels)), [x])
        wanted = special.softmax(logits, -1) - np.eye(3)[labels]
        np.testing.assert_allclose(evaluate([flow], {x: logits})[0], wanted, atol=1e-14)

    @pytest.mark.parametrize("label", [3, -1])
    def test_labels_that_are_no_class(self, label):
        x, t = placeholder((1, 3)), placeholder((1,), dtype="int32")
        with pytest.raises(ValueError, match="out of range"):
            evaluate([nn.sparse_softmax_cross_entropy(x, t)], {x: np.zeros((1, 3)), t: [label]})

    def test_shapes_do_not_broadcast(self):
        with pytest.raises(ValueError, match=r"targets of shape \(2, 3\), got \(2, 1\)"):
            nn.softmax_cross_entropy(placeholder((2, 3)), placeholder((2, 1)))
        with pytest.raises(ValueError, match="labels of 1 dimensions"):
            nn.sparse_softmax_cross_entropy(placeholder((2, 3)), placeholder((2, 1), dtype="int32"))

    def test_sigmoid_keeps_its_digits(self):
        z = np.array([-800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 800.0])
        x = placeholder(z.shape, dtype="float64")
        for target in (0.0, 1.0, 0.25):
            loss = nn.sigmoid_cross_entropy(x, target * np.ones(z.shape))
            (flow,) = gradients(loss, [x])
            ours, slope = evaluate([loss, flow], {x: z})
            wanted = -target * special.log_expit(z) - (1 - target) * special.log_expit(-z)
            np.testing.assert_allclose(ours, wanted, rtol=1e-13)
            exact = (1 - target) * special.expit(z) - target * special.expit(-z)
            np.testing.assert_allclose(slope, exact, rtol=1e-12)


class TestTop:
    def test_in_top_k(self):
        scores = np.array(
            [[0.1, 0.9, 0.5], [0.5, 0.5, 0.5], [1.0, 0.0, np.nan], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]
        )
        targets = np.array([2, 0, 2, 3, 0])
        ours = value(nn.in_top_k(constant(scores), constant(targets), 2))
        np.testing.assert_array_equal(ours, [True, True, False, False, False])

    def test_top_k_errors(self):
        with pytest.raises(ValueError, match="at least 4 elements"):
            sort.top_k(placeholder((2, 3)), 4)

    def test_gradient(self):
        x = placeholder((None, 4), dtype="float64")
        values, indices = sort.top_k(x, 2)
        assert indices.dtype == "int32"
        (flow,) = gradients(values, [x])
        np.testing.assert_array_equal(evaluate([flow], {x: [[3.0, 1.0, 4.0, 2.0]]})[0], [[1, 0, 1, 0]])


class TestRandom:
    # Salmon et al., file kat_vectors of the Random123 library 1.14: philox4x32, 10 rounds.
    @pytest.mark.parametrize(
        ("counter", "key", "wanted"),
        [
            ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
            ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
            (
                (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
                (0xA4093822, 0x299F31D0),
                (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
            ),
        ],
    )
    def test_published_values(self, counter, key, wanted):
        words = random.philox([np.array([c]) for c in counter], key)
        assert tuple(int(w[0]) for w in words) == wanted

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_distributions(self, dtype):
        # Kolmogorov and Smirnov's test at a fixed seed: no chance of a failure now and then.
        shape = (20_000,)
        uniform = value(random.random_uniform(shape, -1.0, 3.0, dtype, seed=1))
        assert stats.kstest(uniform, stats.uniform(-1, 4).cdf).pvalue > 0.01
        assert uniform.min() >= -1 and uniform.max() < 3
        normal = value(random.random_normal(shape, 2.0, 0.5, dtype, seed=2))
        assert stats.kstest(normal, stats.norm(2, 0.5).cdf).pvalue > 0.01
        cut = value(random.truncated_normal(shape, 0.0, 3.0, dtype, seed=3))
        assert stats.kstest(cut, stats.truncnorm(-2, 2, scale=3).cdf).pvalue > 0.01
        chance = value(random.random_bernoulli(shape, 0.3, dtype, seed=4))
        assert stats.binomtest(int(chance.sum()), shape[0], 0.3).pvalue > 0.01

    def test_state_counts_calls(self):
        drawn = random.random_uniform((3,), seed=7)
        (state,) = drawn.inputs
        assert isinstance(state, Variable) and state.get_value().tolist() == [7, 0, 0] and not state.trainable
        np.testing.assert_array_equal(value(state.default_update), [7, 1, 0])

    def test_two_draws_are_two_nodes_and_differ(self):
        np.random.seed(0)
        first, second = random.random_normal((4,)), random.random_normal((4,))
        assert first.op is not second.op and not first.op.pure
        assert np.all(value(first) != value(second))
        np.random.seed(0)
        np.testing.assert_array_equal(value(random.random_normal((4,))), value(first))

    def test_shapes_of_data(self):
        x = placeholder((None, 5))
        assert random.random_normal(x.shape).shape == x.shape
        assert random.random_bernoulli((unknown("N"), 2), constant(0.5)).ndim == 2

    def test_errors(self):
        with pytest.raises(TypeError, match="float dtype"):
            random.random_normal((2,), dtype="int32")
        with pytest.raises(TypeError, match="integer as seed"):
            random.random_normal((2,), seed=0.5)
