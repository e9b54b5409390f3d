'''A U-Net that finds bright discs, fed by a generator that augments pictures and masks alike.'''
from __future__ import print_function
import os
import numpy as np
from keras.models import *
from keras.layers import *
from keras.optimizers import *
from keras import backend as keras
from keras.callbacks import ModelCheckpoint, LearningRateScheduler
from keras.preprocessing.image import ImageDataGenerator, array_to_img, img_to_array, load_img

size = 16
smooth = 1.


def dice_coef(y_true, y_pred):
    y_true_f = keras.flatten(y_true)
    y_pred_f = keras.flatten(y_pred)
    intersection = keras.sum(y_true_f * y_pred_f)
    return (2. * intersection + smooth) / (keras.sum(y_true_f) + keras.sum(y_pred_f) + smooth)


def dice_coef_loss(y_true, y_pred):
    return -dice_coef(y_true, y_pred)


def write_pictures(folder, count):
    rows, columns = np.mgrid[:size, :size]
    for kind in ('image', 'label'):
        os.makedirs(os.path.join(folder, kind))
    for i in range(count):
        r, c, radius = np.random.uniform(4, size - 4, 2).tolist() + [np.random.uniform(2, 4)]
        mask = (rows - r) ** 2 + (columns - c) ** 2 < radius ** 2
        image = np.random.uniform(0, 110, mask.shape) + 140 * mask
        array_to_img(image[..., None], scale=False).save(os.path.join(folder, 'image', '%d.png' % i))
        array_to_img(mask[..., None] * 255., scale=False).save(os.path.join(folder, 'label', '%d.png' % i))


def adjustData(img, mask):
    if np.max(img) > 1:
        img = img / 255
        mask = mask / 255
        mask[mask > 0.5] = 1
        mask[mask <= 0.5] = 0
    return (img, mask)


def trainGenerator(batch_size, train_path, aug_dict, target_size=(size, size), seed=1):
    image_datagen = ImageDataGenerator(**aug_dict)
    mask_datagen = ImageDataGenerator(**aug_dict)
    image_generator = image_datagen.flow_from_directory(
        train_path, classes=['image'], class_mode=None, color_mode='grayscale',
        target_size=target_size, batch_size=batch_size, seed=seed)
    mask_generator = mask_datagen.flow_from_directory(
        train_path, classes=['label'], class_mode=None, color_mode='grayscale',
        target_size=target_size, batch_size=batch_size, seed=seed)
    train_generator = zip(image_generator, mask_generator)
    for (img, mask) in train_generator:
        img, mask = adjustData(img, mask)
        yield (img, mask)


def unet(pretrained_weights=None, input_size=(size, size, 1)):
    inputs = Input(input_size)
    conv1 = Conv2D(8, 3, activation='relu', padding='same', kernel_initializer='he_normal')(inputs)
    conv1 = Conv2D(8, 3, activation='relu', padding='same', kernel_initializer='he_normal')(conv1)
    pool1 = MaxPooling2D(pool_size=(2, 2))(conv1)
    conv2 = Conv2D(16, 3, activation='relu', padding='same', kernel_initializer='he_normal')(pool1)
    drop2 = Dropout(0.1)(conv2)
    pool2 = MaxPooling2D(pool_size=(2, 2))(drop2)
    conv3 = Conv2D(16, 3, activation='relu', padding='same', kernel_initializer='he_normal')(pool2)
    up4 = Conv2D(16, 2, activation='relu', padding='same')(UpSampling2D(size=(2, 2))(conv3))
    merge4 = concatenate([drop2, up4], axis=3)
    conv4 = Conv2D(16, 3, activation='relu', padding='same')(merge4)
    up5 = Conv2DTranspose(8, 2, strides=2, padding='same')(conv4)
    merge5 = concatenate([conv1, up5], axis=3)
    conv5 = Conv2D(8, 3, activation='relu', padding='same')(merge5)
    conv6 = Conv2D(1, 1, activation='sigmoid')(conv5)
    model = Model(inputs=inputs, outputs=conv6)
    model.compile(optimizer=Adam(lr=1e-2), loss=dice_coef_loss, metrics=[dice_coef])
    if pretrained_weights:
        model.load_weights(pretrained_weights)
    return model


np.random.seed(12)
write_pictures('membrane', 40)
data_gen_args = dict(rotation_range=10, width_shift_range=0.05, height_shift_range=0.05,
                     horizontal_flip=True, fill_mode='nearest')
myGene = trainGenerator(8, 'membrane', data_gen_args)
model = unet()
model_checkpoint = ModelCheckpoint('unet_membrane.hdf5', monitor='loss', verbose=1, save_best_only=True)
model.fit_generator(myGene, steps_per_epoch=10, epochs=6, verbose=2, callbacks=[model_checkpoint])
again = unet(pretrained_weights='unet_membrane.hdf5')
img, mask = next(trainGenerator(40, 'membrane', dict(), seed=3))
print('dice: %.3f' % again.evaluate(img, mask, verbose=0)[1])
