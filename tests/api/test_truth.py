"""Every name of Keras that computes something has a test that compares it with independent truth."""

from __future__ import annotations

import ast
import functools
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.read_keras import FACTS
from tests.api.test_api import exceptions, not_yet
from tests.backend.truths import TRUTHS
from tests.layers.samples import SAMPLES
from tests.test_activations import EXPECTED
from tests.test_losses import FORMULAS

ROOT = Path(__file__).parents[2]
KERAS: dict[str, dict[str, Any]] = json.loads(FACTS.read_text(encoding="utf-8"))

#: Names that go through a check of all names of a table.
TABLES: dict[str, set[str]] = {
    "activations": set(EXPECTED),
    "backend": set(TRUTHS),
    "layers": {cls.__name__ for cls in SAMPLES},
    "losses": set(FORMULAS),
    "metrics": set(FORMULAS),
}

#: Tests of single names: file and test, then the names.
TESTS: dict[str, dict[str, str]] = {
    "activations": {
        "tests/test_activations.py::test_get": "get",
        "tests/test_activations.py::test_values_and_names": "deserialize serialize",
    },
    "backend": {
        "tests/backend/test_core.py::test_variable_keeps_a_copy_in_floatx": """
            count_params dtype eval get_value get_variable_shape int_shape is_tensor ndim set_value variable
        """,
        "tests/backend/test_core.py::test_names": "clear_session get_uid name_scope reset_uids",
        "tests/backend/test_core.py::test_set_many_values_or_none": "batch_get_value batch_set_value",
        "tests/backend/test_core.py::test_placeholders": "is_placeholder placeholder",
        "tests/backend/test_sparse.py::test_a_placeholder_and_its_properties": "is_sparse to_dense",
        "tests/backend/test_core.py::test_keras_tensors": "is_keras_tensor",
        "tests/backend/test_core.py::test_updates": "moving_average_update update update_add update_sub",
        "tests/backend/test_core.py::test_settings": """
            cast_to_floatx epsilon floatx image_data_format normalize_data_format set_floatx
            set_image_data_format
        """,
        "tests/test_globals.py::test_settings_change_and_refuse": "set_epsilon",
        "tests/backend/test_ctc.py::test_cost_is_the_sum_over_all_alignments": "ctc_batch_cost",
        "tests/backend/test_ctc.py::test_labels_beyond_the_end": "ctc_label_dense_to_sparse",
        "tests/backend/test_ctc.py::test_a_wide_search_finds_the_most_probable_sequences": "ctc_decode",
        "tests/backend/test_functions.py::test_function_feeds_fetches_and_updates": "Function function",
        "tests/backend/test_functions.py::test_gradients": "gradients",
        "tests/backend/test_functions.py::test_stop_gradient": "stop_gradient",
        "tests/backend/test_functions.py::test_phases_that_are_known": "in_test_phase in_train_phase",
        "tests/backend/test_functions.py::test_phases_that_are_fixed": "learning_phase set_learning_phase",
        "tests/backend/test_legacy.py::test_old_names_of_layouts": """
            image_dim_ordering set_image_dim_ordering
        """,
        "tests/backend/test_session.py::test_the_session_that_was_set_is_returned": """
            get_session set_session
        """,
        "tests/backend/test_legacy.py::test_variables_have_values_whoever_initialises_them": """
            manual_variable_initialization
        """,
        "tests/backend/test_loops.py::test_rnn": "rnn",
        "tests/backend/test_loops.py::test_map_fn": "map_fn",
        "tests/backend/test_loops.py::test_folds": "foldl foldr",
        "tests/graph/test_host.py::test_print_tensor_prints_what_is_computed": "print_tensor",
        "tests/backend/test_random.py::test_distributions": "random_normal random_uniform truncated_normal",
        "tests/backend/test_random.py::test_binomial": "random_binomial",
        "tests/backend/test_random.py::test_random_variables": """
            random_normal_variable random_uniform_variable
        """,
        "tests/backend/test_random.py::test_dropout": "dropout",
    },
    "constraints": {
        "tests/test_constraints.py::test_norms": "MaxNorm MinMaxNorm UnitNorm",
        "tests/test_constraints.py::test_non_negative": "NonNeg",
        "tests/test_constraints.py::test_round_trip": "Constraint deserialize get serialize",
    },
    "initializers": {
        "tests/test_initializers.py::test_variance_follows_the_fans": """
            glorot_normal glorot_uniform he_normal he_uniform lecun_normal lecun_uniform get
        """,
        "tests/test_initializers.py::test_distributions": "RandomNormal RandomUniform TruncatedNormal",
        "tests/test_initializers.py::test_variance_scaling": "VarianceScaling",
        "tests/test_initializers.py::test_orthogonal": "Orthogonal",
        "tests/test_initializers.py::test_identity": "Identity",
        "tests/test_initializers.py::test_constants": "Constant Ones Zeros",
        "tests/test_initializers.py::test_round_trip": "Initializer deserialize serialize",
    },
    "layers": {
        "tests/layers/recurrent_samples.py::_recurrent": "GRUCell LSTMCell SimpleRNNCell",
        "tests/layers/test_recurrent.py::test_stacked_cells": "StackedRNNCells",
        "tests/layers/recurrent_samples.py::_pictures": "ConvLSTM2DCell",
        "tests/layers/test_layers.py::test_functional_forms": """
            add average concatenate dot maximum minimum multiply subtract
        """,
        "tests/engine/test_base_layer.py::test_a_layer_of_the_user": "Layer",
        "tests/engine/test_base_layer.py::test_demands_on_inputs_in_the_words_of_keras": "InputSpec",
        "tests/engine/test_base_layer.py::test_input_from_a_tensor": "Input InputLayer",
        "tests/layer_checkers.py::_check_config": "deserialize serialize",
        "tests/layers/test_legacy.py::test_largest_of_linear_maps": "MaxoutDense",
        "tests/layers/test_legacy.py::test_highway": "Highway",
        "tests/layers/test_legacy.py::test_dilated_convolutions": "AtrousConvolution1D AtrousConvolution2D",
        "tests/keras1/test_own_layers.py::test_states_of_a_recurrent_layer": "Recurrent",
    },
    "losses": {
        "tests/test_losses.py::test_get": "deserialize get",
        "tests/test_losses.py::test_names": "serialize",
        "tests/test_losses.py::test_sparse_categorical_crossentropy": "sparse_categorical_crossentropy",
    },
    "metrics": {
        "tests/test_losses.py::test_sparse_categorical_crossentropy": "sparse_categorical_crossentropy",
        "tests/test_metrics.py::test_binary_accuracy": "binary_accuracy",
        "tests/test_metrics.py::test_categorical_accuracy": "categorical_accuracy",
        "tests/test_metrics.py::test_sparse_categorical_accuracy": "sparse_categorical_accuracy",
        "tests/test_metrics.py::test_top_k": "sparse_top_k_categorical_accuracy top_k_categorical_accuracy",
        "tests/test_metrics.py::test_names": "deserialize get serialize",
    },
    "optimizers": {
        "tests/test_optimizers.py::test_steps": "Adadelta Adagrad Adam Adamax Nadam RMSprop SGD",
        "tests/test_optimizers.py::test_a_norm_is_held_below_its_limit": "clip_norm",
        "tests/test_optimizers.py::test_round_trip": "deserialize serialize",
        "tests/test_optimizers.py::test_get_and_errors": "Optimizer get",
    },
    "regularizers": {
        "tests/test_regularizers.py::test_penalty_and_gradient": """
            L1L2 Regularizer deserialize get l1 l1_l2 l2 serialize
        """,
    },
    "preprocessing.image": {
        "tests/preprocessing/test_transforms.py::test_affine": "apply_affine_transform",
        "tests/preprocessing/test_transforms.py::test_random_rotation": "random_rotation",
        "tests/preprocessing/test_transforms.py::test_random_shift": "random_shift",
        "tests/preprocessing/test_transforms.py::test_random_shear": "random_shear",
        "tests/preprocessing/test_transforms.py::test_random_zoom": "random_zoom",
        "tests/preprocessing/test_transforms.py::test_channel_shift": """
            apply_channel_shift random_channel_shift
        """,
        "tests/preprocessing/test_transforms.py::test_brightness": "apply_brightness_shift random_brightness",
        "tests/preprocessing/test_generator.py::test_transforms_as_keras": "ImageDataGenerator",
        "tests/preprocessing/test_pictures.py::test_color_modes": "load_img",
        "tests/preprocessing/test_pictures.py::test_arrays_become_pictures_and_back": """
            array_to_img img_to_array
        """,
        "tests/preprocessing/test_pictures.py::test_writing": "save_img",
        "tests/preprocessing/test_array_iterator.py::test_subsets_of_arrays_take_everything_along": """
            NumpyArrayIterator
        """,
        "tests/preprocessing/test_generator.py::test_flow_from_directory_gives_transformed_pictures": """
            DirectoryIterator
        """,
        "tests/preprocessing/test_iterators.py::test_a_subclass_written_for_keras_works": "Iterator",
    },
    "preprocessing.sequence": {
        "tests/preprocessing/test_sequence.py::test_pad_sequences_by_its_definition": "pad_sequences",
        "tests/preprocessing/test_sequence.py::test_sampling_table": "make_sampling_table",
        "tests/preprocessing/test_sequence.py::test_skipgrams_by_their_definition": "skipgrams",
        "tests/preprocessing/test_sequence.py::test_time_series_by_its_definition": "TimeseriesGenerator",
    },
    "preprocessing.text": {
        "tests/preprocessing/test_text.py::test_words_of_a_text": "text_to_word_sequence",
        "tests/preprocessing/test_text.py::test_hashing": "hashing_trick one_hot",
        "tests/preprocessing/test_text.py::test_matrices": "Tokenizer",
    },
    "datasets.boston_housing": {
        "tests/datasets/test_boston_housing.py::test_rows_are_shuffled_and_split": "load_data",
    },
    "datasets.cifar10": {"tests/datasets/test_pictures.py::test_cifar_10": "load_data"},
    "datasets.cifar100": {"tests/datasets/test_pictures.py::test_cifar_100": "load_data"},
    "datasets.fashion_mnist": {"tests/datasets/test_pictures.py::test_fashion_mnist": "load_data"},
    "datasets.imdb": {
        "tests/datasets/test_word_lists.py::test_imdb": "load_data",
        "tests/datasets/test_word_lists.py::test_cached_files_are_found": "get_word_index",
    },
    "datasets.mnist": {"tests/datasets/test_mnist.py::test_the_real_one": "load_data"},
    "datasets.reuters": {
        "tests/datasets/test_word_lists.py::test_reuters": "load_data",
        "tests/datasets/test_word_lists.py::test_cached_files_are_found": "get_word_index",
    },
    "utils.conv_utils": {
        "tests/utils/test_conv_utils.py::test_same_windows_begin_at_every_stride": "conv_output_length",
        "tests/utils/test_conv_utils.py::test_input_lengths_lead_back": "conv_input_length",
        "tests/utils/test_conv_utils.py::test_transposed_lengths_lead_back": "deconv_length",
        "tests/utils/test_conv_utils.py::test_kernels_turn": "convert_kernel",
        "tests/utils/test_conv_utils.py::test_tuples_and_pairs": "normalize_padding normalize_tuple",
    },
    "utils.np_utils": {
        "tests/utils/test_np_utils.py::test_one_hot_shapes": "to_categorical",
        "tests/utils/test_np_utils.py::test_normalized_vectors_have_norm_one": "normalize",
    },
}


