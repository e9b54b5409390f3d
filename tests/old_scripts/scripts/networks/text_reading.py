"""Reads words from pictures: convolutions, a bidirectional GRU, and CTC, whose loss is a layer of the model."""
from __future__ import print_function

import numpy as np

from keras import backend as K
from keras.layers import Activation, Bidirectional, Conv2D, Dense, GRU, Input, Lambda, MaxPooling2D, Reshape
from keras.models import Model
from keras.optimizers import Adam

np.random.seed(5)

alphabet = 'HTLX'
glyphs = {
    'H': ['#..#', '#..#', '####', '#..#', '#..#'],
    'T': ['####', '.#..', '.#..', '.#..', '.#..'],
    'L': ['#...', '#...', '#...', '#...', '####'],
    'X': ['#..#', '.##.', '.##.', '.##.', '#..#'],
}
img_w, img_h, max_string_len, pool_size = 32, 8, 4, 2


def paint(text):
    """The word at a random place, with noise, as (width, height, 1)."""
    img = np.random.uniform(0, 0.3, (img_h, img_w))
    left = np.random.randint(0, img_w - 6 * len(text) + 1)
    top = np.random.randint(0, img_h - 5 + 1)
    for i, char in enumerate(text):
        glyph = np.array([[c == '#' for c in row] for row in glyphs[char]], dtype='float32')
        img[top:top + 5, left + 6 * i:left + 6 * i + 4] += glyph
    return img.T[:, :, np.newaxis]


def get_batch(size):
    texts = [''.join(np.random.choice(list(alphabet), np.random.randint(1, max_string_len + 1)))
             for _ in range(size)]
    X_data = np.array([paint(text) for text in texts], dtype='float32')
    labels = np.zeros([size, max_string_len])
    for i, text in enumerate(texts):
        labels[i, :len(text)] = [alphabet.find(char) for char in text]
    label_length = np.array([[len(text)] for text in texts])
    input_length = np.ones([size, 1]) * (img_w // pool_size - 2)
    inputs = {'the_input': X_data, 'the_labels': labels, 'input_length': input_length,
              'label_length': label_length, 'source_str': texts}
    outputs = {'ctc': np.zeros([size])}           # dummy data for the dummy loss function
    return inputs, outputs


def ctc_lambda_func(args):
    y_pred, labels, input_length, label_length = args
    # the 2 is critical here since the first couple outputs of the RNN tend to be garbage
    y_pred = y_pred[:, 2:, :]
    return K.ctc_batch_cost(labels, y_pred, input_length, label_length)


input_data = Input(name='the_input', shape=(img_w, img_h, 1), dtype='float32')
inner = Conv2D(16, (3, 3), padding='same', activation='relu', kernel_initializer='he_normal')(input_data)
inner = MaxPooling2D(pool_size=(pool_size, pool_size))(inner)
inner = Conv2D(16, (3, 3), padding='same', activation='relu', kernel_initializer='he_normal')(inner)
inner = Reshape(target_shape=(img_w // pool_size, (img_h // pool_size) * 16))(inner)
inner = Dense(24, activation='relu')(inner)
inner = Bidirectional(GRU(24, return_sequences=True, kernel_initializer='he_normal'), merge_mode='concat')(inner)
inner = Dense(len(alphabet) + 1, kernel_initializer='he_normal')(inner)
y_pred = Activation('softmax', name='softmax')(inner)
model = Model(inputs=input_data, outputs=y_pred)

labels = Input(name='the_labels', shape=[max_string_len], dtype='float32')
input_length = Input(name='input_length', shape=[1], dtype='int64')
label_length = Input(name='label_length', shape=[1], dtype='int64')
loss_out = Lambda(ctc_lambda_func, output_shape=(1,), name='ctc')([y_pred, labels, input_length, label_length])
train_model = Model(inputs=[input_data, labels, input_length, label_length], outputs=loss_out)
# the loss calc occurs elsewhere, so use a dummy lambda func for the loss
train_model.compile(loss={'ctc': lambda y_true, y_pred: y_pred}, optimizer=Adam(lr=0.01, clipnorm=5))
test_func = K.function([input_data], [y_pred])


def text_generator(size):
    while True:
        inputs, outputs = get_batch(size)
        inputs.pop('source_str')
        yield inputs, outputs


train_model.fit_generator(generator=text_generator(32), steps_per_epoch=50, epochs=4, verbose=0)

word_batch = get_batch(100)[0]
out = test_func([word_batch['the_input']])[0][:, 2:]
decoded = K.get_value(K.ctc_decode(out, np.ones(len(out)) * out.shape[1], greedy=True)[0][0])
read = [''.join(alphabet[c] for c in row if c >= 0) for row in decoded]
print('Truth:', word_batch['source_str'][:5], 'read:', read[:5])
print('Words right:', np.mean([a == b for a, b in zip(read, word_batch['source_str'])]))
