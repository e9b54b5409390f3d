"""A capsule network with routing by agreement (Sabour et al., 2017) on small handwritten digits."""
from __future__ import print_function

import numpy as np
from sklearn.datasets import load_digits

from keras import backend as K
from keras import initializers, layers, models, optimizers
from keras.utils import to_categorical

K.set_image_data_format('channels_last')
np.random.seed(7)


def squash(vectors, axis=-1):
    s_squared_norm = K.sum(K.square(vectors), axis, keepdims=True)
    scale = s_squared_norm / (1 + s_squared_norm) / K.sqrt(s_squared_norm + K.epsilon())
    return scale * vectors


class Length(layers.Layer):
    def call(self, inputs, **kwargs):
        return K.sqrt(K.sum(K.square(inputs), -1) + K.epsilon())

    def compute_output_shape(self, input_shape):
        return input_shape[:-1]


class CapsuleLayer(layers.Layer):
    def __init__(self, num_capsule, dim_capsule, routings=3, kernel_initializer='glorot_uniform', **kwargs):
        super(CapsuleLayer, self).__init__(**kwargs)
        self.num_capsule = num_capsule
        self.dim_capsule = dim_capsule
        self.routings = routings
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        assert len(input_shape) >= 3, "The input Tensor should have shape=[None, capsules, size]"
        self.input_num_capsule = input_shape[1]
        self.input_dim_capsule = input_shape[2]
        self.W = self.add_weight(
            shape=[self.num_capsule, self.input_num_capsule, self.dim_capsule, self.input_dim_capsule],
            initializer=self.kernel_initializer, name='W')
        self.built = True

    def call(self, inputs, training=None):
        # (None, 1, input_num_capsule, input_dim_capsule), then one copy for each capsule above
        tiled = K.tile(K.expand_dims(inputs, 1), [1, self.num_capsule, 1, 1])
        # (None, num_capsule, input_num_capsule, dim_capsule)
        hat = K.map_fn(lambda x: K.batch_dot(x, self.W, [2, 3]), elems=tiled)
        b = K.zeros_like(hat[:, :, :, 0])
        for i in range(self.routings):
            c = K.softmax(b, axis=1)
            outputs = squash(K.batch_dot(c, hat, [2, 2]))
            if i < self.routings - 1:
                b = b + K.batch_dot(outputs, hat, [2, 3])
        return outputs

    def compute_output_shape(self, input_shape):
        return tuple([None, self.num_capsule, self.dim_capsule])


def margin_loss(y_true, y_pred):
    L = y_true * K.square(K.maximum(0., 0.9 - y_pred)) + \
        0.5 * (1 - y_true) * K.square(K.maximum(0., y_pred - 0.1))
    return K.mean(K.sum(L, 1))


digits = load_digits(n_class=5)
order = np.random.permutation(len(digits.target))
x = digits.images[order].reshape(-1, 8, 8, 1).astype('float32') / 16.
y = to_categorical(digits.target[order].astype('float32'))
(x_train, y_train), (x_test, y_test) = (x[:700], y[:700]), (x[700:], y[700:])

inp = layers.Input(shape=x_train.shape[1:])
conv1 = layers.Conv2D(filters=24, kernel_size=3, activation='relu', name='conv1')(inp)
primary = layers.Conv2D(filters=4 * 8, kernel_size=3, strides=2, name='primarycap_conv2d')(conv1)
primary = layers.Reshape(target_shape=[-1, 8], name='primarycap_reshape')(primary)
primary = layers.Lambda(squash, name='primarycap_squash')(primary)
digitcaps = CapsuleLayer(num_capsule=5, dim_capsule=8, routings=3, name='digitcaps')(primary)
out = Length(name='capsnet')(digitcaps)
model = models.Model(inp, out)
model.compile(optimizer=optimizers.Adam(lr=0.004), loss=[margin_loss], metrics={'capsnet': 'accuracy'})
model.fit(x_train, y_train, batch_size=50, epochs=4, validation_data=[x_test, y_test], verbose=0)

y_pred = model.predict(x_test, batch_size=100)
print('Test acc:', np.sum(np.argmax(y_pred, 1) == np.argmax(y_test, 1)) / float(y_test.shape[0]))
