"""symgraph: a graph-compiling symbolic engine with Keras' API.

`import symgraph` loads nothing but this file; a part is loaded when its name is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "applications",
    "backend",
    "callbacks",
    "constraints",
    "convert",
    "datasets",
    "engine",
    "initializations",
    "initializers",
    "inspection",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "models",
    "numpy",
    "optimizers",
    "preprocessing",
    "regularizers",
    "utils",
    "wrappers",
)

_OBJECTS = {
    "Function": "compiler.function",
    "GradientError": "compiler.check_gradient",
    "In": "compiler.run.signature",
    "Input": "layers",
    "Lop": "graph.derivatives",
    "Model": "models",
    "Out": "compiler.run.signature",
    "Rop": "graph.derivatives",
    "RunMetadata": "compiler.observe.run_metadata",
    "RunOptions": "compiler.observe.run_metadata",
    "Sequential": "models",
    "Variable": "graph.leaves",
    "bitwise_and": "graph.ops.bits",
    "bitwise_not": "graph.ops.bits",
    "bitwise_or": "graph.ops.bits",
    "bitwise_xor": "graph.ops.bits",
    "check_gradient": "compiler.check_gradient",
    "cond": "graph.ops.cond",
    "constant": "graph.leaves",
    "custom_gradient": "graph.ops.custom_gradient",
    "from_graph": "graph.from_graph",
    "function": "compiler.function",
    "get_num_threads": "kernels.run.threads",
    "grad": "graph.derivatives",
    "gradients": "graph.gradient",
    "hessian": "graph.derivatives",
    "hessian_vector_product": "graph.derivatives",
    "inc_subtensor": "graph.ops.parts",
    "install_as_keras": "alias.install",
    "jacobian": "graph.derivatives",
    "jit": "compiler.jit",
    "jvp": "graph.derivatives",
    "left_shift": "graph.ops.bits",
    "nan_guard": "compiler.observe.guard",
    "op": "graph.ops.own",
    "placeholder": "graph.leaves",
    "right_shift": "graph.ops.bits",
    "fori": "graph.ops.loops",
    "scan": "graph.ops.loops",
    "while_loop": "graph.ops.loops",
    "nonzero": "graph.ops.chosen",
    "profile": "compiler.observe.profile",
    "scatter": "graph.ops.parts",
    "set_num_threads": "kernels.run.threads",
    "set_subtensor": "graph.ops.parts",
    "stop_gradient": "graph.ops.barrier",
    "strict_dtypes": "graph.strict",
    "tap": "compiler.observe.taps",
    "vectorize": "graph.vectorize",
    "vjp": "graph.derivatives",
    "watch": "graph.ops.host",
}

__all__ = ["__version__", *_MODULES, *_OBJECTS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _OBJECTS:
        return getattr(importlib.import_module(f"{__name__}.{_OBJECTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
