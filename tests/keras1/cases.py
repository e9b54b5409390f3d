"""Small networks in the spelling of Keras 1, and what they compute: here, and in Keras 1.2.2 itself.

``KERAS_BACKEND=theano python cases.py keras_1_2_2.json [CASE ...]`` under Keras 1.2.2 on Theano 1.0.5 writes the
numbers that test_numbers.py compares with. Weights are made by numpy, so both have the same.
"""

from __future__ import print_function

import json
import os
import sys

import numpy as np

import keras.backend as K
from keras.layers import (
    GRU,
    LSTM,
    Activation,
    ActivityRegularization,
    AtrousConvolution2D,
    AveragePooling2D,
    BatchNormalization,
    Convolution1D,
    Convolution2D,
    Convolution3D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Highway,
    Input,
    MaxoutDense,
    MaxPooling1D,
    MaxPooling2D,
    Merge,
    ParametricSoftplus,
    Permute,
    SimpleRNN,
    SReLU,
    TimeDistributedDense,
    UpSampling2D,
    ZeroPadding2D,
    merge,
)
from keras.models import Model, Sequential
from keras.optimizers import SGD
from keras.regularizers import (
    EigenvalueRegularizer,
    WeightRegularizer,
    activity_l1,
    activity_l1l2,
    activity_l2,
    l1,
    l1l2,
    l2,
)


def data(*shape):
    return np.random.RandomState(sum(shape)).uniform(-1, 1, shape).astype("float32")


def fill(model):
    """Weights of numpy; Theano turns the kernels of convolutions, and Keras 1 keeps the gates apart."""
    for layer in model.layers:
        if not layer.get_weights() or hasattr(layer, "layers"):
            continue
        kind = type(layer).__name__
        gates = {"LSTM": (4, (0, 2, 1, 3)), "GRU": (3, (0, 1, 2))}.get(kind)
        shapes = [w.shape for w in layer.get_weights()]
        if gates and len(shapes) > 3:
            count, order = gates
            joined = [shape[:-1] + (shape[-1] * count,) for shape in shapes[:3]]
        else:
            joined = shapes
        values = [
            np.random.RandomState(i).uniform(0.1, 0.9, s) - 0.4 * (len(s) > 1) for i, s in enumerate(joined)
        ]
        if "Conv" in kind or kind.startswith("Deconv"):
            if kind in ("Conv1D", "Conv2DTranspose"):  # (length, in, out), (rows, columns, out, in)
                values[0] = values[0][:, None] if kind == "Conv1D" else values[0].transpose(0, 1, 3, 2)
                values[0] = np.random.RandomState(0).uniform(0.1, 0.9, values[0].shape) - 0.4
                values[0] = values[0][:, 0] if kind == "Conv1D" else values[0].transpose(0, 1, 3, 2)
            elif K.backend() == "theano":
                axes = values[0].ndim - 2
                values[0] = values[0][tuple([slice(None, None, -1)] * axes)]
        if gates and len(shapes) > 3:
            n = shapes[0][-1]
            values = [v[..., g * n : g * n + n] for g in order for v in values]
        layer.set_weights(values)
    return model


def trained(model, x, y, loss="mse", **kwargs):
    """What the model predicts, its loss, and what it predicts after three steps."""
    model.compile(SGD(lr=0.1), loss, **kwargs)
    before = model.predict(x)
    losses = [np.atleast_1d(model.train_on_batch(x, y)).tolist() for _ in range(3)]
    return {
        "before": before,
        "losses": losses,
        "after": model.predict(x),
        "shape": list(model.output_shape[1:]),
    }


def one(layer, *shape, **kwargs):
    """A model of one layer (and another), and a Dense layer that makes three numbers of it."""
    model = Sequential([layer])
    if "then" in kwargs:
        model.add(kwargs.pop("then"))
    if len(model.output_shape) > 2:
        model.add(Flatten())
    model.add(Dense(3))
    return trained(fill(model), data(4, *shape), data(4, 3), **kwargs)


