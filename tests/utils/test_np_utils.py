"""One-hot labels and normalisation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from symgraph.utils import normalize, to_categorical


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), (5,)),
        ((3,), (3, 5)),
        ((4, 3), (4, 3, 5)),
        ((3, 1), (3, 5)),
        ((3, 2, 1), (3, 2, 5)),
        ((1,), (1, 5)),
    ],
)
def test_one_hot_shapes(shape, expected):
    labels = np.random.default_rng(1).integers(0, 5, size=shape)
    vectors = to_categorical(labels, 5)
    assert vectors.shape == expected
    assert vectors.dtype == np.float32
    assert set(np.unique(vectors)) <= {0.0, 1.0}
    np.testing.assert_array_equal(vectors.sum(axis=-1), 1)
    np.testing.assert_array_equal(vectors.argmax(axis=-1).reshape(shape), labels)


def test_number_of_classes_and_type():
    assert to_categorical([0, 2, 1]).shape == (3, 3)
    assert to_categorical([1.0, 0.0], dtype="int32").dtype == np.int32
    assert to_categorical([True, False]).tolist() == [[0, 1], [1, 0]]
    assert to_categorical([], 4).shape == (0, 4)


@pytest.mark.parametrize(("labels", "classes"), [([0, 3], 3), ([-1, 0], 3), ([0.5], 2), ([], None)])
def test_impossible_labels(labels, classes):
    with pytest.raises(ValueError, match="to_categorical"):
        to_categorical(labels, classes)


@given(
    hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=5), elements=st.floats(-1e3, 1e3)
    ),
    st.sampled_from([1, 2, np.inf]),
)
def test_normalized_vectors_have_norm_one(x, order):
    result = normalize(x, axis=-1, order=order)
    assert result.shape == (x.shape if x.ndim > 1 else (1, *x.shape))
    sums = {1: np.abs(x).sum(-1), 2: np.sqrt((x * x).sum(-1)), np.inf: np.abs(x).max(-1)}[order]
    expected = np.where(sums[..., None] == 0, x, x / np.where(sums == 0, 1, sums)[..., None])
    np.testing.assert_allclose(result, expected.reshape(result.shape), rtol=1e-9, atol=1e-12)


def test_normalize_other_axis():
    np.testing.assert_allclose(normalize([[3.0, 0.0], [4.0, 0.0]], axis=0), [[0.6, 0.0], [0.8, 0.0]])
