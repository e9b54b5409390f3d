"""Gradient ascent on pixels, in octaves: what `symgraph.models.deep_dream` dreams with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from symgraph import backend as K

Tensor = Any
# Of pictures (n, rows, columns, channels): a score for each, and how to change it.
Climb = Callable[[np.ndarray], list[np.ndarray]]


def climber(image: Tensor, score: Tensor, *given: Tensor) -> K.Function:
    """A function of pictures, and what else is `given`: the score of each, and how to change it to climb.

    Gradients are scaled to a mean size of 1, so that one rate suits all layers and pictures.
    """
    (gradient,) = K.gradients(score, [image])
    gradient /= K.mean(K.abs(gradient), axis=(1, 2, 3), keepdims=True) + K.epsilon()
    # The phase of testing is fed: nothing is dropped out, and BatchNormalization uses its moving averages.
    return K.function([image, *given, K.learning_phase()], [score, gradient])


def resize(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pictures (n, rows, columns, channels) of any numbers in another size (rows, columns)."""
    planes = [Image.fromarray(plane) for plane in np.moveaxis(x, -1, 1).reshape(-1, *x.shape[1:3])]
    resized = [np.asarray(plane.resize(size[::-1], Image.Resampling.BICUBIC)) for plane in planes]
    return np.moveaxis(np.reshape(resized, (len(x), x.shape[-1], *size)), 1, -1)


def ascend(
    climb: Climb, x: np.ndarray, steps: int, rate: float, fade: float, rng: Any
) -> tuple[np.ndarray, list]:
    """Pixels after so many steps, from 0 to 1, and the mean score before each of them.

    The picture is moved a little, another way in each step, so that no grid of the network shows; and it
    fades: what no gradient brings back disappears.
    """
    scores = []
    reach = max(1, max(x.shape[1:3]) // 32)
    for _ in range(steps):
        shift = rng.randint(-reach, reach + 1, 2)
        score, gradient = climb(np.roll(x, shift, (1, 2)))
        scores.append(float(score.mean()))
        x = np.clip((x + rate * np.roll(gradient, -shift, (1, 2))) * (1 - fade), 0, 1)
    return x, scores


def dream(
    climb: Climb,
    pictures: np.ndarray,
    octaves: int,
    scale: float,
    steps: int,
    rate: float,
    fade: float = 0.0,
    seed: int = 0,
    smallest: int = 8,
) -> np.ndarray:
    """Let pictures climb: first small, then larger by `scale` in each octave, in the last one as they are.

    Parameters
    ----------
    climb : function
        Of pictures, as `climber` makes it.
    pictures : ndarray
        (n, rows, columns, channels), 0 to 1.
    octaves, scale, steps : int, float, int
        Sizes, the factor between them, and steps at each.
    rate, fade : float
        Mean change of a pixel in a step, and the part of it that is lost in each.
    seed : int
        Of the movements.
    smallest : int
        Octaves with fewer rows or columns are left out, but for the last.

    Returns
    -------
    ndarray
        Of the shape of `pictures`, 0 to 1.
    """
    rng = np.random.RandomState(seed)
    dreamt = np.zeros_like(pictures)
    rows, columns = pictures.shape[1:3]
    for octave in range(octaves):
        shrunk = scale ** (octave + 1 - octaves)
        size = round(rows * shrunk), round(columns * shrunk)
        if min(size) < smallest and octave < octaves - 1:
            continue
        picture = resize(pictures, size)
        x, scores = ascend(climb, picture + resize(dreamt, size), steps, rate, fade, rng)
        print(f"Octave {octave + 1}, {size[0]} x {size[1]}: {scores[0]:.4g} -> {scores[-1]:.4g}")
        dreamt = x - picture
    return picture + dreamt
