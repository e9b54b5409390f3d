"""A graph of two inputs and two outputs, in the spelling of Keras 0.3."""

import numpy as np

from keras.layers.core import Dense, Dropout
from keras.layers.embeddings import Embedding
from keras.layers.recurrent import LSTM
from keras.models import Graph

np.random.seed(2)
n = 192
words = np.random.randint(1, 10, (n, 6))
numbers = np.random.normal(size=(n, 4))
has_seven = (words == 7).any(axis=1).astype("float32")[:, None]
total = numbers.sum(axis=1, keepdims=True)

graph = Graph()
graph.add_input(name="words", input_shape=(6,), dtype="int")
graph.add_input(name="numbers", input_shape=(4,))
graph.add_node(Embedding(10, 8, input_length=6), name="embedding", input="words")
graph.add_node(LSTM(12), name="lstm", input="embedding")
graph.add_node(Dense(8, activation="tanh"), name="dense", input="numbers")
graph.add_node(Dropout(0.1), name="dropout", inputs=["lstm", "dense"], merge_mode="concat")
graph.add_node(Dense(1, activation="sigmoid"), name="seven", input="dropout")
graph.add_node(Dense(1), name="sum", inputs=["dense", "numbers"])
graph.add_output(name="has_seven", input="seven")
graph.add_output(name="total", input="sum")
graph.compile("adam", {"has_seven": "binary_crossentropy", "total": "mse"})

data = {"words": words, "numbers": numbers, "has_seven": has_seven, "total": total}
before = graph.evaluate(data)
history = graph.fit(data, batch_size=16, nb_epoch=24, verbose=0)
after = graph.evaluate(data)
predictions = graph.predict({"words": words, "numbers": numbers}, batch_size=32)
one_batch = graph.train_on_batch({name: array[:16] for name, array in data.items()})
accuracy = np.mean((predictions["has_seven"] > 0.5) == has_seven)

result = {
    "before": before,
    "after": after,
    "predictions": predictions,
    "accuracy": accuracy,
    "data": data,
    "history": history.history,
    "batch": one_batch,
    "graph": graph,
}
