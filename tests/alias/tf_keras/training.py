import json
import numpy as np
from tensorflow.keras import backend as K
from tensorflow.keras import layers, models, optimizers, regularizers

K.clear_session()


def filled(*parts):
    model = models.Sequential(list(parts))
    draw = np.random.RandomState(1)
    model.set_weights([draw.uniform(0.1, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def figures(*values):
    return [round(float(value), 6) for part in values for value in np.ravel(part)]


x = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]], 'float32')
y = np.array([[1.0], [0.0], [1.0]], 'float32')
weights = np.array([0.0, 2.0, 5.0])
facts = {}


def trained(name, model, loss, optimizer='sgd', **kwargs):
    model.compile(optimizer, loss)
    losses = [model.train_on_batch(x, y, **kwargs) for _ in range(3)]
    facts[name] = figures(losses, *model.get_weights())


def dense(**kwargs):
    return filled(layers.Dense(1, input_shape=(2,), **kwargs))


for name in ('sgd', 'rmsprop', 'adagrad', 'adadelta', 'adam', 'adamax', 'nadam'):
    trained(name, dense(), 'mse', name)
trained('Adagrad', dense(), 'mse', optimizers.Adagrad())
trained('clipnorm', dense(), 'mse', optimizers.SGD(learning_rate=0.1, clipnorm=0.5))
trained('hinge', dense(), 'hinge')
trained('squared_hinge', dense(), 'squared_hinge')
trained('sample_weight', dense(), 'mse', sample_weight=weights)
trained('class_weight', dense(), 'mse', class_weight={0: 0.0, 1: 3.0})
trained('activity', dense(activity_regularizer=regularizers.l2(0.1)), 'mse')
trained('norm', filled(layers.Dense(4, input_shape=(2,)), layers.BatchNormalization(), layers.Dense(1)), 'mse')
picture = filled(layers.Reshape((2, 1, 1), input_shape=(2,)), layers.BatchNormalization(), layers.Flatten(),
                 layers.Dense(1))
trained('picture', picture, 'mse')

model = dense()
model.compile(optimizers.SGD(learning_rate=0.1), 'mse')
model.train_on_batch(x, y)
model.optimizer.lr = 0.01
model.train_on_batch(x, y)
facts['lr'] = figures(K.get_value(model.optimizer.learning_rate), *model.get_weights())

steps = np.array([[1, 2, 0], [3, 0, 0]])
model = filled(layers.Embedding(4, 2, mask_zero=True, input_length=3), layers.LSTM(2, return_sequences=True))
model.compile('sgd', 'mse', weighted_metrics=['mae'])
facts['masked'] = figures(model.train_on_batch(steps, np.ones((2, 3, 2)), sample_weight=np.array([1.0, 3.0])),
                          *model.get_weights())
print(json.dumps(facts))
