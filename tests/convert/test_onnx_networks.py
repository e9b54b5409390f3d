"""Whole networks to ONNX and back; files as other programs write them; what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from symgraph import backend as K
from symgraph import cli
from symgraph import layers as L
from symgraph.convert import load_onnx, save_onnx, to_onnx
from symgraph.models import Model, Sequential, load_model
from tests.convert.test_onnx_save import run

RNG = np.random.default_rng(11)


def randomised(model: Any) -> Any:
    model.set_weights([RNG.uniform(0.1, 0.6, w.shape) for w in model.get_weights()])
    return model


def agree(model: Any, arrays: list[np.ndarray], opset: int = 17) -> onnx.ModelProto:
    """onnxruntime predicts what the model does."""
    made = to_onnx(model, opset)
    expected = model.predict(arrays)
    for got, wanted in zip(
        run(made, arrays), expected if isinstance(expected, list) else [expected], strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    return made


def round_trip(made: onnx.ModelProto, arrays: list[np.ndarray], folder: Path) -> Any:
    """The model that is read predicts what onnxruntime does, also from its own file."""
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    model = load_onnx(path)
    model.save(folder / "model.h5")
    expected = run(made, arrays)
    for again in (model, load_model(folder / "model.h5", compile=False)):
        found = again.predict(arrays)
        for got, wanted in zip(found if isinstance(found, list) else [found], expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    return model


def pictures() -> Any:
    """A small residual network, channels last, with a branch that is used twice."""
    x = L.Input((8, 8, 3), name="pictures")
    y = L.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    shared = L.Conv2D(4, 3, padding="same", name="shared")
    z = L.BatchNormalization()(shared(y))
    z = L.Add()([shared(L.Activation("relu")(z)), y])
    z = L.Concatenate()([L.MaxPooling2D()(z), L.AveragePooling2D()(z)])
    head = Sequential(
        [L.GlobalAveragePooling2D(input_shape=(4, 4, 8)), L.Dropout(0.5), L.Dense(5)], name="head"
    )
    return randomised(Model(x, [L.Softmax(name="classes")(head(z)), L.Flatten(name="features")(z)]))


def translation() -> Any:
    """An encoder whose states a decoder begins with."""
    x, y = L.Input((None, 3), name="source"), L.Input((4, 2), name="target")
    _, *states = L.LSTM(5, return_state=True)(x)
    decoded = L.LSTM(5, return_sequences=True)(y, initial_state=states)
    return randomised(Model([x, y], L.TimeDistributed(L.Dense(3, activation="softmax"))(decoded)))


def words() -> Any:
    return randomised(
        Sequential(
            [
                L.Embedding(10, 4, input_length=6),
                L.Conv1D(5, 3, padding="causal", activation="tanh"),
                L.Bidirectional(L.GRU(3, reset_after=True, return_sequences=True)),
                L.SimpleRNN(4, activation="relu", return_sequences=True, go_backwards=True),
                L.GlobalMaxPooling1D(),
                L.Dense(1, activation="sigmoid"),
            ]
        )
    )


def _arrays(model: Any) -> list[np.ndarray]:
    shapes = [tuple(3 if size is None else size for size in K.int_shape(x)) for x in model.inputs]
    embedded = isinstance(model.layers[0], L.Embedding) or isinstance(model.layers[1], L.Embedding)
    draw = (lambda shape: RNG.integers(0, 10, shape)) if embedded else (lambda shape: RNG.normal(size=shape))
    return [draw(shape).astype("float32") for shape in shapes]


@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("network", [pictures, translation, words])
def test_network(network: Any, opset: int, tmp_path: Path) -> None:
    model = network()
    arrays = _arrays(model)
    made = agree(model, arrays, opset)
    assert [entry.name for entry in made.graph.input] == model.input_names
    assert [entry.name for entry in made.graph.output] == model.output_names
    assert made.opset_import[0].version == opset
    round_trip(made, arrays, tmp_path)


def test_transpositions_are_few(tmp_path: Path) -> None:
    """One in front, and one behind the last layer of pictures whose values are an output."""
    made = to_onnx(pictures())
    assert [node.op_type for node in made.graph.node].count("Transpose") == 2
    assert sum(tensor.name.startswith("shared") for tensor in made.graph.initializer) == 2


def test_unknown_sizes(tmp_path: Path) -> None:
    model = randomised(
        Sequential(
            [
                L.Conv2D(3, 3, strides=2, padding="same", input_shape=(None, None, 2)),
                L.MaxPooling2D(3, 2, padding="same"),
                L.PaddedMaxPooling2D(3, 2, ceil_mode=True),
                L.GlobalMaxPooling2D(),
            ]
        )
    )
    x = RNG.normal(size=(2, 22, 19, 2)).astype("float32")
    round_trip(agree(model, [x]), [x], tmp_path)


def test_the_model_is_unchanged_and_a_file_complete(tmp_path: Path) -> None:
    model = pictures()
    before = model.get_weights()
    save_onnx(model, tmp_path / "model.onnx")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


# What cannot be written


class Doubled(L.Dense):
    """A layer of a user."""


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([L.Lambda(lambda x: x, name="mine", input_shape=(3,))], r"layer mine \(Lambda\)"),
        ([Doubled(2, name="mine", input_shape=(3,))], r"layer mine \(Doubled\) .* no operator"),
        ([L.Dense(2, activation=K.sin, name="mine", input_shape=(3,))], r"layer mine .* activation 'sin'"),
        ([L.Masking(input_shape=(3, 2)), L.LSTM(2, name="mine")], "layer mine .* reads a mask"),
        ([L.LSTM(2, stateful=True, name="mine", batch_input_shape=(1, 3, 2))], "layer mine .* stateful"),
        ([L.LSTM(2, activation="softmax", name="mine", input_shape=(3, 2))], "layer mine .* 'softmax'"),
        ([L.LocallyConnected1D(2, 2, name="mine", input_shape=(3, 2))], r"layer mine \(LocallyConnected1D\)"),
    ],
)
def test_what_cannot_be_written(layers: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save_onnx(Sequential(layers), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_wrong_arguments(tmp_path: Path) -> None:
    for opset in (12, 22):
        with pytest.raises(ValueError, match=f"opset: expected a version from 13 to 21, got {opset}"):
            to_onnx(pictures(), opset)
    with pytest.raises(ValueError, match="it has no inputs yet"):
        to_onnx(Sequential([L.Dense(2)]))
    x = L.Input((3,))
    with pytest.raises(ValueError, match="called with training"):
        to_onnx(Model(x, L.Dropout(0.5, name="drop")(x, training=True)))


# Files of other programs


def made_of(
    nodes: Sequence[onnx.NodeProto],
    shapes: dict[str, Any],
    constants: dict[str, np.ndarray],
    opset: int = 13,
    rank: int = 3,
) -> onnx.ModelProto:
    """A file with these nodes, whose last output, of `rank` axes, is that of the graph."""
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in shapes.items()]
    output = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [None] * rank)
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "net", inputs, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(op: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), output.split(), **attributes)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.5, shape).astype("float32")


def numbers(*values: int) -> np.ndarray:
    return np.array(values, "int64")


def test_a_classifier_as_pytorch_writes_it(tmp_path: Path) -> None:
    """A fixed batch of 1, padded strides, ReLU6, a mean of pixels, sizes computed for the last reshape."""
    nodes = [
        node("Conv", "x w b", "c", strides=[2, 2], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Clip", "c low high", "r"),
        node("MaxPool", "r", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", "p d", "e", group=4, kernel_shape=[1, 1]),
        node("HardSwish", "e", "h"),
        node("GlobalAveragePool", "h", "g"),
        node("Shape", "g", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axes", "n1"),
        node("Concat", "n1 rest", "shape", axis=0),
        node("Reshape", "g shape", "f"),
        node("Gemm", "f m v", "y", transB=1, alpha=0.5, beta=2.0),
    ]
    constants = {
        "w": floats(4, 3, 3, 3), "b": floats(4), "d": floats(8, 1, 1, 1), "m": floats(5, 8), "v": floats(5),
        "low": np.float32(0), "high": np.float32(6), "zero": np.array(0), "axes": numbers(0),
        "rest": numbers(-1),
    }  # fmt: skip
    made = made_of(nodes, {"x": (1, 3, 13, 13)}, {k: np.asarray(v) for k, v in constants.items()}, 14, rank=2)
    model = round_trip(made, [floats(1, 3, 13, 13)], tmp_path)
    assert model.predict(floats(4, 3, 13, 13)).shape == (4, 5)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers_as_pytorch_writes_them(op: str, directions: int, tmp_path: Path) -> None:
    """States of zeros by the number of samples; directions side by side; the last state of the last layer."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    weights = {
        "w": floats(directions, gates * 4, 3), "r": floats(directions, gates * 4, 4),
        "b": floats(directions, gates * 8), "zero": np.array(1), "axes": numbers(0),
        "d": numbers(directions), "h": numbers(4), "all": numbers(0, 0, -1),
    }  # fmt: skip
    states = "h0 h0" if op == "LSTM" else "h0"
    outputs = "y last cell" if op == "LSTM" else "y last"
    more: dict[str, Any] = {"linear_before_reset": 1} if op == "GRU" else {}
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("Shape", "t", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axes", "n1"),
        node("Concat", "d n1 h", "shape", axis=0),
        node("ConstantOfShape", "shape", "h0"),
        helper.make_node(
            op, ["t", "w", "r", "b", "", *states.split()], outputs.split(), hidden_size=4,
            direction="bidirectional" if directions == 2 else "forward", **more,
        ),
        node("Transpose", "y", "y1", perm=[0, 2, 1, 3]),
        node("Reshape", "y1 all", "y2"),
        node("Transpose", "y2", "z", perm=[1, 0, 2]),
    ]  # fmt: skip
    # Gather reads the second size, that of the samples: time lies in front.
    made = made_of(nodes, {"x": ("N", "T", 3)}, weights)
    round_trip(made, [floats(2, 5, 3)], tmp_path)


