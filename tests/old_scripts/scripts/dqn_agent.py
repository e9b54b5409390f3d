'''A DQN agent in the manner of keras-rl: checks of the model, a masked loss, a target network.'''
from __future__ import division, print_function
from collections import deque
from copy import deepcopy
import random
import numpy as np
import keras.backend as K
from keras.layers import Lambda, Input, Dense, Activation, Flatten
from keras.models import Model, Sequential, model_from_config
from keras import optimizers


class Corridor(object):
    """Seven cells; the reward is at the right end."""
    size = 7

    def reset(self):
        self.at = 3
        return self.observe()

    def observe(self):
        return np.eye(self.size)[self.at]

    def step(self, action):
        self.at += 1 if action == 1 else -1
        done = self.at in (0, self.size - 1)
        return self.observe(), float(self.at == self.size - 1), done


def clone_model(model, custom_objects={}):
    config = {'class_name': model.__class__.__name__, 'config': model.get_config()}
    clone = model_from_config(config, custom_objects=custom_objects)
    clone.set_weights(model.get_weights())
    return clone


def huber_loss(y_true, y_pred, clip_value):
    x = y_true - y_pred
    if np.isinf(clip_value):
        return .5 * K.square(x)
    condition = K.abs(x) < clip_value
    squared_loss = .5 * K.square(x)
    linear_loss = clip_value * (K.abs(x) - .5 * clip_value)
    if K.backend() == 'tensorflow':
        if hasattr(K, 'tf') and hasattr(K.tf, 'select'):
            return K.tf.select(condition, squared_loss, linear_loss)
        return K.switch(condition, squared_loss, linear_loss)
    raise RuntimeError('Unknown backend "{}".'.format(K.backend()))


class DQNAgent(object):
    def __init__(self, model, nb_actions, gamma=.9, delta_clip=1., target_model_update=50):
        # Validate (important) input.
        if hasattr(model.output, '__len__') and len(model.output) > 1:
            raise ValueError('Model "{}" has more than one output. DQN expects a model that has a single '
                             'output.'.format(model))
        if model.output._keras_shape != (None, nb_actions):
            raise ValueError('Model output "{}" has invalid shape.'.format(model.output))
        self.model, self.nb_actions, self.gamma = model, nb_actions, gamma
        self.delta_clip, self.target_model_update = delta_clip, target_model_update
        self.memory = deque(maxlen=500)
        self.updates = 0

    def compile(self, optimizer, metrics=[]):
        # We never train the target model, hence we can set the optimizer and loss arbitrarily.
        self.target_model = clone_model(self.model)
        self.target_model.compile(optimizer='sgd', loss='mse')
        self.model.compile(optimizer='sgd', loss='mse')

        def clipped_masked_error(args):
            y_true, y_pred, mask = args
            loss = huber_loss(y_true, y_pred, self.delta_clip)
            loss *= mask
            return K.sum(loss, axis=-1)

        y_pred = self.model.output
        y_true = Input(name='y_true', shape=(self.nb_actions,))
        mask = Input(name='mask', shape=(self.nb_actions,))
        loss_out = Lambda(clipped_masked_error, output_shape=(1,), name='loss')([y_pred, y_true, mask])
        ins = [self.model.input] if type(self.model.input) is not list else self.model.input
        trainable_model = Model(inputs=ins + [y_true, mask], outputs=[loss_out, y_pred])
        assert len(trainable_model.output_names) == 2
        combined_metrics = {trainable_model.output_names[1]: metrics}
        losses = [
            lambda y_true, y_pred: y_pred,  # loss is computed in Lambda layer
            lambda y_true, y_pred: K.zeros_like(y_pred),  # we only include this for the metrics
        ]
        trainable_model.compile(optimizer=optimizer, loss=losses, metrics=combined_metrics)
        self.trainable_model = trainable_model

    def backward(self, batch_size=32):
        batch = random.sample(list(self.memory), batch_size)
        state0, action, reward, state1, done = [np.array(part) for part in zip(*batch)]
        target_q = self.target_model.predict_on_batch(state1[:, None]).max(axis=1)
        targets = np.zeros((batch_size, self.nb_actions))
        masks = np.zeros((batch_size, self.nb_actions))
        dummy_targets = np.zeros((batch_size,))
        for i in range(batch_size):
            targets[i, action[i]] = reward[i] + self.gamma * target_q[i] * (1. - done[i])
            dummy_targets[i] = targets[i, action[i]]
            masks[i, action[i]] = 1.
        metrics = self.trainable_model.train_on_batch([state0[:, None], targets, masks],
                                                      [dummy_targets, targets])
        self.updates += 1
        if self.updates % self.target_model_update == 0:
            self.target_model.set_weights(self.model.get_weights())
        return metrics

    def fit(self, env, episodes):
        for episode in range(episodes):
            state, done = env.reset(), False
            while not done:
                q = self.model.predict_on_batch(state[None, None])[0]
                action = random.randrange(2) if random.random() < 0.4 else int(q.argmax())
                after, reward, done = env.step(action)
                self.memory.append((state, action, reward, after, float(done)))
                state = after
                if len(self.memory) >= 32:
                    self.backward()


def mean_q(y_true, y_pred):
    return K.mean(K.max(y_pred, axis=-1))


random.seed(8)
np.random.seed(8)
env = Corridor()
model = Sequential()
model.add(Flatten(input_shape=(1, env.size)))
model.add(Dense(16))
model.add(Activation('relu'))
model.add(Dense(2))
model.add(Activation('linear'))
dqn = DQNAgent(model=model, nb_actions=2)
dqn.compile(optimizers.Adam(lr=1e-2), metrics=['mae', mean_q])
print(dqn.trainable_model.metrics_names)
dqn.fit(env, 70)
q = model.predict(np.eye(env.size)[1:-1, None])
print('Q right of the cell before the end: %.3f' % q[-1, 1])
print('policy:', ''.join('<>'[int(a)] for a in q.argmax(axis=1)))
