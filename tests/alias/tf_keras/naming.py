import json
import numpy as np
from tensorflow.keras import Input, Model, backend as K, layers, models


class MyNet(Model):
    pass


K.clear_session()
lines = []
model = models.Sequential([layers.Conv2D(2, 3, input_shape=(8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(),
                           layers.Dense(2)])
model.summary(print_fn=lines.append)
x = Input((3,))
y, z = layers.Dense(1)(x), layers.Dense(1)(x)
joined = Model(x, layers.concatenate([y, z]))
names = [joined.name, Model(x, y).name, models.Sequential().name, MyNet().name, MyNet().name,
         layers.LSTM(2).name, layers.MaxPooling2D().name, x.name.split(':')[0],
         *(v.name for v in joined.weights)]
joined.compile('adam', 'mse', metrics=['accuracy', 'mae'])
history = joined.fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0, validation_split=0.5).history
lstm, gru = layers.LSTM(2).get_config(), layers.GRU(2).get_config()
print(json.dumps({
    'summary': '\n'.join(lines), 'names': names, 'metrics': joined.metrics_names, 'history': list(history),
    'activations': [lstm['recurrent_activation'], gru['recurrent_activation'], gru['reset_after']],
}))
