"""A memory network on small stories, made of merged models, in the spelling of Keras 1."""

import numpy as np

from keras.layers import LSTM, Activation, Dense, Dropout, Embedding, Merge, Permute
from keras.models import Sequential
from keras.optimizers import RMSprop

np.random.seed(0)
people, places = 2, 4
story_maxlen, query_maxlen, vocab_size = 2 * people, people, 1 + people + places


def stories(n):
    """Everybody goes somewhere. Where is the one who is asked for (the query names nobody else)?"""
    story, query = np.zeros((n, story_maxlen), int), np.zeros((n, query_maxlen), int)
    answer = np.zeros((n, vocab_size))
    for row in range(n):
        who, where = np.random.permutation(people), np.random.randint(places, size=people)
        story[row, ::2], story[row, 1::2] = 1 + who, 1 + people + where
        asked = np.random.randint(people)
        query[row] = 1 + who[asked]
        answer[row, 1 + people + where[asked]] = 1
    return story, query, answer


inputs_train, queries_train, answers_train = stories(800)
inputs_test, queries_test, answers_test = stories(100)

input_encoder_m = Sequential()
input_encoder_m.add(Embedding(input_dim=vocab_size, output_dim=16, input_length=story_maxlen))
question_encoder = Sequential()
question_encoder.add(Embedding(input_dim=vocab_size, output_dim=16, input_length=query_maxlen))
match = Sequential()
match.add(Merge([input_encoder_m, question_encoder], mode="dot", dot_axes=[2, 2]))
input_encoder_c = Sequential()
input_encoder_c.add(Embedding(input_dim=vocab_size, output_dim=query_maxlen, input_length=story_maxlen))
input_encoder_c.add(Dropout(p=0.05))
response = Sequential()
response.add(Merge([match, input_encoder_c], mode="sum"))
response.add(Permute((2, 1)))
answer = Sequential()
# The questions are read a second time: there are three inputs, not four.
answer.add(Merge([response, question_encoder], mode="concat", concat_axis=-1))
answer.add(LSTM(32))
answer.add(Dense(vocab_size))
answer.add(Activation("softmax"))

answer.compile(optimizer=RMSprop(lr=0.01), loss="categorical_crossentropy", metrics=["accuracy"])
history = answer.fit(
    [inputs_train, queries_train, inputs_train],
    answers_train,
    batch_size=16,
    nb_epoch=6,
    verbose=0,
    validation_data=([inputs_test, queries_test, inputs_test], answers_test),
)
result = {
    "history": history.history,
    "model": answer,
    "inputs": [inputs_test, queries_test, inputs_test],
    "branches": question_encoder,
}
