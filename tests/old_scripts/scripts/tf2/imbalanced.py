"""Rare cases: metrics of yes and no over an epoch, class weights, a metric of one's own."""
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K

METRICS = [
    keras.metrics.TruePositives(name='tp'),
    keras.metrics.FalsePositives(name='fp'),
    keras.metrics.TrueNegatives(name='tn'),
    keras.metrics.FalseNegatives(name='fn'),
    keras.metrics.BinaryAccuracy(name='accuracy'),
    keras.metrics.Precision(name='precision'),
    keras.metrics.Recall(name='recall'),
    keras.metrics.AUC(name='auc'),
]


class F1(keras.metrics.Metric):
    def __init__(self, name='f1', **kwargs):
        super(F1, self).__init__(name=name, **kwargs)
        self.hits = self.add_weight(name='hits', initializer='zeros')
        self.said = self.add_weight(name='said', initializer='zeros')

    def update_state(self, y_true, y_pred, sample_weight=None):
        guess = K.round(y_pred)
        self.hits.assign_add(2. * K.sum(guess * y_true))
        self.said.assign_add(K.sum(guess) + K.sum(y_true))

    def result(self):
        return self.hits / (self.said + K.epsilon())

    def reset_states(self):
        self.hits.assign(0.)
        self.said.assign(0.)


tf.random.set_seed(0)
np.random.seed(0)
x = np.random.normal(size=(1000, 5))
y = (x[:, 0] + x[:, 1] > 2.).astype('float32')
model = keras.Sequential([
    keras.layers.Dense(16, activation='relu', input_shape=(5,)),
    keras.layers.Dense(1, activation=tf.nn.sigmoid, bias_initializer=tf.keras.initializers.Constant(-2.)),
])
model.compile(optimizer=keras.optimizers.Adam(learning_rate=1e-2), loss=keras.losses.BinaryCrossentropy(),
              metrics=METRICS + [F1()])
model.fit(x[:800], y[:800], batch_size=64, epochs=10, verbose=0, class_weight={0: 1., 1: 3.},
          validation_data=(x[800:], y[800:]))
found = dict(zip(model.metrics_names, model.evaluate(x, y, batch_size=300, verbose=0)))
said = model.predict(x)[:, 0] > .5
truth = y > .5
tp, fp, fn = (said & truth).sum(), (said & ~truth).sum(), (~said & truth).sum()
print((found['tp'], found['fp'], found['fn']) == (tp, fp, fn), found['tn'] == 1000 - tp - fp - fn)
print(np.allclose([found['precision'], found['recall'], found['f1']],
                  [tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)], atol=1e-5))
print('AUC: %.4f' % found['auc'])
