'''Trains a Bidirectional LSTM on sentences in which one word decides, wherever it stands.'''
from __future__ import print_function
import numpy as np
from keras.preprocessing import sequence
from keras.models import Sequential
from keras.layers import Dense, Dropout, Embedding, LSTM, Bidirectional, TimeDistributed
from keras.optimizers import Adam

np.random.seed(7)
max_features = 12
maxlen = 8
batch_size = 32

# The word 1 turns every word of a sentence positive, before it and after it.
x, y = [], []
for _ in range(768):
    sentence = np.random.randint(2, max_features, np.random.randint(4, maxlen + 1))
    label = np.random.randint(0, 2)
    if label:
        sentence[np.random.randint(len(sentence))] = 1
    x.append(list(sentence))
    y.append(label)
x_train, x_test = x[:512], x[512:]
y_train, y_test = np.array(y[:512]), np.array(y[512:])
print('Pad sequences (samples x time)')
x_train = sequence.pad_sequences(x_train, maxlen=maxlen)
x_test = sequence.pad_sequences(x_test, maxlen=maxlen)
print('x_train shape:', x_train.shape)
y_train = np.repeat(y_train[:, None, None], maxlen, 1)
y_test = np.repeat(y_test[:, None, None], maxlen, 1)

model = Sequential()
model.add(Embedding(max_features, 12, input_length=maxlen))
model.add(Bidirectional(LSTM(12, return_sequences=True)))
model.add(Dropout(0.2))
model.add(TimeDistributed(Dense(1, activation='sigmoid')))

# try using different optimizers and different optimizer configs
model.compile(Adam(lr=0.02), 'binary_crossentropy', metrics=['accuracy'])

print('Train...')
model.fit(x_train, y_train, batch_size=batch_size, epochs=5, verbose=2, validation_data=[x_test, y_test])
score, acc = model.evaluate(x_test, y_test, batch_size=batch_size, verbose=0)
print('Test score:', score)
print('Test accuracy: %.4f' % acc)
