"""A sparse autoencoder of handwritten digits, in the spelling of Keras 1."""

import numpy as np

from keras.datasets import digits
from keras.layers import Dense, Input
from keras.models import Model
from keras.regularizers import activity_l1

np.random.seed(3)
(x_train, _), (x_test, _) = digits.load_data()
x_train = x_train.reshape((len(x_train), 64)).astype("float32") / 16.0
x_test = x_test.reshape((len(x_test), 64)).astype("float32") / 16.0


def autoencoder(penalty):
    input_img = Input(shape=(64,))
    encoded = Dense(24, activation="relu", activity_regularizer=activity_l1(penalty))(input_img)
    decoded = Dense(64, activation="sigmoid")(encoded)
    model = Model(input=input_img, output=decoded)
    encoder = Model(input=input_img, output=encoded)
    model.compile(optimizer="adam", loss="binary_crossentropy")
    history = model.fit(
        x_train, x_train, nb_epoch=8, batch_size=32, shuffle=True, verbose=0, validation_data=(x_test, x_test)
    )
    return encoder.predict(x_test), history.history["val_loss"], model


dense, dense_loss, _ = autoencoder(0.0)
sparse, sparse_loss, model = autoencoder(1e-4)
result = {
    "dense": dense,
    "sparse": sparse,
    "dense_loss": dense_loss,
    "sparse_loss": sparse_loss,
    "decoded": model.predict(x_test),
    "x": x_test,
}
