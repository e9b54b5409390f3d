"""Checks of users' data, batch by batch bookkeeping, and weighted objectives."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from symgraph import backend as K
from symgraph import losses
from symgraph.engine.data.checks import check_class_labels
from symgraph.engine.training_parts.loops import Batches
from symgraph.engine.training_utils import (
    batch_shuffle,
    check_array_length_consistency,
    check_loss_and_target_compatibility,
    check_num_samples,
    collect_metrics,
    make_batches,
    standardize_class_weights,
    standardize_input_data,
    standardize_sample_weights,
    standardize_weights,
    weighted_masked_objective,
)

# -- inputs --------------------------------------------------------------------------------------------------


def test_data_of_any_form_become_a_list_in_order():
    a, b = np.zeros((3, 2)), np.ones((3, 4))
    for data in ([a, b], (a, b), {"b": b, "a": a}):
        found = standardize_input_data(data, ["a", "b"], [(None, 2), (None, 4)], exception_prefix="input")
        assert found[0] is a and found[1] is b
    assert standardize_input_data(None, ["a", "b"]) == [None, None]
    assert standardize_input_data(None, []) == []
    np.testing.assert_array_equal(standardize_input_data([1, 2.5], ["a"])[0], [[1.0], [2.5]])
    np.testing.assert_array_equal(standardize_input_data([[1, 2]], ["a"])[0], [[1], [2]])


def test_single_numbers_get_an_axis_unless_none_is_expected():
    y = np.arange(3)
    assert standardize_input_data(y, ["y"], [(None, 1)])[0].shape == (3, 1)
    assert standardize_input_data(y, ["y"], [None])[0].shape == (3, 1)
    assert standardize_input_data(y, ["y"], [(None,)])[0] is y


def test_frames_are_read_by_their_values():
    class DataFrame:
        values = np.eye(3)

    assert standardize_input_data({"a": DataFrame()}, ["a"], [(None, 3)])[0] is DataFrame.values


@pytest.mark.parametrize(
    ("data", "names", "error", "match"),
    [
        (np.zeros((3, 2)), [], ValueError, "expected no data"),
        ({"a": np.zeros((3, 2))}, ["a", "b"], ValueError, 'No data provided for "b"'),
        ({"a": np.zeros((3, 2)), "c": 1}, ["a"], ValueError, r"unknown names \['c'\]"),
        ([np.zeros((3, 2))] * 3, ["a", "b"], ValueError, "3 arrays"),
        ([], ["a"], ValueError, "0 arrays"),
        ([[1, 2], [3]], ["a"], ValueError, "2 arrays"),
        ([[[1, 2], [3]]], ["a"], ValueError, "regular array for a"),
        (5, ["a"], ValueError, "array of samples for a"),
        ("text", ["a"], TypeError, "numbers for a"),
        (object(), ["a"], TypeError, "numbers for a"),
        (np.array(["2020-01-01"], "M8[D]"), ["a"], TypeError, "numbers for a"),
    ],
)
def test_wrong_data_are_refused_by_name(data, names, error, match):
    with pytest.raises(error, match=match):
        standardize_input_data(data, names, exception_prefix="input")


def test_shapes_are_compared_with_and_without_the_batch():
    x = np.zeros((3, 2, 5))
    assert standardize_input_data(x, ["x"], [(None, None, 5)])[0] is x
    assert standardize_input_data(x, ["x"], [(7, 2, 5)], check_batch_axis=False)[0] is x
    with pytest.raises(ValueError, match=r"expected x to have shape \(7, 2, 5\) but got array with shape"):
        standardize_input_data(x, ["x"], [(7, 2, 5)], exception_prefix="input")
    with pytest.raises(ValueError, match="expected x to have 2 dimensions"):
        standardize_input_data(x, ["x"], [(None, 2)], exception_prefix="input")


def test_lengths_have_to_agree():
    a, b = np.zeros((3, 2)), np.zeros((4, 2))
    check_array_length_consistency([a, a], [a], [np.ones(3)])
    check_array_length_consistency([a], [], [])
    for arguments, match in (
        (([a, b], [a]), "All input arrays"),
        (([a], [a, b]), "All target arrays"),
        (([a], [b]), "3 input samples and 4 target samples"),
        (([a], [a], [np.ones(3), np.ones(4)]), "All sample_weight arrays"),
        (([a], [a], [np.ones(4)]), "3 input samples and 4 target samples"),
        (([a], None), "3 input samples and 0 target samples"),
    ):
        with pytest.raises(ValueError, match=match):
            check_array_length_consistency(*arguments)


# -- targets -------------------------------------------------------------------------------------------------


def test_losses_and_targets_have_to_suit():
    one_hot, labels = np.eye(3), np.zeros((3, 1))
    check_loss_and_target_compatibility([one_hot], [losses.categorical_crossentropy], [(None, 3)])
    check_loss_and_target_compatibility([labels], [losses.sparse_categorical_crossentropy], [(None, 1)])
    check_loss_and_target_compatibility([None, one_hot], [None, losses.mean_squared_error], [None, (None, 3)])
    with pytest.raises(ValueError, match="to_categorical"):
        check_loss_and_target_compatibility([labels], [losses.categorical_crossentropy], [(None, 3)])
    for loss in (losses.mean_squared_error, losses.binary_crossentropy):
        with pytest.raises(ValueError, match="same shape as the output"):
            check_loss_and_target_compatibility([one_hot], [loss], [(None, 2)])


def test_labels_name_classes():
    check_class_labels(np.array([0, 2]), 3, "y")
    for wrong in ([3], [-1], [0.5], [np.nan]):
        with pytest.raises(ValueError, match="y"):
            check_class_labels(np.array(wrong), 3, "y")


# -- weights -------------------------------------------------------------------------------------------------


def test_weights_for_each_output():
    w = np.ones(3)
    assert standardize_sample_weights(None, ["a", "b"]) == [None, None]
    assert standardize_sample_weights({"b": w}, ["a", "b"]) == [None, w]
    assert standardize_sample_weights([w], ["a"]) == [w]
    assert standardize_sample_weights({"a": w}, ["a"]) == [w]
    assert standardize_class_weights({0: 1.0}, ["a"]) == [{0: 1.0}]
    with pytest.raises(ValueError, match="list of 1 elements"):
        standardize_sample_weights([w], ["a", "b"])
    with pytest.raises(ValueError, match="Unknown entries in `class_weight`: 0"):
        standardize_class_weights({0: 1.0}, ["a", "b"])
    with pytest.raises(TypeError, match="list or a dict"):
        standardize_sample_weights(w, ["a", "b"])


def test_class_weights_of_the_first_keras_have_no_effect():
    with pytest.warns(UserWarning, match="has no effect"):
        weights = standardize_weights(np.zeros((3, 1)), class_weight="auto")
    np.testing.assert_array_equal(weights, np.ones(3))


def test_sample_and_class_weights_become_one_array():
    y = np.array([[0], [2], [2]])
    assert standardize_weights(y).dtype == "float32"
    np.testing.assert_array_equal(standardize_weights(y), [1, 1, 1])
    np.testing.assert_array_equal(standardize_weights(y, [1, 2, 3]), [1, 2, 3])
    weights = {0: 0.5, 1: 7.0, 2: 3.0}
    np.testing.assert_array_equal(standardize_weights(y, class_weight=weights), [0.5, 3, 3])
    np.testing.assert_array_equal(standardize_weights(np.eye(3)[y[:, 0]], class_weight=weights), [0.5, 3, 3])
    assert standardize_weights(np.zeros((2, 4, 1)), sample_weight_mode="temporal").shape == (2, 4)
    with pytest.warns(UserWarning, match="`class_weight` argument will be ignored"):
        np.testing.assert_array_equal(standardize_weights(y, np.zeros(3), weights), [0, 0, 0])


@pytest.mark.parametrize(
    ("y", "arguments", "match"),
    [
        ((3, 1), {"sample_weight": np.ones((3, 1))}, "1D"),
        ((3, 1), {"sample_weight": np.ones(2)}, "3 input samples and 2"),
        ((3, 1), {"sample_weight_mode": "hourly"}, "temporal"),
        ((3, 1), {"sample_weight_mode": "temporal"}, "at least 3D"),
        (
            (3, 4, 1),
            {"sample_weight": np.ones((3, 5)), "sample_weight_mode": "temporal"},
            "cannot be broadcast",
        ),
        ((3, 4, 1), {"sample_weight": np.ones(3), "sample_weight_mode": "temporal"}, "2D"),
        ((3, 4, 1), {"class_weight": {0: 1.0}}, "3\\+ dimensional"),
        ((3, 1), {"class_weight": {1: 1.0}}, "The classes {0.0}"),
    ],
)
def test_wrong_weights_are_refused(y, arguments, match):
    with pytest.raises(ValueError, match=match):
        standardize_weights(np.zeros(y), **arguments)


def test_weighted_masked_objective():
    rng = np.random.default_rng(0)
    true, pred = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 2))
    mask = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1]])
    weights = np.array([1.0, 0.0, 2.0, 0.5])

    def value(weights, mask):
        weighted = weighted_masked_objective(losses.mean_absolute_error)
        as_node = [None if v is None else K.constant(v) for v in (weights, mask)]
        return K.eval(weighted(K.constant(true), K.constant(pred), *as_node))

    each = abs(true - pred).mean(-1)
    assert value(None, None) == pytest.approx(each.mean(), rel=1e-5)
    assert value(None, mask) == pytest.approx(each[mask == 1].mean(), rel=1e-5)
    assert value(weights, None) == pytest.approx((each.mean(1) * weights).sum() / 3, rel=1e-5)
    masked = (each * mask / mask.mean()).mean(1)
    assert value(weights, mask) == pytest.approx((masked * weights).sum() / 3, rel=1e-5)
    assert weighted_masked_objective(None) is None


def test_metrics_for_each_output():
    assert collect_metrics(None, ["a", "b"]) == [[], []]
    assert collect_metrics(["acc"], ["a", "b"]) == [["acc"], ["acc"]]
    assert collect_metrics({"b": "acc"}, ["a", "b"]) == [[], ["acc"]]
    assert collect_metrics([["acc"], ["mse", "mae"]], ["a", "b"]) == [["acc"], ["mse", "mae"]]
    with pytest.raises(TypeError, match="list or dictionary"):
        collect_metrics({"a"}, ["a"])
    with pytest.raises(ValueError, match="Unknown entry in metrics"):
        collect_metrics({"c": "acc"}, ["a", "b"])


# -- batches -------------------------------------------------------------------------------------------------


@given(size=st.integers(0, 100), batch=st.integers(1, 30))
def test_batches_cover_everything_once(size, batch):
    batches = make_batches(size, batch)
    assert [i for start, stop in batches for i in range(start, stop)] == list(range(size))
    assert all(0 < stop - start <= batch for start, stop in batches)


@given(size=st.integers(0, 60), batch=st.integers(1, 20))
def test_batch_shuffle_keeps_batches_together(size, batch):
    shuffled = batch_shuffle(np.arange(size), batch)
    assert sorted(shuffled) == list(range(size))
    whole = size // batch * batch
    np.testing.assert_array_equal(shuffled[whole:], np.arange(whole, size))
    for start in range(0, whole, batch):
        np.testing.assert_array_equal(np.diff(shuffled[start : start + batch]), 1)
        assert shuffled[start] % batch == 0


def test_rows_are_views_and_taken_rows_use_the_same_memory():
    x, labels = np.arange(12.0).reshape(6, 2), np.arange(6)
    batches = Batches([x, labels, scipy.sparse.coo_matrix(x), np.asfortranarray(x)])
    rows = batches.rows(1, 3)
    assert np.shares_memory(rows[0], x) and np.shares_memory(rows[1], labels)
    first = batches.take(np.array([4, 0, 2]))
    for found, source in zip(first, (x, labels, x, x), strict=True):
        np.testing.assert_array_equal(found, source[[4, 0, 2]])
    assert np.shares_memory(first[0], batches.take(np.array([1, 5]))[0])


def test_the_number_of_samples():
    assert check_num_samples([np.zeros((5, 2))], batch_size=2) == 5
    assert check_num_samples([], steps=3) is None
    with pytest.raises(ValueError, match="`batch_size` must be None"):
        check_num_samples([np.zeros(5)], batch_size=2, steps=3)
    with pytest.raises(ValueError, match="`steps` argument"):
        check_num_samples([])
