"""Multi-head attention as a layer of one's own (Vaswani et al., 2017): are both of two words in the text?"""
from __future__ import print_function

import numpy as np

from keras import backend as K
from keras.engine.topology import Layer
from keras.layers import Dense, Dropout, Embedding, GlobalMaxPooling1D, Input
from keras.models import Model, load_model
from keras.optimizers import Adam

np.random.seed(3)
max_features, maxlen, width = 20, 12, 16


class PositionEmbedding(Layer):
    """Sines and cosines, added to the words."""

    def call(self, x):
        size = K.int_shape(x)[-1]
        position_j = 1. / K.pow(10000., 2 * K.arange(size / 2, dtype='float32') / size)
        position_j = K.expand_dims(position_j, 0)
        position_i = K.cumsum(K.ones_like(x[:, :, 0]), 1) - 1
        position_i = K.expand_dims(position_i, 2)
        position_ij = K.dot(position_i, position_j)
        return K.concatenate([K.cos(position_ij), K.sin(position_ij)], 2) + x


class Attention(Layer):
    def __init__(self, nb_head, size_per_head, **kwargs):
        self.nb_head = nb_head
        self.size_per_head = size_per_head
        self.output_dim = nb_head * size_per_head
        super(Attention, self).__init__(**kwargs)

    def build(self, input_shape):
        for name, shape in zip(('WQ', 'WK', 'WV'), input_shape):
            setattr(self, name, self.add_weight(name=name, shape=(shape[-1], self.output_dim),
                                                initializer='glorot_uniform', trainable=True))
        super(Attention, self).build(input_shape)

    def heads(self, x, kernel):
        seq = K.dot(x, kernel)
        seq = K.reshape(seq, (-1, K.shape(seq)[1], self.nb_head, self.size_per_head))
        return K.permute_dimensions(seq, (0, 2, 1, 3))

    def call(self, x):
        q, k, v = [self.heads(seq, kernel) for seq, kernel in zip(x, (self.WQ, self.WK, self.WV))]
        A = K.batch_dot(q, k, axes=[3, 3]) / self.size_per_head ** 0.5
        A = K.softmax(A)
        o = K.batch_dot(A, v, axes=[3, 2])
        o = K.permute_dimensions(o, (0, 2, 1, 3))
        return K.reshape(o, (-1, K.shape(o)[1], self.output_dim))

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], input_shape[0][1], self.output_dim)

    def get_config(self):
        config = {'nb_head': self.nb_head, 'size_per_head': self.size_per_head}
        base_config = super(Attention, self).get_config()
        return dict(list(base_config.items()) + list(config.items()))


x = np.random.randint(0, max_features, size=(1600, maxlen))
y = (np.any(x == 3, axis=1) & np.any(x == 7, axis=1)).astype('float32')
wanted = np.where(y == 0)[0][::2]                 # more of the rare answer
x[wanted, 2], x[wanted, 9] = 3, 7
y = (np.any(x == 3, axis=1) & np.any(x == 7, axis=1)).astype('float32')

S_inputs = Input(shape=(None,), dtype='int32')
embeddings = PositionEmbedding()(Embedding(max_features, width)(S_inputs))
O_seq = Attention(4, 8)([embeddings, embeddings, embeddings])
O_seq = GlobalMaxPooling1D()(O_seq)
O_seq = Dropout(0.1)(O_seq)
outputs = Dense(1, activation='sigmoid')(O_seq)

model = Model(inputs=S_inputs, outputs=outputs)
model.compile(loss='binary_crossentropy', optimizer=Adam(0.01), metrics=['accuracy'])
model.fit(x[:1200], y[:1200], batch_size=32, epochs=6, verbose=0, validation_data=(x[1200:], y[1200:]))

model.save('attention.h5')
again = load_model('attention.h5', custom_objects={'Attention': Attention, 'PositionEmbedding': PositionEmbedding})
assert np.allclose(again.predict(x[:50]), model.predict(x[:50]), atol=1e-6)
score, acc = again.evaluate(x[1200:], y[1200:], batch_size=32, verbose=0)
print('Test score:', score)
print('Test accuracy:', acc)
