"""Keras' replication of models on graphics cards, of which there are none here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn


def multi_gpu_model(
    model: Any, gpus: int | Sequence[int] | None = None, cpu_merge: bool = True, cpu_relocation: bool = False
) -> NoReturn:
    """Refused, in the words of Keras on a machine without graphics cards: scripts catch this and go on.

    Parameters
    ----------
    model : Model
    gpus : int or sequence of int
    cpu_merge, cpu_relocation : bool

    Raises
    ------
    ValueError
    """
    numbers = list(range(gpus or 0) if isinstance(gpus, int | None) else gpus)
    if len(numbers) < 2:
        what, got = ("len(gpus)", gpus) if numbers and gpus != 1 else ("gpus", len(numbers))
        raise ValueError(
            f"For multi-gpu usage to be effective, call `multi_gpu_model` with `{what} >= 2`. "
            f"Received: `gpus={got}`"
        )
    wanted = ["/cpu:0", *(f"/gpu:{number}" for number in numbers)]
    raise ValueError(
        f"To call `multi_gpu_model` with `gpus={gpus}`, we expect the following devices to be available: "
        f"{wanted}. However this machine only has: ['/cpu:0']. Try reducing `gpus`."
    )
