"""A recurrent layer of one's own, by the base class of Keras 1: it adds up what a gate lets through."""

import numpy as np

from keras import activations, initializations
from keras import backend as K
from keras.engine import InputSpec
from keras.layers.core import Dense
from keras.layers.recurrent import Recurrent, time_distributed_dense
from keras.models import Sequential
from keras.optimizers import Adam


class GatedSum(Recurrent):
    def __init__(
        self,
        output_dim,
        init="glorot_uniform",
        inner_init="orthogonal",
        activation="tanh",
        inner_activation="hard_sigmoid",
        **kwargs,
    ):
        self.output_dim = output_dim
        self.init = initializations.get(init)
        self.inner_init = initializations.get(inner_init)
        self.activation = activations.get(activation)
        self.inner_activation = activations.get(inner_activation)
        super(GatedSum, self).__init__(**kwargs)

    def build(self, input_shape):
        self.input_spec = [InputSpec(shape=input_shape)]
        self.input_dim = input_shape[2]
        if self.stateful:
            self.reset_states()
        else:
            self.states = [None]
        self.W = self.init((self.input_dim, self.output_dim), name="{}_W".format(self.name))
        self.W_g = self.init((self.input_dim, self.output_dim), name="{}_W_g".format(self.name))
        self.U_g = self.inner_init((self.output_dim, self.output_dim), name="{}_U_g".format(self.name))
        self.b = K.zeros((self.output_dim,), name="{}_b".format(self.name))
        self.b_g = K.zeros((self.output_dim,), name="{}_b_g".format(self.name))
        self.trainable_weights = [self.W, self.W_g, self.U_g, self.b, self.b_g]

    def reset_states(self):
        rows = self.input_spec[0].shape[0]
        if hasattr(self, "states"):
            K.set_value(self.states[0], np.zeros((rows, self.output_dim)))
        else:
            self.states = [K.zeros((rows, self.output_dim))]

    def preprocess_input(self, x):
        timesteps = self.input_spec[0].shape[1]
        mapped = time_distributed_dense(x, self.W, self.b, None, self.input_dim, self.output_dim, timesteps)
        gates = time_distributed_dense(
            x, self.W_g, self.b_g, None, self.input_dim, self.output_dim, timesteps
        )
        return K.concatenate([mapped, gates], axis=2)

    def get_constants(self, x):
        return [K.cast_to_floatx(1.0)]

    def step(self, x, states):
        total, one = states
        gate = self.inner_activation(x[:, self.output_dim :] + K.dot(total, self.U_g))
        new = total + gate * self.activation(x[:, : self.output_dim]) * one
        return new, [new]

    def get_config(self):
        config = {
            "output_dim": self.output_dim,
            "init": self.init.__name__,
            "inner_init": self.inner_init.__name__,
            "activation": self.activation.__name__,
            "inner_activation": self.inner_activation.__name__,
        }
        base_config = super(GatedSum, self).get_config()
        return dict(list(base_config.items()) + list(config.items()))


np.random.seed(4)
X = np.random.uniform(-1, 1, (400, 8, 2))
X[:, :, 1] = np.random.randint(0, 2, (400, 8))
y = np.sum(X[:, :, 0] * X[:, :, 1], axis=1, keepdims=True)

model = Sequential()
model.add(GatedSum(12, input_dim=2, input_length=8))
model.add(Dense(1))
model.compile(loss="mse", optimizer=Adam(lr=0.01))
before = model.evaluate(X, y, verbose=0)
model.fit(X, y, batch_size=16, nb_epoch=20, verbose=0)
after = model.evaluate(X, y, verbose=0)
result = {"before": before, "after": after, "model": model, "x": X, "layer": GatedSum}
