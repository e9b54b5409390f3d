'''A generative adversarial network on one-dimensional data, with the discriminator switched on and off.'''
from __future__ import print_function, division
import numpy as np
from keras.layers import Input, Dense
from keras.layers.advanced_activations import LeakyReLU
from keras.layers import BatchNormalization, Dropout
from keras.models import Sequential, Model
from keras.optimizers import Adam


class GAN():
    def __init__(self):
        self.latent_dim = 4
        optimizer = Adam(0.01, 0.5)

        self.discriminator = self.build_discriminator()
        self.discriminator.compile(loss='binary_crossentropy', optimizer=optimizer, metrics=['accuracy'])
        self.generator = self.build_generator()
        z = Input(shape=(self.latent_dim,))
        img = self.generator(z)

        # For the combined model we will only train the generator
        self.discriminator.trainable = False
        validity = self.discriminator(img)
        self.combined = Model(z, validity)
        self.combined.compile(loss='binary_crossentropy', optimizer=Adam(0.01, 0.5))

    def build_generator(self):
        model = Sequential()
        model.add(Dense(16, input_dim=self.latent_dim))
        model.add(LeakyReLU(alpha=0.2))
        model.add(BatchNormalization(momentum=0.8))
        model.add(Dense(2))
        noise = Input(shape=(self.latent_dim,))
        return Model(noise, model(noise))

    def build_discriminator(self):
        model = Sequential()
        model.add(Dense(24, input_dim=2))
        model.add(LeakyReLU(alpha=0.2))
        model.add(Dropout(0.1))
        model.add(Dense(1, activation='sigmoid'))
        img = Input(shape=(2,))
        return Model(img, model(img))

    def train(self, epochs, batch_size=64):
        valid = np.ones((batch_size, 1))
        fake = np.zeros((batch_size, 1))
        for epoch in range(epochs):
            imgs = np.random.normal((3., -2.), 0.5, (batch_size, 2))
            noise = np.random.normal(0, 1, (batch_size, self.latent_dim))
            gen_imgs = self.generator.predict(noise)
            d_loss_real = self.discriminator.train_on_batch(imgs, valid)
            d_loss_fake = self.discriminator.train_on_batch(gen_imgs, fake)
            d_loss = 0.5 * np.add(d_loss_real, d_loss_fake)

            before = self.discriminator.get_weights()
            noise = np.random.normal(0, 1, (batch_size, self.latent_dim))
            g_loss = self.combined.train_on_batch(noise, valid)
            after = self.discriminator.get_weights()
            assert all((a == b).all() for a, b in zip(before, after))
            if epoch % 100 == 0:
                print("%d [D loss: %f, acc.: %.2f%%] [G loss: %f]" % (epoch, d_loss[0], 100*d_loss[1], g_loss))


if __name__ == '__main__':
    import warnings
    warnings.filterwarnings('ignore', 'Discrepancy between trainable weights')
    np.random.seed(5)
    gan = GAN()
    gan.train(epochs=301)
    made = gan.generator.predict(np.random.normal(0, 1, (500, 4)))
    print('generated mean: %.2f %.2f' % tuple(made.mean(axis=0)))
    print(len(gan.combined.trainable_weights), len(gan.discriminator._collected_trainable_weights))
