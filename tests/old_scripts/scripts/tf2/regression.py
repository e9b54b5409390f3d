"""Fuel efficiency from a table of cars, with early stopping; over-fitting with and without penalties."""
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers, regularizers

tf.random.set_seed(0)
draw = np.random.RandomState(0)
x = draw.normal(size=(400, 9))
y = 23 + x[:, 0] * 3 - 2 * np.abs(x[:, 1]) + draw.normal(size=400) * .5


def build_model():
    model = keras.Sequential([
        layers.Dense(64, activation='relu', input_shape=[9], kernel_regularizer=regularizers.l2(0.001)),
        layers.Dense(64, activation=tf.nn.elu, kernel_initializer='he_normal'),
        layers.Dense(1)
    ])
    model.compile(loss=keras.losses.Huber(delta=2.), optimizer=tf.keras.optimizers.RMSprop(0.003),
                  metrics=['mae', keras.metrics.RootMeanSquaredError(name='rmse')])
    return model


model = build_model()
early_stop = keras.callbacks.EarlyStopping(monitor='val_loss', patience=10)
history = model.fit(x, y, epochs=40, validation_split=0.2, verbose=0, callbacks=[early_stop])
print(sorted(history.history))
loss, mae, rmse = model.evaluate(x[320:], y[320:], verbose=2)
predicted = model.predict(x[320:]).flatten()
print('MAE: %.3f' % mae)
print(abs(np.sqrt(np.mean((predicted - y[320:]) ** 2)) - rmse) < 1e-3)
