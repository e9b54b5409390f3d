"""The engines that symgraph is compared with, each in an environment of its own (see the Makefile)."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.harness import Engine

_FOLDER = Path(os.environ.get("SYMGRAPH_PEERS", ".venv/peers"))


def torch_python() -> str | None:
    """The interpreter of PyTorch's environment, if that exists."""
    python = _python("torch")
    return python if Path(python).exists() else None


def ours(part: str = "engine") -> Engine:
    """symgraph, in the environment that runs the benchmark."""
    return Engine("symgraph", f"benchmarks.engines.symgraph_{part}")


def peers(chosen: str = "all", part: str = "engine") -> list[Engine]:
    """The peers whose environments exist.

    `chosen` is a comma-separated list of name beginnings, or ``all``; `part` is what their modules are for:
    ``engine`` (the workloads) or ``network``.
    """
    torch, keras = f"benchmarks.engines.torch_{part}", f"benchmarks.engines.keras3_{part}"
    return _present(
        [
            Engine("torch eager nchw", torch, _python("torch"), {"TORCH_VARIANT": "nchw"}),
            Engine("torch eager nhwc", torch, _python("torch"), {"TORCH_VARIANT": "nhwc"}),
            Engine("torch.compile", torch, _python("torch"), {"TORCH_VARIANT": "compile"}),
            Engine("tensorflow/keras", keras, _python("tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
            Engine("jax/keras", keras, _python("jax"), {"KERAS_BACKEND": "jax"}),
        ],
        chosen,
    )


def predicting_peers(chosen: str = "all") -> list[Engine]:
    """Those that only predict, with the ready networks."""
    engine = Engine("onnxruntime", "benchmarks.engines.onnxruntime_network", _python("onnxruntime"))
    return _present([engine], chosen)


def _python(environment: str) -> str:
    return str(_FOLDER / environment / "bin" / "python")


def _present(known: list[Engine], chosen: str) -> list[Engine]:
    wanted = [""] if chosen == "all" else chosen.split(",")
    return [e for e in known if Path(e.python).exists() and any(e.name.startswith(w) for w in wanted)]
