"""The engines that symgraph is compared with, each in an environment of its own (see the Makefile)."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.harness import Engine

_FOLDER = Path(os.environ.get("SYMGRAPH_PEERS", ".venv/peers"))


def torch_python() -> str | None:
    """The interpreter of PyTorch's environment, if that exists."""
    python = _FOLDER / "torch" / "bin" / "python"
    return str(python) if python.exists() else None


def ours() -> Engine:
    """symgraph, in the environment that runs the benchmark."""
    return Engine("symgraph", "benchmarks.engines.symgraph_engine")


def peers(chosen: str = "all") -> list[Engine]:
    """The peers whose environments exist.

    `chosen` is a comma-separated list of name beginnings, or ``all``.
    """
    torch, tensorflow, jax = (
        str(_FOLDER / name / "bin" / "python") for name in ("torch", "tensorflow", "jax")
    )
    known = [
        Engine("torch eager nchw", "benchmarks.engines.torch_engine", torch, {"TORCH_VARIANT": "nchw"}),
        Engine("torch eager nhwc", "benchmarks.engines.torch_engine", torch, {"TORCH_VARIANT": "nhwc"}),
        Engine("torch.compile", "benchmarks.engines.torch_engine", torch, {"TORCH_VARIANT": "compile"}),
        Engine(
            "tensorflow/keras",
            "benchmarks.engines.keras3_engine",
            tensorflow,
            {"KERAS_BACKEND": "tensorflow"},
        ),
        Engine("jax/keras", "benchmarks.engines.keras3_engine", jax, {"KERAS_BACKEND": "jax"}),
    ]
    wanted = None if chosen == "all" else chosen.split(",")
    present = [e for e in known if Path(e.python).exists()]
    return [e for e in present if wanted is None or any(e.name.startswith(w) for w in wanted)]


def onnxruntime() -> list[Engine]:
    """onnxruntime, which only predicts, with ResNet50; nothing where its environment does not exist."""
    engine = Engine(
        "onnxruntime",
        "benchmarks.engines.onnxruntime_resnet50",
        str(_FOLDER / "onnxruntime" / "bin" / "python"),
    )
    return [engine] if Path(engine.python).exists() else []
