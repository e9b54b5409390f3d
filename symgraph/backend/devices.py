"""What this engine computes on: the processor alone."""

from __future__ import annotations


def _get_available_gpus() -> list[str]:
    """The names of graphics cards that Keras' scripts ask for before they use `multi_gpu_model`: none."""
    return []
