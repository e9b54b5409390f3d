'''Grid search over a Keras model with scikit-learn.'''
from __future__ import print_function
import sys
import numpy as np
from keras.datasets import mnist
from keras.models import Sequential
from keras.layers import Dense, Dropout, Activation, Flatten
from keras.utils import np_utils
from keras.wrappers.scikit_learn import KerasClassifier
from keras import backend as K
from sklearn.model_selection import GridSearchCV

num_classes = 10
np.random.seed(9)
(x_train, y_train), (x_test, y_test) = mnist.load_data(sys.argv[1])
x_train, x_test = x_train[:400, 3:-1:3, 3:-1:3] / 255., x_test[:, 3:-1:3, 3:-1:3] / 255.
y_train = np_utils.to_categorical(y_train[:400], num_classes)
y_test = np_utils.to_categorical(y_test, num_classes)


def make_model(dense_layer_sizes, dropout_rate=0.1):
    model = Sequential()
    model.add(Flatten(input_shape=x_train.shape[1:]))
    for layer_size in dense_layer_sizes:
        model.add(Dense(layer_size))
        model.add(Activation('relu'))
    model.add(Dropout(dropout_rate))
    model.add(Dense(num_classes))
    model.add(Activation('softmax'))
    model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
    return model


dense_size_candidates = [[2], [32]]
my_classifier = KerasClassifier(make_model, batch_size=32, verbose=0)
validator = GridSearchCV(my_classifier,
                         param_grid={'dense_layer_sizes': dense_size_candidates, 'epochs': [2, 8]},
                         scoring='neg_log_loss', n_jobs=1, cv=2)
validator.fit(x_train, y_train)
print('The parameters of the best model are: ')
print(validator.best_params_)
best_model = validator.best_estimator_.model
metric_names = best_model.metrics_names
metric_values = best_model.evaluate(x_test, y_test, verbose=0)
for metric, value in zip(metric_names, metric_values):
    print('%s: %.4f' % (metric, value))
