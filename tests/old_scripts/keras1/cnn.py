"""A convolutional network for handwritten digits, in the spelling of Keras 0.3 and 1."""

from __future__ import print_function

import numpy as np

from keras.callbacks import Callback, EarlyStopping
from keras.datasets import digits
from keras.layers.convolutional import Convolution2D, MaxPooling2D
from keras.layers.core import Activation, Dense, Dropout, Flatten
from keras.layers.normalization import BatchNormalization
from keras.models import Sequential
from keras.optimizers import SGD
from keras.regularizers import l2
from keras.utils import np_utils

np.random.seed(1337)

batch_size = 32
nb_classes = 10
nb_epoch = 6
nb_filters = 8
nb_pool = 2
nb_conv = 3

(X_train, y_train), (X_test, y_test) = digits.load_data()
X_train = X_train.reshape(X_train.shape[0], 1, 8, 8).astype("float32") / 16
X_test = X_test.reshape(X_test.shape[0], 1, 8, 8).astype("float32") / 16
Y_train = np_utils.to_categorical(y_train, nb_classes)
Y_test = np_utils.to_categorical(y_test, nb_classes)


class Losses(Callback):
    def on_train_begin(self, logs={}):
        self.losses = []
        print("training for", self.params["nb_epoch"], "epochs")

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get("loss"))


model = Sequential()
model.add(
    Convolution2D(
        nb_filters,
        nb_conv,
        nb_conv,
        border_mode="same",
        dim_ordering="th",
        init="he_normal",
        input_shape=(1, 8, 8),
    )
)
model.add(Activation("relu"))
model.add(BatchNormalization(mode=0, axis=1))
model.add(
    Convolution2D(
        nb_filters, nb_conv, nb_conv, subsample=(1, 1), W_regularizer=l2(1e-4), bias=True, dim_ordering="th"
    )
)
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(nb_pool, nb_pool), border_mode="valid", dim_ordering="th"))
model.add(Dropout(p=0.25))
model.add(Flatten())
model.add(Dense(output_dim=32, activation="relu"))
model.add(Dropout(0.3))
model.add(Dense(nb_classes, init="glorot_uniform"))
model.add(Activation("softmax"))
model.compile(
    loss="categorical_crossentropy",
    class_mode="categorical",
    optimizer=SGD(lr=0.05, decay=1e-6, momentum=0.9, nesterov=True),
)

losses = Losses()
history = model.fit(
    X_train,
    Y_train,
    batch_size=batch_size,
    nb_epoch=nb_epoch,
    show_accuracy=True,
    verbose=0,
    validation_data=(X_test, Y_test),
    callbacks=[losses, EarlyStopping(monitor="val_loss", patience=3, verbose=0)],
)
score = model.evaluate(X_test, Y_test, show_accuracy=True, verbose=0)
classes = np_utils.probas_to_classes(model.predict(X_test))
print("accuracy", score[1], history.history["val_acc"][-1])

result = {
    "score": score,
    "classes": classes,
    "labels": y_test,
    "losses": losses.losses,
    "history": history.history,
    "model": model,
}
