"""Lengths of windows against counting, and checks of what users pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.utils import conv_utils

SMALL = st.integers(1, 5)


@given(st.integers(0, 30), SMALL, SMALL, SMALL)
def test_valid_windows_are_those_that_lie_inside(length: int, size: int, stride: int, dilation: int) -> None:
    reach = (size - 1) * dilation + 1
    count = len([start for start in range(0, length, stride) if start + reach <= length])
    got = conv_utils.conv_output_length(length, size, "valid", stride, dilation)
    assert got is not None
    assert max(got, 0) == count


@given(st.integers(1, 30), SMALL, SMALL)
def test_same_windows_begin_at_every_stride(length: int, size: int, stride: int) -> None:
    assert conv_utils.conv_output_length(length, size, "same", stride) == len(range(0, length, stride))


@given(st.integers(1, 30), SMALL, SMALL, SMALL, st.sampled_from(["valid", "same"]))
def test_transposed_lengths_lead_back(
    length: int, size: int, stride: int, dilation: int, padding: str
) -> None:
    grown = conv_utils.deconv_length(length, stride, size, padding, None, dilation)
    assert conv_utils.conv_output_length(grown, size, padding, stride, dilation) == length


@given(st.integers(1, 30), SMALL, SMALL)
def test_input_lengths_lead_back(length: int, size: int, stride: int) -> None:
    needed = conv_utils.conv_input_length(length, size, "valid", stride)
    assert conv_utils.conv_output_length(needed, size, "valid", stride) == length


def test_published_values() -> None:
    # Keras' documentation of Conv2DTranspose: (rows - 1) * stride + kernel - 2 * pad + output_padding.
    assert conv_utils.deconv_length(4, 2, 3, "same", 1) == 3 * 2 + 3 - 2 + 1
    assert conv_utils.deconv_length(4, 2, 3, "valid", 0) == 9
    assert conv_utils.deconv_length(4, 1, 3, "full", None) == 2
    assert conv_utils.conv_output_length(8, 3, "full", 1) == 10
    assert conv_utils.conv_output_length(8, 3, "causal", 2) == 4
    for function in (conv_utils.conv_output_length, conv_utils.conv_input_length):
        assert function(None, 3, "valid", 1) is None
    assert conv_utils.deconv_length(None, 1, 3, "valid", None) is None


def test_kernels_turn() -> None:
    kernel = np.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    turned = conv_utils.convert_kernel(kernel)
    np.testing.assert_array_equal(turned[0, 0], kernel[1, 2])
    np.testing.assert_array_equal(conv_utils.convert_kernel(turned), kernel)
    with pytest.raises(ValueError, match="Invalid kernel shape"):
        conv_utils.convert_kernel(np.ones((2, 2)))


@pytest.mark.parametrize("value", [(1, 2, 3), "ab", None, 1.5, (1, 1.5), (True, 1), (0, -1)])
def test_wrong_tuples(value: Any) -> None:
    with pytest.raises(ValueError, match="`strides` argument must be"):
        conv_utils.normalize_tuple(value, 2, "strides")


def test_tuples_and_pairs() -> None:
    assert conv_utils.normalize_tuple(np.int64(3), 2, "x") == (3, 3)
    for text in ("SAME", "valid", "Causal"):
        assert conv_utils.normalize_padding(text) == text.lower()
    with pytest.raises(ValueError, match="The `padding` argument must be one of"):
        conv_utils.normalize_padding("full")
    assert conv_utils.normalize_tuple([1, 2], 2, "x") == (1, 2)
    assert conv_utils.normalize_pairs(1, "padding") == ((1, 1), (1, 1))
    assert conv_utils.normalize_pairs((1, 2), "padding") == ((1, 1), (2, 2))
    assert conv_utils.normalize_pairs([[1, 2], [3, 4]], "padding") == ((1, 2), (3, 4))
    with pytest.raises(ValueError, match="1st entry of padding"):
        conv_utils.normalize_pairs(((1, 2, 3), 1), "padding")
