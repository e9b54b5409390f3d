"""Batches from arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph.preprocessing.image import NumpyArrayIterator
from tests.preprocessing.stand_ins import N, Noisy, numbers, samples


def test_arrays_come_with_targets_weights_and_further_inputs() -> None:
    x, extra, weights = samples(), np.arange(N) * 10, np.arange(N) / 2
    make = NumpyArrayIterator
    inputs = next(make(x, None, Noisy(), 5))
    assert numbers(inputs) == [0, 1, 2, 3, 4]
    assert inputs.shape == (5, 2, 3, 1)
    assert inputs.dtype == np.float32
    inputs, y, w = next(
        make((x, extra), np.arange(N), Noisy(), 5, sample_weight=weights, seed=1, shuffle=True)
    )
    order = np.random.RandomState(1).permutation(N)[:5]
    assert isinstance(inputs, list)
    assert numbers(inputs[0]) == order.tolist() == y.tolist()
    assert inputs[1].tolist() == (order * 10).tolist()
    assert w.tolist() == (order / 2).tolist()
    inputs = next(make((x, [extra, extra + 1]), None, Noisy(), 2))
    assert [values.tolist() for values in inputs[1:]] == [[0, 10], [1, 11]]


def test_subsets_of_arrays_take_everything_along() -> None:
    x, y, extra, weights = samples(20), np.arange(20) % 2, np.arange(20) * 10, np.arange(20) / 2
    for subset, rows in (("validation", range(5)), ("training", range(5, 20))):
        iterator = NumpyArrayIterator(
            (x, extra), y, Noisy(split=0.29), 20, sample_weight=weights, subset=subset
        )
        inputs, targets, w = next(iterator)
        assert numbers(inputs[0]) == list(rows)
        assert inputs[1].tolist() == [10 * r for r in rows]
        assert targets.tolist() == [r % 2 for r in rows]
        assert w.tolist() == [r / 2 for r in rows]
        assert iterator.n == len(rows)
    with pytest.raises(ValueError, match="different number of classes"):
        NumpyArrayIterator(x, np.arange(20) // 10, Noisy(split=0.25), subset="training")
    # Continuous targets are no classes.
    assert NumpyArrayIterator(x, np.arange(20) / 7, Noisy(split=0.25), subset="training").n == 15
    assert NumpyArrayIterator(x, None, Noisy(split=0.25), subset="training").n == 15
    with pytest.raises(
        ValueError, match='Invalid subset name: \'test\'; expected "training" or "validation"'
    ):
        NumpyArrayIterator(x, y, Noisy(split=0.25), subset="test")
    with pytest.raises(ValueError, match="needs an ImageDataGenerator with validation_split"):
        NumpyArrayIterator(x, y, Noisy(), subset="validation")


def test_bytes_stay_bytes_and_others_become_the_dtype() -> None:
    class Plain(Noisy):
        def _batch(self, pictures: Any, seeds: list[int]) -> np.ndarray:
            seen.append(pictures.dtype)
            return super()._batch(pictures, seeds)

    seen: list[np.dtype] = []
    for dtype in ("uint8", "int64", "float16", "float64", "bool"):
        assert next(NumpyArrayIterator(samples(2, dtype), None, Plain())).dtype == np.float32
    assert seen == ["uint8", "float32", "float32", "float32", "float32"]
    assert next(NumpyArrayIterator(samples(2), None, Noisy(), dtype="float64")).dtype == np.float64


def test_arrays_that_do_not_fit_are_refused() -> None:
    x = samples()
    with pytest.raises(
        ValueError, match=r"`y` \(labels\) should have the same length.*\(23, 2, 3, 1\).*\(22,\)"
    ):
        NumpyArrayIterator(x, np.arange(22), Noisy())
    with pytest.raises(ValueError, match="`sample_weight` should have the same length"):
        NumpyArrayIterator(x, np.arange(23), Noisy(), sample_weight=np.ones(3))
    with pytest.raises(ValueError, match=r"len\(x\[0\]\) = 23, len\(x\[\?\]\) = 3"):
        NumpyArrayIterator((x, np.ones(3)), None, Noisy())
    with pytest.raises(ValueError, match=r"rank 4. You passed an array with shape \(23, 2, 3\)"):
        NumpyArrayIterator(x[..., 0], None, Noisy())
    with pytest.raises(ValueError, match="an array, or a pair of one and others; got 3 entries"):
        NumpyArrayIterator((x, x, x), None, Noisy())
    with pytest.raises(ValueError, match="data_format must be that of the generator, 'channels_last'"):
        NumpyArrayIterator(x, None, Noisy(), data_format="channels_first")
    with pytest.warns(UserWarning, match=r"expected either 1, 3, or 4 channels on axis 3.*\(5 channels\)"):
        NumpyArrayIterator(np.zeros((2, 3, 4, 5)), None, Noisy())
    with pytest.raises(ValueError, match="NumpyArrayIterator has no samples"):
        next(NumpyArrayIterator(x[:0], None, Noisy()))
