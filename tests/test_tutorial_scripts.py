"""Scripts as Keras users wrote them, moved by changing the imports, on a small file in MNIST's format."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from symgraph.datasets import digits

# What is made once for these tests is made in one process.
pytestmark = pytest.mark.xdist_group("tutorials")

CNN = """
import symgraph as keras
from symgraph.datasets import mnist
from symgraph.models import Sequential
from symgraph.layers import Dense, Dropout, Flatten
from symgraph.layers import Conv2D, MaxPooling2D
from symgraph import backend as K

{setting}
batch_size, num_classes, epochs = 32, 10, 3
img_rows, img_cols = 28, 28
(x_train, y_train), (x_test, y_test) = mnist.load_data({path!r})

if K.image_data_format() == 'channels_first':
    x_train = x_train.reshape(x_train.shape[0], 1, img_rows, img_cols)
    x_test = x_test.reshape(x_test.shape[0], 1, img_rows, img_cols)
    input_shape = (1, img_rows, img_cols)
else:
    x_train = x_train.reshape(x_train.shape[0], img_rows, img_cols, 1)
    x_test = x_test.reshape(x_test.shape[0], img_rows, img_cols, 1)
    input_shape = (img_rows, img_cols, 1)

x_train = x_train.astype('float32')
x_test = x_test.astype('float32')
x_train /= 255
x_test /= 255
print(x_train.shape[0], 'train samples')
y_train = keras.utils.to_categorical(y_train, num_classes)
y_test = keras.utils.to_categorical(y_test, num_classes)

model = Sequential()
model.add(Conv2D(32, kernel_size=(3, 3), activation='relu', input_shape=input_shape))
model.add(Conv2D(64, (3, 3), activation='relu'))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(128, activation='relu'))
model.add(Dropout(0.5))
model.add(Dense(num_classes, activation='softmax'))
model.compile(loss=keras.losses.categorical_crossentropy,
              optimizer=keras.optimizers.Adadelta(),
              metrics=['accuracy'])
model.fit(x_train, y_train, batch_size=batch_size, epochs=epochs, verbose=2, validation_data=(x_test, y_test))
score = model.evaluate(x_test, y_test, verbose=0)
print('Test loss:', score[0])
print('Test accuracy:', score[1])
"""

MLP = """
from symgraph.datasets import mnist
from symgraph.models import Sequential
from symgraph.layers import Dense
from symgraph.utils import to_categorical

(x_train, y_train), _ = mnist.load_data({path!r})
x_train = x_train.reshape(len(x_train), 784) / 127.5 - 1
model = Sequential()
model.add(Dense(784, activation='relu', input_dim=784))
model.add(Dense(100, activation='relu'))
model.add(Dense(10, activation='softmax'))
model.compile(optimizer='sgd', loss='mse', metrics=['accuracy'])
model.summary()
model.fit(x_train, to_categorical(y_train), batch_size=32, epochs=2, verbose=2, validation_split=0.2)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled digits, three times as large, on 28 by 28 pixels."""
    arrays = {}
    for part, (x, y) in zip(("train", "test"), digits.load_data(), strict=True):
        large = np.kron(x * 15, np.ones((3, 3), np.uint8))
        arrays[f"x_{part}"] = np.pad(large, ((0, 0), (2, 2), (2, 2))).astype("uint8")
        arrays[f"y_{part}"] = y.astype("uint8")
    path = tmp_path_factory.mktemp("mnist") / "mnist.npz"
    np.savez(path, **arrays)
    return path


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_convolutional_network(data: Path, layout: str) -> None:
    text = run(CNN.format(path=str(data), setting=f"K.set_image_data_format({layout!r})"))
    assert "Train on 1437 samples, validate on 360 samples\nEpoch 1/3\n" in text
    number = r"\d+\.\d{4}"
    line = rf" - \d+s - loss: {number} - acc: {number} - val_loss: {number} - val_acc: {number}"
    assert len(re.findall(rf"^{line}$", text, re.MULTILINE)) == 3
    accuracy = re.search(r"Test accuracy: ([\d.]+)", text)
    assert accuracy and float(accuracy[1]) > 0.85


def test_dense_network_of_strings(data: Path) -> None:
    text = run(MLP.format(path=str(data)))
    assert "Total params: 694,950" in text
    assert "Train on 1149 samples, validate on 288 samples" in text
    assert text.count(" - val_acc: ") == 2
