"""A first network of TensorFlow 2: scores, a loss of scores, probabilities, files."""
import sys

import numpy as np
import tensorflow as tf

print(tf.__version__.split('.')[0])
tf.random.set_seed(1)
with np.load(sys.argv[1]) as data:
    x_train, y_train, x_test, y_test = (data[k] for k in ('x_train', 'y_train', 'x_test', 'y_test'))
x_train, x_test = x_train / 255.0, x_test / 255.0

model = tf.keras.models.Sequential([
    tf.keras.layers.Flatten(input_shape=(28, 28)),
    tf.keras.layers.Dense(64, activation=tf.nn.relu, kernel_initializer=tf.keras.initializers.GlorotUniform(seed=3)),
    tf.keras.layers.Dropout(0.2),
    tf.keras.layers.Dense(10)
])
print(model.output.shape.as_list())
rate = tf.keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=20, decay_rate=0.9)
loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=rate), loss=loss_fn,
              metrics=['accuracy', tf.keras.metrics.SparseTopKCategoricalAccuracy(k=3, name='top3')])
history = model.fit(x_train, y_train, epochs=5, verbose=0, validation_data=(x_test, y_test), validation_freq=2)
print(sorted(history.history), len(history.history['val_top3']))
test_loss, test_acc, top3 = model.evaluate(x_test, y_test, verbose=2)
print('Test accuracy: %.4f' % test_acc)
print('Top 3: %.4f' % top3)
probability_model = tf.keras.Sequential([model, tf.keras.layers.Softmax()])
p = probability_model.predict(x_test)
print(np.allclose(p.sum(axis=1), 1, atol=1e-5), abs(np.mean(p.argmax(1) == y_test) - test_acc) < 1e-6)
model.save('model.h5')
again = tf.keras.models.load_model('model.h5')
print(np.allclose(again.evaluate(x_test, y_test, verbose=0), [test_loss, test_acc, top3]))