def dense():
    return one(Dense(output_dim=5, init="uniform", activation="tanh", W_regularizer=l2(0.05), b_regularizer=l1(0.02),
                     W_constraint="maxnorm", bias=True, input_dim=6), 6)  # fmt: skip


def penalties_on_outputs():
    return {
        "l1": one(Dense(5, activity_regularizer=activity_l1(0.03), input_dim=6), 6),
        "l2": one(Dense(5, activity_regularizer=activity_l2(0.03), input_dim=6), 6),
        "both": one(Dense(5, activity_regularizer=activity_l1l2(0.03, 0.01), input_dim=6), 6),
        "layer": one(Dense(5, input_dim=6), 6, then=ActivityRegularization(l1=0.02, l2=0.01)),
    }


def penalties_on_weights():
    return {
        "both": one(Dense(5, W_regularizer=l1l2(l1=0.03, l2=0.02), input_dim=6), 6),
        "class": one(Dense(5, W_regularizer=WeightRegularizer(l2=0.02), input_dim=6), 6),
        "eigenvalue": one(Dense(5, W_regularizer=EigenvalueRegularizer(0.1), input_dim=6), 6),
    }


def convolutions():
    found = {}
    for mode in ("valid", "same"):
        layer = Convolution2D(
            nb_filter=2, nb_row=3, nb_col=3, border_mode=mode, dim_ordering="tf", input_shape=(6, 5, 2)
        )
        found[mode] = one(layer, 6, 5, 2)
    found["strided"] = one(Convolution2D(2, 3, 2, subsample=(2, 1), dim_ordering="tf", bias=False,
                                         input_shape=(6, 5, 2)), 6, 5, 2)  # fmt: skip
    found["dilated"] = one(AtrousConvolution2D(2, 2, 2, atrous_rate=(2, 2), dim_ordering="tf",
                                               input_shape=(6, 5, 2)), 6, 5, 2)  # fmt: skip
    found["sequence"] = one(Convolution1D(2, 3, border_mode="same", subsample_length=1, input_dim=3,
                                          input_length=7), 7, 3)  # fmt: skip
    found["volume"] = one(Convolution3D(2, 2, 3, 2, dim_ordering="tf", input_shape=(3, 4, 3, 2)), 3, 4, 3, 2)
    return found


def pictures():
    model = Sequential([
        ZeroPadding2D((1, 2), dim_ordering="tf", input_shape=(5, 4, 2)),
        MaxPooling2D(pool_size=(2, 2), strides=(1, 1), border_mode="valid", dim_ordering="tf"),
        AveragePooling2D((2, 3), border_mode="valid", dim_ordering="tf"),
        UpSampling2D((2, 1), dim_ordering="tf"),
        Permute((2, 1, 3)),
        Flatten(),
        Dense(3),
    ])  # fmt: skip
    return trained(fill(model), data(4, 5, 4, 2), data(4, 3))


def sequences():
    def single(layer):
        return one(layer, 5, 3)

    pooled = Sequential(
        [MaxPooling1D(pool_length=2, stride=1, border_mode="valid", input_shape=(5, 3)), LSTM(4), Dense(3)]
    )
    return {
        "simple": single(SimpleRNN(output_dim=4, inner_init="glorot_uniform", input_dim=3, input_length=5)),
        "gru": single(GRU(4, inner_activation="sigmoid", return_sequences=True, input_shape=(5, 3))),
        "lstm": single(LSTM(4, inner_activation="hard_sigmoid", forget_bias_init="zero", input_shape=(5, 3))),
        "backwards": single(LSTM(4, go_backwards=True, consume_less="gpu", input_dim=3, input_length=5)),
        "dense": single(TimeDistributedDense(2, input_dim=3, input_length=5)),
        "pooled": trained(fill(pooled), data(4, 5, 3), data(4, 3)),
    }


