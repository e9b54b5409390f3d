"""Names of layers that were given none."""

from __future__ import annotations

import re

from symgraph import backend as K


def default_name(class_name: str) -> str:
    """`dense_1`, `conv2d_2`: the class in snake case and the next number of this class."""
    return f"{_to_snake_case(class_name)}_{K.get_uid(class_name)}"


def _to_snake_case(name: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return "private" + snake if snake.startswith("_") else snake
