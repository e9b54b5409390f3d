"""`Merge`, `merge` and `Graph` beyond their numbers: shapes, masks, configurations, sharing, errors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import LSTM, Dense, Embedding, Input, Lambda, Masking, Merge, TimeDistributed, merge
from symgraph.models import Graph, Model, Sequential, model_from_json
from symgraph.utils.warn_user import OldCallWarning

RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def _old_calls() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OldCallWarning)
        yield


def weighted(tensors: list[Any], factor: float = 1.0) -> Any:
    return tensors[0] + factor * tensors[1]


def test_functions_as_modes() -> None:
    a, b = Input((4, 3)), Input((4, 3))
    x, y = RNG.normal(size=(2, 2, 4, 3)).astype("float32")
    stated = merge([a, b], mode=weighted, output_shape=(4, 3), arguments={"factor": 3.0})
    computed = merge(
        [a, b], mode=lambda t: t[0][:, 0] - t[1][:, 1], output_shape=lambda s: (s[0][0], s[1][2])
    )
    model = Model(input=[a, b], output=[stated, computed])
    assert model.output_shape == [(None, 4, 3), (None, 3)]
    for other in (model, Model.from_config(model.get_config())):
        first, second = other.predict([x, y])
        np.testing.assert_allclose(first, x + 3 * y, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(second, x[:, 0] - y[:, 1], rtol=1e-5, atol=1e-6)


def test_dot_over_any_axis() -> None:
    a, b = Input((4, 5, 3)), Input((6, 5))
    x, y = RNG.normal(size=(2, 4, 5, 3)).astype("float32"), RNG.normal(size=(2, 6, 5)).astype("float32")
    model = Model(input=[a, b], output=merge([a, b], mode="dot", dot_axes=(2, -1)))
    assert model.output_shape == (None, 4, 3, 6)
    np.testing.assert_allclose(model.predict([x, y]), np.einsum("nijk,nlj->nikl", x, y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("mode", "kept"), [("sum", (1, 0, 0)), ("concat", (1, 0, 0))])
def test_masks(mode: str, kept: tuple[int, ...]) -> None:
    x = np.array([[[1.0], [2.0], [0.0]]], "float32")
    y = np.array([[[5.0], [0.0], [4.0]]], "float32")
    a, b = Input((3, 1)), Input((3, 1))
    joined = merge([Masking()(a), Masking()(b)], mode=mode)
    mask = K.function([a, b], [K.cast(joined._keras_history[0].output_mask, "float32")])([x, y])[0]
    assert mask.tolist() == [list(kept)]
    one = merge([Masking()(a), b], mode=mode)
    mask = K.function([a, b], [K.cast(one._keras_history[0].output_mask, "float32")])([x, y])[0]
    assert mask.tolist() == [[1, 1, 0]]
    assert merge([Masking()(a), b], mode="dot", dot_axes=1)._keras_history[0].output_mask is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda a, b, c: merge([a, b], mode="add"),
            ValueError,
            r"Invalid merge mode: 'add'; expected one of \['sum'",
        ),
        (lambda a, b, c: merge([a], mode="sum"), TypeError, "list of at least 2 tensors"),
        (
            lambda a, b, c: merge([a, c], mode="sum"),
            ValueError,
            r"same output shape.*\(None, 4, 3\), \(None, 5, 3\)",
        ),
        (
            lambda a, b, c: merge([a, c], mode="concat"),
            ValueError,
            "matching output shapes except for the concat",
        ),
        (
            lambda a, b, c: merge([a, b], mode="concat", concat_axis=3),
            ValueError,
            "concat_axis 3 lies outside",
        ),
        (
            lambda a, b, c: merge([a, c], mode="dot", dot_axes=1),
            ValueError,
            "Dimension incompatibility.*4 != 5",
        ),
        (
            lambda a, b, c: merge([a, b], mode="dot", dot_axes=0),
            ValueError,
            "dot_axes 0 lie outside the samples",
        ),
        (lambda a, b, c: merge([a, b], mode="dot", dot_axes="x"), TypeError, "Invalid `dot_axes`"),
        (
            lambda a, b, c: merge([a, b, b], mode="cos"),
            ValueError,
            "cos merge takes exactly 2 tensors, got 3",
        ),
        (lambda a, b, c: Merge([a, b]), TypeError, "expected layers and models"),
    ],
)  # fmt: skip
def test_what_merges_refuse(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(Input((4, 3)), Input((4, 3)), Input((5, 3)))


def branches() -> Sequential:
    left, right = Sequential([Dense(3, input_dim=4)]), Sequential([Dense(3, input_dim=2)])
    return Sequential([Merge([left, right], mode="mul"), Dense(2)])


def test_models_that_begin_with_a_merge() -> None:
    model = branches()
    x, y = RNG.normal(size=(5, 4)).astype("float32"), RNG.normal(size=(5, 2)).astype("float32")
    w, b, v, c, u, d = model.get_weights()
    product = (x @ w + b) * (y @ v + c)
    np.testing.assert_allclose(model.predict([x, y]), product @ u + d, rtol=1e-4, atol=1e-5)
    again = model_from_json(model.to_json())
    assert type(again) is Sequential and again.to_json() == model.to_json()
    top = Sequential([model, Dense(1)])
    assert top.input_shape == [(None, 4), (None, 2)] and len(top.weights) == 8
    top.set_weights([w, b, v, c, u, d, np.ones((2, 1)), np.zeros(1)])
    summed = (product @ u + d).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(top.predict([x, y]), summed, rtol=1e-4, atol=1e-5)
    model.pop()
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Dense", "Merge"]
    np.testing.assert_allclose(model.predict([x, y]), product, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="is used 2 times in the model"):
        model.add(Dense(1, name=model.layers[0].name))


def test_configurations_of_keras_1() -> None:
    """As Keras 1.2.2 writes a Sequential model above a Merge: what is described twice is one layer."""

    def dense(name: str, units: int, **kwargs: Any) -> dict[str, Any]:
        return {
            "class_name": "Dense",
            "config": {"name": name, "output_dim": units, "init": "uniform", **kwargs},
        }

    def merged(*parts: Any) -> dict[str, Any]:
        kinds = {f"{key}_type": "raw" for key in ("mode", "output_shape", "output_mask")}
        config = {
            "name": f"merge_{len(parts)}",
            "mode": "concat",
            "output_shape": None,
            "output_mask": None,
            "concat_axis": -1,
            "dot_axes": -1,
            "arguments": {},
            "layers": list(parts),
            **kinds,
        }
        return {"class_name": "Merge", "config": config}

    def model(*parts: Any) -> dict[str, Any]:
        return {"class_name": "Sequential", "config": list(parts)}

    shared = model(dense("shared", 3, batch_input_shape=[None, 4]))
    inner = model(merged(shared, model(dense("own", 2, batch_input_shape=[None, 5]))), dense("middle", 2))
    found = Sequential.from_config([merged(inner, shared, shared), dense("top", 1)])
    assert found.input_shape == [(None, 4), (None, 5)]
    assert [layer.name for layer in found.layers] == ["shared", "own", "merge_2", "middle", "merge_3", "top"]
    assert found.layers[-1].kernel.shape == (2 + 3 + 3, 1)


def described() -> Graph:
    graph = Graph(name="g")
    graph.add_input("a", input_shape=(4,))
    graph.add_input("words", input_shape=(5,), dtype="int")
    graph.add_node(Embedding(7, 4), name="embedded", input="words")
    graph.add_node(LSTM(4), name="read", input="embedded")
    graph.add_shared_node(Dense(3), name="both", inputs=["a", "read"], outputs=["of_a", "of_read"])
    graph.add_shared_node(
        Dense(2), name="summed", inputs=["of_a", "of_read"], merge_mode="sum", create_output=True
    )
    graph.add_node(Dense(1), name="small", inputs=["of_a", "of_read"], merge_mode="mul", create_output=True)
    graph.add_output("wide", inputs=["of_a", "of_read"])
    graph.compile("sgd", {"summed": "mse", "small": "mae", "wide": "mse"}, loss_weights={"small": 2.0})
    return graph


DATA = {
    "a": RNG.normal(size=(6, 4)), "words": RNG.integers(0, 7, (6, 5)), "summed": RNG.normal(size=(6, 2)),
    "small": RNG.normal(size=(6, 1)), "wide": RNG.normal(size=(6, 6)),
}  # fmt: skip


def test_a_graph_by_its_names() -> None:
    graph = described()
    found = graph.predict(DATA)
    assert {name: array.shape for name, array in found.items()} == {
        "summed": (6, 2), "small": (6, 1), "wide": (6, 6)
    }  # fmt: skip
    kernel, bias = graph.get_layer("input_for_summed").get_weights()
    wide = found["wide"]
    summed = (wide[:, :3] + wide[:, 3:]) @ kernel + 2 * bias
    np.testing.assert_allclose(found["summed"], summed, rtol=1e-4, atol=1e-5)
    kernel, bias = graph.get_layer("small").get_weights()
    np.testing.assert_allclose(
        found["small"], (wide[:, :3] * wide[:, 3:]) @ kernel + bias, rtol=1e-4, atol=1e-5
    )
    total, *parts = graph.evaluate(DATA)
    wanted = [
        np.mean((found["summed"] - DATA["summed"]) ** 2),
        np.mean(np.abs(found["small"] - DATA["small"])),
        np.mean((wide - DATA["wide"]) ** 2),
    ]
    np.testing.assert_allclose([total, *parts], [wanted[0] + 2 * wanted[1] + wanted[2], *wanted], rtol=1e-5)
    again = model_from_json(graph.to_json())
    again.set_weights(graph.get_weights())
    assert type(again) is Graph and again.to_json() == graph.to_json()
    for name, array in again.predict_on_batch(DATA).items():
        np.testing.assert_allclose(array, found[name], rtol=1e-5, atol=1e-6)


def test_a_graph_trains_on_dicts() -> None:
    by_fit, by_batches, by_generator = described(), described(), described()
    for other in (by_batches, by_generator):
        other.set_weights(by_fit.get_weights())
    history = by_fit.fit(DATA, batch_size=6, nb_epoch=3, verbose=0, validation_data=DATA)
    losses = [by_batches.train_on_batch(DATA)[0] for _ in range(3)]
    endless = iter(lambda: DATA, None)
    generated = by_generator.fit_generator(endless, samples_per_epoch=6, nb_epoch=3, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(generated.history["loss"], losses, rtol=1e-5)
    assert history.history["val_loss"][-1] == pytest.approx(by_batches.test_on_batch(DATA)[0], rel=1e-5)
    assert by_fit.evaluate_generator(endless, 12, max_q_size=1)[0] == pytest.approx(
        history.history["val_loss"][-1], rel=1e-5
    )
    assert by_fit.fit(DATA, nb_epoch=1, verbose=0, show_accuracy=True).history["summed_acc"]


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda g: g.add_node(Dense(2), name="a", input="a"), ValueError, "Duplicate node identifier: a"),
        (
            lambda g: g.add_node(Dense(2), name="n", input="b"),
            ValueError,
            "Unknown node/input identifier: b; known are",
        ),
        (lambda g: g.add_node(Dense(2), name="n"), ValueError, "n: expected either `input` or `inputs`"),
        (
            lambda g: g.add_node(LSTM(2, return_state=True), name="n", input="embedded"),
            TypeError,
            "has one output",
        ),
        (lambda g: g.add_output("wide", input="a"), ValueError, "Duplicate output identifier: wide"),
        (lambda g: g.add_input("n", input_shape=(2,), dtype="bool"), ValueError, "Unknown dtype"),
        (lambda g: g.add_input("n"), ValueError, "input n: expected `input_shape` or `batch_input_shape`"),
        (lambda g: g.add_shared_node(Dense(2), "n", ["a", "read"]), ValueError, "got 0 names for 2"),
        (lambda g: g.fit({"a": DATA["a"]}), ValueError, r"missing: \['input \"words\"', 'output"),
        (lambda g: g.fit({**DATA, "wdie": 1}), ValueError, r"unknown: \['wdie'\]"),
        (lambda g: g.fit(DATA["a"]), TypeError, "expected a dict of arrays"),
        (lambda g: Graph().compile("sgd", {}), ValueError, "needs inputs and outputs"),
    ],
)  # fmt: skip
def test_what_graphs_refuse(do: Any, error: type[Exception], message: str) -> None:
    graph = described()
    config = graph.get_config()
    with pytest.raises(error, match=message):
        do(graph)
    assert graph.get_config() == config


def test_layers_inside_of_merges() -> None:
    """Wrappers and functions in branches, and a branch that is a single layer with a call of its own."""
    x = Input((3, 2))
    mapped = TimeDistributed(Dense(2))
    mapped(x)
    function = Sequential([Lambda(lambda t: 2 * t, input_shape=(3, 2))])
    model = Sequential([Merge([mapped, function], mode="sum")])
    data = RNG.normal(size=(2, 2, 3, 2)).astype("float32")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(
        model.predict(list(data)), data[0] @ kernel + bias + 2 * data[1], rtol=1e-4, atol=1e-5
    )