def activations():
    return {
        "srelu": one(SReLU(input_shape=(6,)), 6),
        "softplus": one(ParametricSoftplus(0.3, 2.0, input_shape=(6,)), 6),
        "maxout": one(MaxoutDense(4, nb_feature=3, W_regularizer=l2(0.01), input_dim=6), 6),
        "highway": one(Highway(activation="tanh", input_dim=6), 6),
    }


def normalizations():
    return {
        "mode 1": one(BatchNormalization(mode=1, input_shape=(6,)), 6),
        "mode 2": one(BatchNormalization(mode=2, input_shape=(6,)), 6),
    }


def merges():
    a, b, c = Input((4, 6)), Input((4, 6)), Input((3, 6))
    values = {a: data(2, 4, 6), b: data(1, 2, 4, 6)[0], c: data(2, 3, 6)}
    found = {}
    for name, inputs, keywords in (
        ("sum", (a, b), {}),
        ("mul", (a, b), {}),
        ("ave", (a, b), {}),
        ("max", (a, b), {}),
        ("concat", (a, c), {"concat_axis": 1}),
        ("dot", (a, c), {"dot_axes": 2}),
        ("dot", (a, b), {"dot_axes": (1, 1)}),
    ):
        output = merge(list(inputs), mode=name, **keywords)
        model = Model(input=list(inputs), output=output)
        values_of = [values[x] for x in inputs]
        found["%s %s" % (name, sorted(keywords.items()))] = model.predict(values_of)
    e, f = Input((5,)), Input((5,))
    cosine = Model(input=[e, f], output=merge([e, f], mode="cos", dot_axes=1))
    found["cos"] = cosine.predict([data(3, 5), data(5, 3).T]).reshape(3, 1)
    return found


def memory():
    """A memory network: `question` is read twice, and is one input."""
    story, again = (
        Sequential([Embedding(7, 4, input_length=5)]),
        Sequential([Embedding(7, 3, input_length=5)]),
    )
    question = Sequential([Embedding(7, 4, input_length=3)])
    match = Sequential([Merge([story, question], mode="dot", dot_axes=[2, 2]), Activation("tanh")])
    response = Sequential([Merge([match, again], mode="sum"), Permute((2, 1))])
    answer = Sequential([Merge([response, question], mode="concat", concat_axis=-1), Flatten(), Dense(7)])
    values = [
        np.random.RandomState(i).uniform(-0.5, 0.5, w.shape) for i, w in enumerate(answer.get_weights())
    ]
    answer.set_weights(values)
    x = [np.random.RandomState(n).randint(0, 7, (4, length)) for n, length in enumerate((5, 3, 5))]
    return trained(answer, x, data(4, 7))


def noise():
    """Layers that do nothing in testing."""
    model = Sequential([Dropout(p=0.4, input_shape=(6,)), GaussianNoise(sigma=0.3), Dense(3)])
    return fill(model).predict(data(4, 6))


def measures():
    model = Sequential([Dense(4, activation="sigmoid", input_dim=6)])
    y = (data(4, 4) > 0).astype("float32")
    names = ["precision", "recall", "fmeasure", "fbeta_score", "matthews_correlation", "mse", "acc"]
    fill(model).compile("sgd", "binary_crossentropy", metrics=names)
    return [float(value) for value in model.evaluate(data(4, 6), y, verbose=0)]


CASES = (
    dense, penalties_on_outputs, penalties_on_weights, convolutions, pictures, sequences, activations,
    normalizations, merges, memory, noise, measures,
)  # fmt: skip


def plain(value):
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return np.round(np.asarray(value, "float64"), 7).tolist()


if __name__ == "__main__":
    import theano.ifelse  # noqa: F401 - Keras 1.2.2 takes it for loaded

    answers = json.load(open(sys.argv[1])) if os.path.exists(sys.argv[1]) else {}
    for case in CASES:
        if len(sys.argv) == 2 or case.__name__ in sys.argv[2:]:
            answers[case.__name__] = plain(case())
            with open(sys.argv[1], "w") as file:
                json.dump(answers, file, separators=(",", ":"), sort_keys=True)