@functools.cache
def _words(path: str) -> dict[str, set[str]]:
    """Names and strings in each function of a file, in those of the file that it names, and in tables."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    kinds = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.ClassDef)
    around = [n for n in tree.body if isinstance(n, kinds)]
    shared = {word for node in around for word in _names_in(node)}
    own = {node.name: set(_names_in(node)) for node in functions}
    return {name: shared.union(words, *(own[w] for w in words if w in own)) for name, words in own.items()}


def _names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _missing(module: str) -> Iterator[str]:
    """Names of a module without a test; another name of the same thing will do."""
    ours = importlib.import_module(f"symgraph.{module}")
    covered = {name for names in TESTS[module].values() for name in names.split()} | TABLES.get(module, set())
    known = {id(getattr(ours, name)) for name in covered if hasattr(ours, name)}
    left_out = exceptions() | not_yet()
    for name in KERAS[module]:
        if f"{module}.{name}" not in left_out and id(getattr(ours, name)) not in known:
            yield name


@pytest.mark.parametrize("module", TESTS)
def test_every_name_is_compared_with_something(module: str) -> None:
    assert sorted(_missing(module)) == []


@pytest.mark.parametrize(
    ("where", "names"), [(where, names) for table in TESTS.values() for where, names in table.items()]
)
def test_the_tests_named_here_exist_and_speak_of_their_names(where: str, names: str) -> None:
    path, function = where.split("::")
    words = _words(path)[function]
    assert [name for name in names.split() if name not in words] == []
