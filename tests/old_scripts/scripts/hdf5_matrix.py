'''Trains from arrays in an HDF5 file that need not fit into memory.'''
from __future__ import print_function
import h5py
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.utils.io_utils import HDF5Matrix


def create_dataset():
    X = np.random.randn(200, 10).astype('float32') * 10 + 50
    y = (X.mean(axis=1, keepdims=True) > 50).astype('int')
    f = h5py.File('test.h5', 'w')
    X_dset = f.create_dataset('my_data', (200, 10), dtype='f')
    X_dset[:] = X
    y_dset = f.create_dataset('my_labels', (200, 1), dtype='i')
    y_dset[:] = y
    f.close()


np.random.seed(10)
create_dataset()
normalize = lambda data: (data - 50) / 10.
X_train = HDF5Matrix('test.h5', 'my_data', start=0, end=150, normalizer=normalize)
y_train = HDF5Matrix('test.h5', 'my_labels', start=0, end=150)
X_test = HDF5Matrix('test.h5', 'my_data', start=150, end=200, normalizer=normalize)
y_test = HDF5Matrix('test.h5', 'my_labels', start=150, end=200)
print(X_train.shape, X_train[:3].shape, y_train[0])

model = Sequential()
model.add(Dense(64, input_shape=(10,), activation='relu'))
model.add(Dense(1, activation='sigmoid'))
model.compile(loss='binary_crossentropy', optimizer='adam', metrics=['accuracy'])
# Note: you have to use shuffle='batch' or False with HDF5Matrix
model.fit(X_train, y_train, batch_size=32, shuffle='batch', verbose=False, epochs=25)
score = model.evaluate(X_test, y_test, verbose=0)
print('Test accuracy: %.3f' % score[1])
print(model.predict(X_test, batch_size=32).shape)
