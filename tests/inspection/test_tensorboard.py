"""Event files, read back with TensorBoard's own loader, and the callback that writes them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import symgraph
from symgraph import backend as K
from symgraph import callbacks, layers
from symgraph.inspection.export.events import EventWriter, crc32c, gray_png, histogram, record
from symgraph.inspection.export.tensorboard import graph_of
from symgraph.models import Model, Sequential

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read(folder: Path) -> Any:
    found = accumulator.EventAccumulator(str(folder), dict.fromkeys(("scalars", "histograms", "images"), 0))
    found.Reload()
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    # RFC 3720, B.4, and the check value of the catalogue of CRCs.
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_checksums_are_those_of_the_standard(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def test_records_are_framed_as_tensorboard_reads_them(tmp_path: Path) -> None:
    loader = pytest.importorskip("tensorboard.compat.tensorflow_stub.pywrap_tensorflow")
    (tmp_path / "file").write_bytes(record(b"first") + record(b"") + record(b"x" * 300))
    reader = loader.PyRecordReader_New(str(tmp_path / "file"), 0)
    found = []
    for _ in range(3):
        reader.GetNext()
        found.append(reader.record())
    assert found == [b"first", b"", b"x" * 300]
    damaged = bytearray(record(b"first"))
    damaged[-6] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(Exception, match=r"(?i)crc|corrupt"):
        loader.PyRecordReader_New(str(tmp_path / "damaged"), 0).GetNext()


def test_scalars_come_back(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "new" / "folder")
    writer.scalars({"loss": 0.25, "very large": 1e300, "näme": float("nan")}, 7)
    writer.scalars({"loss": -3.0}, 1 << 40)
    found = read(tmp_path / "new" / "folder")
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(7, 0.25), (1 << 40, -3.0)]
    assert found.Scalars("very large")[0].value == float("inf")
    assert np.isnan(found.Scalars("näme")[0].value)


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(-3, 5, 1000),
        np.zeros(4),
        np.array([1e-30, -1e30, 1e19, 0.0, 5e-13]),
        np.array([], "float32"),
        np.array([1.0, np.nan, np.inf, 2.0], "float32"),
        np.arange(6).reshape(2, 3),
        np.array([True, False, True]),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_histograms_count_what_lies_between_their_limits(tmp_path: Path, values: np.ndarray) -> None:
    writer = EventWriter(tmp_path)
    writer.histograms({"h": values}, 3)
    (event,) = read(tmp_path).Histograms("h")
    found, finite = event.histogram_value, values.astype(float).ravel()
    finite = finite[np.isfinite(finite)]
    assert event.step == 3 and found.num == len(finite)
    assert found.sum == pytest.approx(finite.sum()) and found.sum_squares == pytest.approx((finite**2).sum())
    assert (found.min, found.max) == ((finite.min(), finite.max()) if len(finite) else (0, 0))
    limits = np.array(found.bucket_limit)
    assert (np.diff(limits) > 0).all() and limits[-1] > max(finite, default=0)
    below = [float(np.sum(finite < limit)) for limit in limits]
    np.testing.assert_array_equal(np.cumsum(found.bucket), below)


def test_a_histogram_has_few_empty_buckets() -> None:
    # Two values far from each other: each in one bucket, with an empty one before it.
    assert len(histogram(np.array([1.0, 1e6]))) < 200


def test_pictures_come_back(tmp_path: Path) -> None:
    signed = np.array([[[-2.0, 0.0], [1.0, 2.0]]])
    positive = np.array([[[0.0, 5.0, 10.0]]] * 5)
    writer = EventWriter(tmp_path)
    writer.images({"signed": signed, "positive": positive}, 2)
    found = read(tmp_path)
    assert sorted(found.Tags()["images"]) == [
        "positive/image/0", "positive/image/1", "positive/image/2", "signed/image/0"
    ]  # fmt: skip
    (event,) = found.Images("signed/image/0")
    assert (event.height, event.width) == (2, 2)
    pixels = np.array(Image.open(io.BytesIO(event.encoded_image_string)))
    # Around 128, 127 for the largest: what TensorFlow's image summaries do.
    np.testing.assert_array_equal(pixels, [[1, 128], [191, 255]])
    event = found.Images("positive/image/0")[0]
    np.testing.assert_array_equal(
        np.array(Image.open(io.BytesIO(event.encoded_image_string))), [[0, 127, 255]]
    )
    large = np.random.default_rng(0).integers(0, 256, (37, 53), "uint8")
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(gray_png(large)))), large)


def test_the_graph_comes_back(tmp_path: Path) -> None:
    model = network()
    model.predict(np.zeros((3, 6)), batch_size=3)
    facts = model.predict_function.facts()
    writer = EventWriter(tmp_path)
    writer.graph(graph_of(facts))
    graph = read(tmp_path).Graph()
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node) == sum(node.role != "part" for node in facts.nodes)
    for node in graph.node:
        for value in node.input:
            assert value.split(":")[0] in nodes
    (product,) = [node for node in graph.node if node.op == "matmul" and node.name.startswith("second/")]
    assert product.attr["dtype"].type == 1
    assert [d.size for d in product.attr["_output_shapes"].list.shape[0].dim] == [3, 2]
    assert product.attr["kernel"].s.decode().startswith("contraction")
    assert "layer second" in product.attr["written"].s.decode()
    (product_facts,) = [n for n in facts.nodes if n.kind == "matmul" and n.layer == "second"]
    assert len(product.input) == len(product_facts.inputs)


def network() -> Sequential:
    np.random.seed(1)
    model = Sequential()
    model.add(layers.Dense(4, activation="relu", input_shape=(6,), name="first"))
    model.add(layers.BatchNormalization(name="norm"))
    model.add(layers.Dropout(0.5, name="drop"))
    model.add(layers.Dense(2, activation="softmax", name="second"))
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.random((10, 6)), np.eye(2)[rng.integers(0, 2, 10)]


def test_the_callback_writes_losses_once_an_epoch(tmp_path: Path) -> None:
    model, (x, y) = network(), data()
    board = callbacks.TensorBoard(tmp_path)
    history = model.fit(x, y, 4, 3, verbose=0, validation_data=(x, y), callbacks=[board])
    found = read(tmp_path)
    assert sorted(found.Tags()["scalars"]) == ["acc", "loss", "val_acc", "val_loss"]
    for name in ("acc", "loss", "val_acc", "val_loss"):
        assert [e.step for e in found.Scalars(name)] == [0, 1, 2]
        np.testing.assert_allclose([e.value for e in found.Scalars(name)], history.history[name], rtol=1e-6)
    assert any(node.name.startswith("second/") for node in found.Graph().node)
    assert found.Tags()["histograms"] == []


@pytest.mark.parametrize(("freq", "steps"), [("batch", [4, 8, 10, 14, 18, 20]), (7, [8, 18])])
def test_the_callback_writes_losses_while_an_epoch_runs(
    tmp_path: Path, freq: str | int, steps: list[int]
) -> None:
    model, (x, y) = network(), data()
    board = callbacks.TensorBoard(tmp_path, write_graph=False, update_freq=freq)
    model.fit(x, y, 4, 2, verbose=0, callbacks=[board])
    found = read(tmp_path)
    # At the end of an epoch its averages are written too, at the samples that were seen.
    assert sorted({e.step for e in found.Scalars("loss")}) == sorted({*steps, 10, 20})
    assert not found.Tags()["graph"]


def test_the_callback_writes_histograms_of_weights_gradients_and_outputs(tmp_path: Path) -> None:
    model, (x, y) = network(), data()
    board = callbacks.TensorBoard(
        tmp_path, histogram_freq=2, batch_size=5, write_grads=True, write_images=True
    )
    model.fit(x, y, 10, 3, verbose=0, validation_data=(x, y), callbacks=[board], shuffle=False)
    found = read(tmp_path)
    tags = set(found.Tags()["histograms"])
    weights = {"first/kernel_0", "first/bias_0", "norm/gamma_0", "norm/moving_mean_0", "second/kernel_0"}
    assert weights <= tags
    assert {"first_out", "norm_out", "drop_out", "second_out"} <= tags
    assert {"first/kernel_0_grad", "second/bias_0_grad"} <= tags
    # Epochs 0 and 2; of outputs one for each of two batches.
    assert [e.step for e in found.Histograms("first/kernel_0")] == [0, 2]
    assert [e.step for e in found.Histograms("second_out")] == [0, 0, 2, 2]
    last = model.get_weights()[0]
    value = found.Histograms("first/kernel_0")[-1].histogram_value
    assert value.num == 24 and value.sum == pytest.approx(float(last.sum()), rel=1e-5)
    outputs = model.predict(x, batch_size=5)
    for part, event in zip((outputs[:5], outputs[5:]), found.Histograms("second_out")[2:], strict=True):
        assert event.histogram_value.sum == pytest.approx(float(part.sum()), rel=1e-5)
        assert event.histogram_value.max == pytest.approx(float(part.max()), rel=1e-5)
    assert {"first/kernel_0/image/0", "first/bias_0/image/0"} <= set(found.Tags()["images"])
    kernel = found.Images("first/kernel_0/image/0")[0]
    assert (kernel.height, kernel.width) == (4, 6)  # on its side


def test_gradients_are_those_of_the_validation_data(tmp_path: Path) -> None:
    x, y = data()
    model = Sequential([layers.Dense(1, input_shape=(6,), use_bias=False, name="line")])
    model.compile("sgd", "mse")
    board = callbacks.TensorBoard(tmp_path, histogram_freq=1, batch_size=10, write_grads=True)
    model.fit(x, y[:, :1], 10, 1, verbose=0, validation_data=(x, y[:, :1]), callbacks=[board])
    (w,) = model.get_weights()
    gradient = 2 * x.T @ (x @ w - y[:, :1]) / 10
    found = read(tmp_path).Histograms("line/kernel_0_grad")[0].histogram_value
    assert found.sum == pytest.approx(gradient.sum(), rel=1e-4)
    assert found.max == pytest.approx(gradient.max(), rel=1e-4)


def test_the_callback_saves_embeddings(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 7, (5, 3))
    model = Sequential(
        [layers.Embedding(7, 2, input_length=3, name="words"), layers.Flatten(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    metadata = {"words": 'a"b.tsv'}
    board = callbacks.TensorBoard(
        tmp_path, embeddings_freq=1, embeddings_data=x, batch_size=2, embeddings_metadata=metadata
    )
    model.fit(x, np.ones(5), verbose=0, callbacks=[board])
    saved = np.loadtxt(tmp_path / "words_embedding.tsv", delimiter="\t")
    np.testing.assert_allclose(saved, model.get_weights()[0][x].reshape(5, 6), rtol=1e-6)
    text_format = pytest.importorskip("google.protobuf.text_format")
    config = pytest.importorskip("tensorboard.plugins.projector.projector_config_pb2").ProjectorConfig()
    text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    assert embedding.tensor_name == "words_embedding" and embedding.metadata_path == 'a"b.tsv'
    assert (tmp_path / embedding.tensor_path).exists()


def test_the_callback_says_what_it_lacks(tmp_path: Path) -> None:
    model, (x, y) = network(), data()
    with pytest.raises(ValueError, match="validation_data must be provided"):
        model.fit(x, y, verbose=0, callbacks=[callbacks.TensorBoard(tmp_path, histogram_freq=1)])
    with pytest.raises(ValueError, match="embeddings_data must be provided"):
        model.fit(x, y, verbose=0, callbacks=[callbacks.TensorBoard(tmp_path, embeddings_freq=1)])
    board = callbacks.TensorBoard(tmp_path, embeddings_freq=1, embeddings_data=[x, x])
    with pytest.raises(ValueError, match="expected arrays for the inputs first_input, got 2"):
        model.fit(x, y, verbose=0, callbacks=[board])


def test_histograms_of_several_inputs_and_fixed_phases(tmp_path: Path) -> None:
    a, b = layers.Input((3,)), layers.Input((3,))
    shared = layers.Dense(2, name="shared")
    model = Model([a, b], layers.add([shared(a), shared(b)], name="sum"))
    model.compile("sgd", "mse")
    x = np.ones((4, 3))
    board = callbacks.TensorBoard(tmp_path, histogram_freq=1)
    K.set_learning_phase(0)
    try:
        model.fit([x, x], np.ones((4, 2)), verbose=0, validation_split=0.5, callbacks=[board])
    finally:
        K.clear_session()
    tags = read(tmp_path).Tags()["histograms"]
    # A layer that was called twice has no one output.
    assert "sum_out" in tags and "shared/kernel_0" in tags and "shared_out" not in tags


def test_a_profile_writes_scalars_and_its_graph(tmp_path: Path) -> None:
    model, (x, y) = network(), data()
    with symgraph.profile() as profile:
        for _ in range(3):
            model.train_on_batch(x, y)
    profile.tensorboard(tmp_path, step=4)
    found = read(tmp_path)
    (times,) = profile.functions
    (event,) = found.Scalars("train_function_0/call_ms")
    assert event.step == 4 and event.value == pytest.approx(1e3 * times.seconds / 2, rel=1e-5)
    layers_ms = [t for t in found.Tags()["scalars"] if t.startswith("train_function_0/layer_ms/")]
    total = sum(found.Scalars(tag)[0].value for tag in layers_ms)
    assert total == pytest.approx(1e3 * sum(times.row_seconds) / 2, rel=1e-4)
    assert len(found.Graph().node) > 10


def test_files_begin_with_their_version(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    assert "tfevents" in writer.path.name
    first = writer.path.read_bytes()
    (length,) = struct.unpack("<Q", first[:8])
    assert len(first) == length + 16 and b"brain.Event:2" in first
    assert EventWriter(tmp_path).path != writer.path
