'''Generates text with an LSTM, character by character.'''
from __future__ import print_function
from keras.callbacks import LambdaCallback
from keras.models import Sequential
from keras.layers import Dense, Activation
from keras.layers import LSTM
from keras.optimizers import RMSprop
import numpy as np
import random
import sys

random.seed(1)
np.random.seed(1)
text = u'the quick brown fox jumps over the lazy dog. ' * 12
print('corpus length:', len(text))

chars = sorted(list(set(text)))
char_indices = dict((c, i) for i, c in enumerate(chars))
indices_char = dict((i, c) for i, c in enumerate(chars))

# cut the text in semi-redundant sequences of maxlen characters
maxlen = 10
step = 1
sentences = []
next_chars = []
for i in range(0, len(text) - maxlen, step):
    sentences.append(text[i: i + maxlen])
    next_chars.append(text[i + maxlen])
print('nb sequences:', len(sentences))

x = np.zeros((len(sentences), maxlen, len(chars)), dtype=bool)
y = np.zeros((len(sentences), len(chars)), dtype=bool)
for i, sentence in enumerate(sentences):
    for t, char in enumerate(sentence):
        x[i, t, char_indices[char]] = 1
    y[i, char_indices[next_chars[i]]] = 1

model = Sequential()
model.add(LSTM(48, input_shape=(maxlen, len(chars))))
model.add(Dense(len(chars)))
model.add(Activation('softmax'))
model.compile(loss='categorical_crossentropy', optimizer=RMSprop(lr=0.02))


def sample(preds, temperature=1.0):
    preds = np.asarray(preds).astype('float64')
    preds = np.log(preds) / temperature
    exp_preds = np.exp(preds)
    preds = exp_preds / np.sum(exp_preds)
    probas = np.random.multinomial(1, preds, 1)
    return np.argmax(probas)


generated = {}


def on_epoch_end(epoch, logs):
    if epoch % 4 != 3:
        return
    print('----- Generating text after Epoch: %d, loss %.3f' % (epoch, logs['loss']))
    sentence = text[:maxlen]
    for i in range(35):
        x_pred = np.zeros((1, maxlen, len(chars)))
        for t, char in enumerate(sentence[-maxlen:]):
            x_pred[0, t, char_indices[char]] = 1.
        preds = model.predict(x_pred, verbose=0)[0]
        sentence += indices_char[sample(preds, 0.2)]
    generated[epoch] = sentence
    sys.stdout.write(sentence + '\n')


model.fit(x, y, batch_size=64, epochs=8, verbose=2,
          callbacks=[LambdaCallback(on_epoch_end=on_epoch_end)])
right = np.mean([a == b for a, b in zip(generated[7], text)])
print('share of right characters: %.3f' % right)