def test_old_forms(tmp_path: Path) -> None:
    """Opset 9: attributes where inputs are today, Upsample, a softmax of all axes from 1 on."""
    nodes = [
        node("Upsample", "x scales", "u", mode="nearest"),
        node("Pad", "u", "p", pads=[0, 0, 1, 0, 0, 0, 0, 2], mode="constant", value=0.0),
        node("Slice", "p", "c", axes=[2, 3], starts=[1, 0], ends=[9, -1]),
        node("Clip", "c", "k", min=-1.0, max=0.5),
        node("GlobalMaxPool", "k", "g"),
        node("Squeeze", "g", "q", axes=[2, 3]),
        node("Unsqueeze", "q", "q1", axes=[1]),
        node("Squeeze", "q1", "q2", axes=[1]),
        node("Dropout", "q2", "d", ratio=0.3),
        node("Softmax", "d", "y", axis=1),
    ]
    made = made_of(nodes, {"x": ("N", 3, 4, 5)}, {"scales": np.float32([1, 1, 2, 3])}, 9, rank=2)
    round_trip(made, [floats(2, 3, 4, 5)], tmp_path)


def test_arithmetic_with_constants(tmp_path: Path) -> None:
    """Scalars, vectors, and constants on either side."""
    nodes = [
        node("Mul", "x v", "a"), node("Sub", "c a", "b"), node("Div", "b s", "d"), node("Sub", "d v", "e"),
        node("Mul", "e e", "f"), node("Add", "f one", "g"), node("Sqrt", "g", "h"), node("Div", "one h", "i"),
        node("Pow", "i two", "j"), node("Neg", "j", "k"), node("PRelu", "k p", "l"), node("Max", "l x", "m"),
        node("Clip", "m none high", "n"), node("Reciprocal", "g", "o"), node("Mean", "n o x", "y"),
    ]  # fmt: skip
    nodes[12].input[1] = ""
    constants = {
        "v": floats(3, 1, 1), "c": floats(1, 3, 1, 5), "s": np.float32(2.5), "one": np.ones((1,), "float32"),
        "two": np.float32(2), "p": floats(3, 1, 1), "high": np.float32(0.7),
    }  # fmt: skip
    made = made_of(nodes, {"x": ("N", 3, 4, 5)}, {k: np.asarray(v) for k, v in constants.items()}, rank=4)
    round_trip(made, [floats(2, 3, 4, 5)], tmp_path)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_windows(auto_pad: str, tmp_path: Path) -> None:
    """Borders by name; a transposed convolution in groups; ceil_mode and a border that counts."""
    nodes = [
        node("Conv", "x w", "a", auto_pad=auto_pad, strides=[2, 1]),
        node("ConvTranspose", "a t b", "c", strides=[2, 3], pads=[1, 0, 2, 1], output_padding=[1, 2],
             group=2),
        node("AveragePool", "c", "d", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1,
             count_include_pad=1),
        node("MaxPool", "d", "e", kernel_shape=[2, 3], auto_pad=auto_pad),
        node("LRN", "e", "y", size=3, alpha=0.3),
    ]  # fmt: skip
    constants = {"w": floats(4, 3, 3, 2), "t": floats(4, 3, 3, 3), "b": floats(6)}
    made = made_of(nodes, {"x": ("N", 3, 9, 8)}, constants, 19, rank=4)
    round_trip(made, [floats(2, 3, 9, 8)], tmp_path)


def test_a_product_with_a_bias_is_one_layer(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "a"), node("Add", "b a", "c"), node("Relu", "c", "y")]
    made = made_of(nodes, {"x": ("N", 4, 3)}, {"w": floats(3, 5), "b": floats(5)})
    model = round_trip(made, [floats(2, 4, 3)], tmp_path)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense", "Activation"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = pictures()
    h5, there, back = (str(tmp_path / name) for name in ("a.h5", "a.onnx", "b.h5"))
    model.save(h5)
    assert cli.main(["convert", h5, there, "--opset", "15"]) == 0
    assert cli.main(["convert", there, back]) == 0
    assert "wrote" in capsys.readouterr().out
    assert onnx.load(there).opset_import[0].version == 15
    x = RNG.normal(size=(2, 8, 8, 3))
    for got, wanted in zip(load_model(back, compile=False).predict(x), model.predict(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert cli.main(["convert", there, back, "--opset", "15"]) == 2
    assert "--opset: it has no meaning" in capsys.readouterr().err
