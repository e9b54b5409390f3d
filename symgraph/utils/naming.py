"""Names of layers that were given none."""

from __future__ import annotations

import re

from symgraph import backend as K
from symgraph.globals import TF_KERAS, answers_as


def default_name(class_name: str) -> str:
    """`dense_1`, `conv2d_2`: the class in snake case and the next number of this class.

    In the manners of tf.keras the first is `dense` and the second `dense_1`.
    """
    return _numbered(_to_snake_case(class_name), class_name)


def default_network_name(class_name: str) -> str:
    """`model_1`, `mynet_2`: as `default_name`, but Keras writes the class without underscores."""
    snake = _to_snake_case(class_name) if answers_as() == TF_KERAS else class_name.lower()
    return _numbered(snake, class_name.lower())


def _numbered(base: str, counter: str) -> str:
    number = K.get_uid(counter)
    if answers_as() == TF_KERAS:
        return base if number == 1 else f"{base}_{number - 1}"
    return f"{base}_{number}"


def _to_snake_case(name: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return "private" + snake if snake.startswith("_") else snake
