"""The table that `summary` prints, to the letter as Keras 2.2.4 prints it."""

from __future__ import annotations

import pytest

from symgraph import backend as K
from symgraph.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
    concatenate,
)
from symgraph.models import Model, Sequential

# The table of Keras' example mnist_cnn.py.
MNIST_CNN = """\
_________________________________________________________________
Layer (type)                 Output Shape              Param #   
=================================================================
conv2d_1 (Conv2D)            (None, 26, 26, 32)        320       
_________________________________________________________________
conv2d_2 (Conv2D)            (None, 24, 24, 64)        18496     
_________________________________________________________________
max_pooling2d_1 (MaxPooling2 (None, 12, 12, 64)        0         
_________________________________________________________________
dropout_1 (Dropout)          (None, 12, 12, 64)        0         
_________________________________________________________________
flatten_1 (Flatten)          (None, 9216)              0         
_________________________________________________________________
dense_1 (Dense)              (None, 128)               1179776   
_________________________________________________________________
dropout_2 (Dropout)          (None, 128)               0         
_________________________________________________________________
dense_2 (Dense)              (None, 10)                1290      
=================================================================
Total params: 1,199,882
Trainable params: 1,199,882
Non-trainable params: 0
_________________________________________________________________
"""  # noqa: W291

SHARED = """\
__________________________________________________________________________________________________
Layer (type)                    Output Shape         Param #     Connected to                     
==================================================================================================
left (InputLayer)               (None, 4)            0                                            
__________________________________________________________________________________________________
right (InputLayer)              (None, 4)            0                                            
__________________________________________________________________________________________________
dense_1 (Dense)                 (None, 3)            15          left[0][0]                       
                                                                 right[0][0]                      
__________________________________________________________________________________________________
concatenate_1 (Concatenate)     (None, 6)            0           dense_1[0][0]                    
                                                                 dense_1[1][0]                    
==================================================================================================
Total params: 15
Trainable params: 15
Non-trainable params: 0
__________________________________________________________________________________________________
"""  # noqa: W291


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    K.clear_session()


def lines_of(model: Model, **kwargs: object) -> list[str]:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **kwargs)
    return lines


def test_sequential(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential(
        [
            Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
            Conv2D(64, (3, 3), activation="relu"),
            MaxPooling2D(pool_size=(2, 2)),
            Dropout(0.25),
            Flatten(),
            Dense(128, activation="relu"),
            Dropout(0.5),
            Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    assert capsys.readouterr().out == MNIST_CNN


def test_functional_with_connections(capsys: pytest.CaptureFixture[str]) -> None:
    left, right = Input((4,), name="left"), Input((4,), name="right")
    shared = Dense(3)
    Model([left, right], concatenate([shared(left), shared(right)])).summary()
    assert capsys.readouterr().out == SHARED


def test_functional_chain_has_no_connections() -> None:
    x = Input((4,))
    lines = lines_of(Model(x, Dense(2)(Dense(3)(x))))
    assert lines[1] == "Layer (type)                 Output Shape              Param #   "
    assert lines[3] == "input_1 (InputLayer)         (None, 4)                 0         "


def test_several_shapes_and_frozen_weights() -> None:
    model = Sequential([Dense(3, input_dim=4), BatchNormalization()])
    model.layers[0].trainable = False
    model.layers[0](Input((2, 4)))
    lines = lines_of(model)
    assert lines[3] == "dense_1 (Dense)              multiple                  15        "
    assert lines[-4:-1] == ["Total params: 27", "Trainable params: 6", "Non-trainable params: 21"]


def test_widths() -> None:
    model = Sequential([Dense(3, input_dim=4)])
    lines = lines_of(model, line_length=80, positions=[0.5, 0.8, 1.0])
    assert lines[0] == "_" * 80
    assert lines[1] == "Layer (type)".ljust(40) + "Output Shape".ljust(24) + "Param #".ljust(16)
    assert lines_of(model, line_length=80, positions=[40, 64, 80]) == lines


def test_published_counts_of_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential()
    for number, filters in enumerate((32, 64, 128, 128, 256)):
        shape = {"input_shape": (150, 150, 3)} if number == 0 else {}
        model.add(Conv2D(filters, (3, 3), activation="relu", **shape))
        model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(512, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.summary()
    assert "Total params: 1,061,313" in capsys.readouterr().out
    assert model.count_params() == 1_061_313
    dense = Sequential([Dense(784, input_dim=784), Dense(100), Dense(10)])
    assert dense.count_params() == 694_950
