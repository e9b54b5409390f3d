"""The networks that Keras does not have, against the tables of their papers."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.models import AlexNet, GoogLeNet, LeNet5, Model, UNet


def counts(model: Model) -> list[int]:
    """Weights of all layers that have any."""
    return [layer.count_params() for layer in model.layers if layer.weights]


def test_lenet_5() -> None:
    model = LeNet5()
    # C1, C3 (of all maps, where the paper counts 1,516), C5, F6; the output layer has 10 · 85.
    assert counts(model) == [6 * 26, 16 * (6 * 25 + 1), 48_120, 10_164, 850]
    assert model.count_params() == 61_706
    shapes = [model.get_layer(name).output_shape[1:] for name in ("C1", "S2", "C3", "S4", "C5")]
    assert shapes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120)]
    assert LeNet5(classes=3, input_shape=(40, 36, 3)).output_shape == (None, 3)


def test_alexnet(quick: None) -> None:
    model = AlexNet()
    # Section 3.5: kernels of 11 x 11 x 3, 5 x 5 x 48, 3 x 3 x 256, 3 x 3 x 192 and 3 x 3 x 192; biases.
    convolutions = [
        96 * (11 * 11 * 3 + 1),
        256 * (5 * 5 * 48 + 1),
        384 * (3 * 3 * 256 + 1),
        384 * (3 * 3 * 192 + 1),
        256 * (3 * 3 * 192 + 1),
    ]
    assert counts(model) == [*convolutions, 4096 * (6 * 6 * 256 + 1), 4096 * 4097, 1000 * 4097]
    assert model.count_params() == 60_965_224
    maps = [model.get_layer(f"conv{number}").output_shape[1:] for number in range(1, 6)]
    assert maps == [(55, 55, 96), (27, 27, 256), (13, 13, 384), (13, 13, 384), (13, 13, 256)]
    biases = {layer.name: layer.get_weights()[1].mean() for layer in model.layers if layer.weights}
    ones = ("conv2", "conv4", "conv5", "fc6", "fc7")  # section 5
    assert biases == {name: float(name in ones) for name in biases}


def test_alexnet_normalises_as_its_paper() -> None:
    """Section 3.3, written out: k = 2, n = 5, alpha = 1e-4 of the sum, beta = 0.75."""
    model = AlexNet(include_top=False, input_shape=(67, 67, 3))
    before, after = model.get_layer("conv1").output, model.get_layer("norm1").output
    picture = np.random.default_rng(0).uniform(-3000, 3000, (1, 67, 67, 3)).astype("float32")
    a, b = (x.astype("float64") for x in K.function([model.input], [before, after])([picture]))
    expected = np.empty_like(a)
    for i in range(96):
        around = a[..., max(0, i - 2) : min(95, i + 2) + 1]
        expected[..., i] = a[..., i] / (2 + 1e-4 * (around**2).sum(-1)) ** 0.75
    assert a.max() > 100
    np.testing.assert_allclose(b, expected, rtol=1e-4, atol=1e-5)


# Table 1: input channels; #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj; output channels.
TABLE = """
3a 192  64  96 128 16  32  32  256
3b 256 128 128 192 32  96  64  480
4a 480 192  96 208 16  48  64  512
4b 512 160 112 224 24  64  64  512
4c 512 128 128 256 24  64  64  512
4d 512 112 144 288 32  64  64  528
4e 528 256 160 320 32 128 128  832
5a 832 256 160 320 32 128 128  832
5b 832 384 192 384 48 128 128 1024
"""


def test_googlenet(quick: None) -> None:
    model = GoogLeNet()
    expected = [64 * (7 * 7 * 3 + 1), 64 * 65, 192 * (9 * 64 + 1)]
    for line in TABLE.strip().splitlines():
        name, *numbers = line.split()
        inputs, one, before_3, three, before_5, five, projected, outputs = map(int, numbers)
        assert one + three + five + projected == outputs
        assert model.get_layer(f"inception_{name}/output").output_shape[-1] == outputs
        expected += [(inputs + 1) * filters for filters in (one, before_3, before_5, projected)]
        expected += [(9 * before_3 + 1) * three, (25 * before_5 + 1) * five]
    main = [*expected, 1025 * 1000]
    heads = [n for inputs in (512, 528) for n in ((inputs + 1) * 128, (4 * 4 * 128 + 1) * 1024, 1025 * 1000)]
    assert sorted(counts(model)) == sorted([*main, *heads])
    assert (sum(main), sum(heads)) == (6_998_552, 6_379_728)
    assert model.output_shape == [(None, 1000)] * 3
    assert model.get_layer("loss1/ave_pool").output_shape == (None, 4, 4, 512)
    assert sorted(counts(GoogLeNet(auxiliary=False))) == sorted(main)
    names = ("conv1/7x7_s2", "pool1/3x3_s2", "pool2/3x3_s2")
    sizes = [model.get_layer(name).output_shape[1] for name in names]
    assert sizes == [112, 56, 28]


def test_googlenet_without_its_heads_says_the_same() -> None:
    whole = GoogLeNet(input_shape=(65, 65, 3), classes=4)
    alone = GoogLeNet(input_shape=(65, 65, 3), classes=4, auxiliary=False)
    for layer in alone.layers:
        layer.set_weights(whole.get_layer(layer.name).get_weights() if layer.weights else [])
    picture = np.random.default_rng(0).uniform(-100, 100, (1, 65, 65, 3))
    outputs = whole.predict(picture)
    assert [y.shape for y in outputs] == [(1, 4)] * 3
    np.testing.assert_allclose(outputs[0], alone.predict(picture), rtol=1e-4)


def test_u_net() -> None:
    model = UNet()
    down, up = (64, 128, 256, 512, 1024), (512, 256, 128, 64)
    expected, channels = 0, 1
    for filters in down:
        expected += (9 * channels + 1) * filters + (9 * filters + 1) * filters
        channels = filters
    for filters in up:  # up-convolution of 2 x 2; then as many channels from the left as from below
        expected += (
            (4 * channels + 1) * filters + (9 * 2 * filters + 1) * filters + (9 * filters + 1) * filters
        )
        channels = filters
    assert model.count_params() == expected + 2 * 65 == 31_030_658
    assert model.output_shape == (None, 388, 388, 2)
    # Figure 1: 568, 280, 136, 64, 28; then 52, 100, 196, 388.
    names = [f"down{n}_conv2" for n in range(1, 6)] + [f"up{n}_conv2" for n in (4, 3, 2, 1)]
    sizes = [model.get_layer(name).output_shape[1] for name in names]
    assert sizes == [568, 280, 136, 64, 28, 52, 100, 196, 388]


def test_u_net_of_any_size() -> None:
    model = UNet(input_shape=(None, None, 3), padding="same", classes=1, filters=2)
    assert model.output_shape == (None, None, None, 1)
    assert model.predict(np.zeros((1, 32, 48, 3))).shape == (1, 32, 48, 1)
    assert model.get_layer("probabilities").get_config()["activation"] == "sigmoid"
    features = UNet(input_shape=(None, None, 3), padding="same", filters=2, include_top=False, pooling="avg")
    assert features.output_shape == (None, 2)


@pytest.mark.parametrize("depth", range(5))
def test_shortcuts_of_u_net_meet_what_they_come_from(depth: int) -> None:
    """Kernels that pass pixels on: all ways through the network lead to the same place of the picture."""
    model = UNet(input_shape=(204, 204, 1), filters=1)
    for layer in model.layers:
        if not layer.weights:
            continue
        kernel, bias = layer.get_weights()
        kernel[:], bias[:] = 0, 0
        if layer.name in ("up1", "up2", "up3", "up4"):
            kernel[:, :, 0, 0] = 1  # a pixel becomes four
        elif layer.name == "classes":
            kernel[0, 0, 0] = 1, 0
        else:
            # Behind a concatenation, the second half comes from below: the way down to `depth`.
            joined = layer.name.startswith("up") and layer.name.endswith("conv1")
            below = joined and int(layer.name[2]) <= depth
            kernel[1, 1, kernel.shape[2] // 2 if below else 0, 0] = 1
        layer.set_weights([kernel, bias])
    logits = K.function([model.input], [model.get_layer("classes").output])
    picture = np.broadcast_to(np.arange(204.0)[:, np.newaxis], (204, 204))[np.newaxis, ..., np.newaxis]
    for x in (picture, np.swapaxes(picture, 1, 2)):
        found = logits([x])[0][0, ..., 0]
        place = x[0, 92:-92, 92:-92, 0]
        # Max-pooling keeps the last of 2 ** depth rows.
        assert found.shape == place.shape == (20, 20)
        assert sorted(set((found - place).ravel())) == list(range(2**depth))
