'''Saliency maps by K.gradients and K.function, and a filter's favourite picture by gradient ascent.'''
from __future__ import print_function
import numpy as np
from keras import backend as K
from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential

np.random.seed(11)
x = np.random.uniform(0, 1, (400, 8, 8, 1))
# The class is told by one pixel alone.
y = (x[:, 2, 5, 0] > 0.5).astype('int')

model = Sequential()
model.add(Conv2D(6, (3, 3), padding='same', activation='relu', input_shape=(8, 8, 1), name='conv'))
model.add(Flatten())
model.add(Dropout(0.1))
model.add(Dense(24, activation='relu'))
model.add(Dense(2, activation='softmax', name='preds'))
model.compile('adam', 'sparse_categorical_crossentropy', metrics=['acc'])
model.fit(x, y, epochs=30, batch_size=32, verbose=0)
print('accuracy: %.3f' % model.evaluate(x, y, verbose=0)[1])


def compile_saliency_function(model, layer_name='preds'):
    layer_dict = dict([(layer.name, layer) for layer in model.layers])
    inp = model.layers[0].input
    outp = layer_dict[layer_name].output
    max_outp = K.max(outp, axis=1)
    saliency = K.gradients(K.sum(max_outp), inp)[0]
    max_class = K.argmax(outp, axis=1)
    return K.function([inp, K.learning_phase()], [saliency, max_class])


sal_fn = compile_saliency_function(model)
sal, classes = sal_fn([x[:64], 0])
where = np.unravel_index(np.abs(sal).mean(axis=0).argmax(), x.shape[1:])
print('most salient pixel:', tuple(int(i) for i in where[:2]))

# gradient ascent in input space
input_img = model.input
loss = K.mean(model.get_layer('conv').output[:, :, :, 0])
grads = K.gradients(loss, input_img)[0]
grads /= (K.sqrt(K.mean(K.square(grads))) + 1e-5)
iterate = K.function([input_img], [loss, grads])
input_img_data = np.random.random((1, 8, 8, 1)) * 0.1 + 0.5
first = iterate([input_img_data])[0]
for i in range(20):
    loss_value, grads_value = iterate([input_img_data])
    input_img_data += grads_value * 0.1
print('activation: %.3f -> %.3f' % (first, loss_value))
