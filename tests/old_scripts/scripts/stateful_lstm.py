'''How a stateful LSTM remembers across batches: whether a signal has been there since the last reset.'''
from __future__ import print_function
import numpy as np
from keras.models import Sequential
from keras.layers import Dense, LSTM
from keras.optimizers import Adam

np.random.seed(3)
batch_size, tsteps = 32, 1
# Windows of length 1: without a memory that outlives a batch, what was there before cannot be known.
series = (np.random.uniform(0, 1, (batch_size, 60)) < 0.02).astype('float32')
expected_output = np.maximum.accumulate(series, axis=1)
print('share of ones: %.3f' % expected_output.mean())


def create_model(stateful):
    model = Sequential()
    model.add(LSTM(12, batch_input_shape=(batch_size, tsteps, 1), stateful=stateful))
    model.add(Dense(1, activation='sigmoid'))
    model.compile(loss='binary_crossentropy', optimizer=Adam(lr=0.02), metrics=['accuracy'])
    return model


def train(model, epochs):
    for epoch in range(epochs):
        losses = []
        for t in range(series.shape[1]):
            loss, acc = model.train_on_batch(series[:, t].reshape(-1, 1, 1), expected_output[:, t])
            losses.append(loss)
        model.reset_states()
    return np.mean(losses)


def accuracy(model):
    predicted = []
    model.reset_states()
    for t in range(series.shape[1]):
        predicted.append(model.predict(series[:, t].reshape(-1, 1, 1), batch_size=batch_size).ravel())
    model.reset_states()
    return np.mean((np.array(predicted).T > 0.5) == (expected_output > 0.5))


print('Creating Stateful LSTM Model...')
model_stateful = create_model(stateful=True)
print('loss %.4f' % train(model_stateful, 12))
print('Creating Stateless LSTM Model...')
model_stateless = create_model(stateful=False)
print('loss %.4f' % train(model_stateless, 12))
print('stateful accuracy: %.3f' % accuracy(model_stateful))
print('stateless accuracy: %.3f' % accuracy(model_stateless))
