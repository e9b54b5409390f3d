"""Scripts import layers from the modules that Keras keeps them in."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from symgraph import layers

# Module: what scripts import from it, if it is not enough that it is there.
MODULES = {
    "layers.advanced_activations": "LeakyReLU PReLU ELU ThresholdedReLU Softmax ReLU",
    "layers.convolutional": """
        Conv1D Conv2D Conv3D Conv2DTranspose Conv3DTranspose SeparableConv1D SeparableConv2D DepthwiseConv2D
        UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D Cropping1D Cropping2D
        Cropping3D Convolution1D Convolution2D Convolution3D Deconvolution2D Deconvolution3D MaxPooling1D
        MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D AtrousConvolution1D
        AtrousConvolution2D AtrousConv1D AtrousConv2D Convolution2DTranspose Deconv2D Deconv3D
        SeparableConvolution1D SeparableConvolution2D
    """,
    "layers.convolutional_recurrent": "ConvRNN2D ConvLSTM2D ConvLSTM2DCell",
    "layers.core": """
        Masking Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D Activation Reshape Permute Flatten
        RepeatVector Lambda Dense ActivityRegularization
    """,
    "layers.cudnn_recurrent": "CuDNNGRU CuDNNLSTM",
    "layers.embeddings": "Embedding",
    "layers.local": "LocallyConnected1D LocallyConnected2D",
    "layers.merge": """
        Add Subtract Multiply Average Maximum Minimum Concatenate Dot add subtract multiply average maximum
        minimum concatenate dot
    """,
    "layers.noise": "GaussianNoise GaussianDropout AlphaDropout",
    "layers.normalization": "BatchNormalization",
    "layers.pooling": """
        MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D
        GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D
        GlobalAveragePooling3D MaxPool1D MaxPool2D MaxPool3D AvgPool1D AvgPool2D AvgPool3D GlobalMaxPool1D
        GlobalMaxPool2D GlobalMaxPool3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D
    """,
    "layers.recurrent": "RNN StackedRNNCells SimpleRNN SimpleRNNCell GRU GRUCell LSTM LSTMCell",
    "layers.wrappers": "Wrapper TimeDistributed Bidirectional",
    "engine.topology": "Layer InputSpec Input InputLayer",
}

# Modules of Keras' engine, and what they have.
ENGINE = {
    "base_layer": "Layer InputSpec Node",
    "input_layer": "Input InputLayer",
    "network": "Network get_source_inputs",
    "saving": "save_model load_model model_from_config model_from_json model_from_yaml",
    "sequential": "Sequential",
    "training": "Model",
    "training_arrays": "fit_loop predict_loop test_loop",
    "training_generator": "fit_generator evaluate_generator predict_generator",
    "training_utils": """
        standardize_single_array standardize_input_data standardize_sample_or_class_weights
        standardize_class_weights standardize_sample_weights check_array_length_consistency
        check_loss_and_target_compatibility collect_metrics batch_shuffle make_batches
        weighted_masked_objective standardize_weights check_num_samples
    """,
}


@pytest.mark.parametrize("module", MODULES)
def test_modules_of_keras(module: str) -> None:
    found = importlib.import_module(f"symgraph.{module}")
    for name in MODULES[module].split():
        assert getattr(found, name) is getattr(layers, name)


@pytest.mark.parametrize("module", ENGINE)
def test_modules_of_the_engine(module: str) -> None:
    found = importlib.import_module(f"symgraph.engine.{module}")
    assert [name for name in ENGINE[module].split() if not callable(getattr(found, name, None))] == []


def test_modules_of_older_versions() -> None:
    objectives, losses = (importlib.import_module(f"symgraph.{name}") for name in ("objectives", "losses"))
    assert objectives.mse is losses.mean_squared_error and objectives.get is losses.get
    topology, utils = (importlib.import_module(f"symgraph.{name}") for name in ("engine.topology", "utils"))
    assert topology.get_source_inputs is utils.get_source_inputs


def test_modules_that_are_not_there_are_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exceptions.md").read_text(encoding="utf-8")
    section = page.split("## Missing modules\n")[1].split("\n")[0]
    missing = re.findall(r"`([^`]+)`", section)
    assert {"legacy.models", "backend.tensorflow_backend"} <= set(missing)
    for name in missing:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"symgraph.{name}")
