"""A convolutional network in the spelling of tf.keras."""
import os
import sys

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '2'

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers, models, optimizers
from tensorflow.keras import backend as K
from tensorflow.keras.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from tensorflow.keras.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten
from tensorflow.keras.layers import MaxPooling2D
from tensorflow.keras.models import Sequential, load_model
from tensorflow.keras.preprocessing.image import ImageDataGenerator
from tensorflow.keras.utils import to_categorical

print('GPUs:', len(tf.config.experimental.list_physical_devices('GPU')))
tf.random.set_seed(4)
np.random.seed(4)

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data(sys.argv[1])
x_train = x_train[..., tf.newaxis] / 255.0 if hasattr(tf, 'newaxis') else x_train[..., np.newaxis] / 255.0
x_test = x_test[..., np.newaxis] / 255.0
y_train, y_test = to_categorical(y_train), to_categorical(y_test)

model = Sequential([
    Conv2D(8, (3, 3), strides=2, input_shape=x_train.shape[1:]),
    BatchNormalization(),
    Activation('relu'),
    Conv2D(16, 3, activation='relu'),
    MaxPooling2D(),
    Flatten(),
    Dropout(0.2),
    Dense(10, activation='softmax'),
])
model.summary()
model.compile(optimizer=optimizers.Adam(learning_rate=0.01), loss='categorical_crossentropy',
              metrics=['accuracy'])
callbacks = [
    EarlyStopping(monitor='val_loss', patience=3),
    ReduceLROnPlateau(monitor='val_accuracy', factor=0.5, patience=2, min_lr=1e-4),
    ModelCheckpoint('best.h5', monitor='val_accuracy', save_best_only=True),
]
batches = ImageDataGenerator(width_shift_range=0.05).flow(x_train, y_train, batch_size=32, seed=1)
history = model.fit(batches, steps_per_epoch=len(x_train) // 32, epochs=4, verbose=2,
                    validation_data=(x_test, y_test), callbacks=callbacks)
print('validation accuracy', history.history['val_accuracy'][-1])

best = load_model('best.h5')
loss, acc = best.evaluate(x_test, y_test, verbose=0)
print('Test accuracy: %.4f' % acc)
print([layer.name for layer in best.layers][:4], isinstance(best, tf.keras.Model))
