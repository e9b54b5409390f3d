"""What the stand-in has: names of TensorFlow with what they are here."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from symgraph import activations
from symgraph import backend as K
from symgraph import globals as state
from symgraph.alias.tensorflow.config import (
    ConfigProto,
    GPUOptions,
    Graph,
    InteractiveSession,
    PhysicalDevice,
)
from symgraph.alias.tensorflow.logs import LOGGING, get_logger, set_autograph_verbosity
from symgraph.backend.session import Action, Session, start_variables_anew
from symgraph.compiler.observe.run_metadata import RunMetadata, RunOptions
from symgraph.graph.tensor import Tensor
from symgraph.kernels.run.threads import get_num_threads, most_threads, set_num_threads

_VERSIONS = {1: "1.15.0", 2: "2.1.0"}


def _wanted_version() -> int:
    """That of `SYMGRAPH_TENSORFLOW`, else 2. ValueError for any other."""
    wanted = os.environ.get("SYMGRAPH_TENSORFLOW", "2")
    if wanted.partition(".")[0] not in ("1", "2"):
        raise ValueError(f"SYMGRAPH_TENSORFLOW: expected 1 or 2, got {wanted!r}")
    return int(wanted.partition(".")[0])


state.set_tensorflow_version(_wanted_version())
_VERSION = _VERSIONS[state.tensorflow_version()]


def set_random_seed(seed: int | None) -> None:
    """Draw the seeds of random tensors, and initial values, from a generator of this seed.

    numpy's own generator stays as it is; None: they are drawn from that one again.
    """
    state.set_random_source(None if seed is None else np.random.RandomState(int(seed) % (1 << 32)))


def device(name: Any) -> AbstractContextManager[None]:
    """A context in which nothing is different: there is one processor."""
    return nullcontext()


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """False: symgraph uses no GPU."""
    return False


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The processor, as one device; there is no GPU."""
    return [PhysicalDevice()] if device_type in (None, "CPU") else []


def list_local_devices(session_config: Any = None) -> list[PhysicalDevice]:
    """The processor, as one device."""
    return [PhysicalDevice()]


def set_threads(num_threads: int) -> None:
    """Set how many threads Functions use, at most as many as there are; 0 means all."""
    set_num_threads(min(int(num_threads), most_threads()) if num_threads else most_threads())


def _accepted(*args: Any, **kwargs: Any) -> None:
    """Accepted without an effect: it concerns TensorFlow's own machinery only."""


def _first_values(*args: Any, **kwargs: Any) -> Action:
    """What starts all variables anew, for `Session.run`."""
    return Action("init", start_variables_anew)


def _no_values(*args: Any, **kwargs: Any) -> Action:
    """What does nothing: there are no local variables and no tables."""
    return Action("no_op")


def _always(value: Any, *args: Any, **kwargs: Any) -> Any:
    return value


class _DType(str):
    """The name of a dtype, as `K.cast` and all arguments `dtype` take it."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name."""
        return str(self)

    @property
    def as_numpy_dtype(self) -> Any:
        """The type in numpy."""
        return np.dtype(str(self)).type


_DTYPES = ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16")
_DEVICES = {
    "list_physical_devices": list_physical_devices,
    "set_memory_growth": _accepted,
    "set_visible_devices": _accepted,
    "get_visible_devices": list_physical_devices,
}

#: What layers take as an activation: the functions of Keras, so that configurations hold their names.
_ACTIVATIONS: dict[str, Any] = {
    **{
        f"nn.{name}": getattr(activations, name)
        for name in (
            "elu", "leaky_relu", "relu", "relu6", "selu", "sigmoid", "softmax", "softplus", "softsign",
            "swish", "tanh",
        )
    },
    "sigmoid": activations.sigmoid,
    "tanh": activations.tanh,
    "math.sigmoid": activations.sigmoid,
    "math.tanh": activations.tanh,
}  # fmt: skip

#: In TensorFlow 1 and 2.
COMMON: dict[str, Any] = {
    "__version__": _VERSION,
    "version.VERSION": _VERSION,
    "Graph": Graph,
    "Tensor": Tensor,
    "device": device,
    "executing_eagerly": partial(_always, False),
    "get_logger": get_logger,
    "autograph.set_verbosity": set_autograph_verbosity,
    "name_scope": K.name_scope,
    "config.threading.set_intra_op_parallelism_threads": set_threads,
    "config.threading.get_intra_op_parallelism_threads": get_num_threads,
    "config.threading.set_inter_op_parallelism_threads": _accepted,
    "config.optimizer.set_jit": _accepted,
    "python.client.device_lib.list_local_devices": list_local_devices,
    "test.gpu_device_name": partial(_always, ""),
    "test.is_built_with_cuda": partial(_always, False),
    "test.is_gpu_available": is_gpu_available,
    **{f"config.{name}": value for name, value in _DEVICES.items()},
    **{f"config.experimental.{name}": value for name, value in _DEVICES.items()},
    **_ACTIVATIONS,
    **{name: _DType(name) for name in _DTYPES},
}

#: Only in TensorFlow 1, and in `tensorflow.compat.v1`.
ONLY_1: dict[str, Any] = {
    "VERSION": _VERSION,
    "ConfigProto": ConfigProto,
    "GPUOptions": GPUOptions,
    "InteractiveSession": InteractiveSession,
    "RunMetadata": RunMetadata,
    "RunOptions": RunOptions,
    "Session": Session,
    "disable_eager_execution": _accepted,
    "disable_v2_behavior": _accepted,
    "get_default_graph": Graph,
    "get_default_session": K.get_session,
    "global_variables_initializer": _first_values,
    "initialize_all_variables": _first_values,
    "local_variables_initializer": _no_values,
    "random.set_random_seed": set_random_seed,
    "reset_default_graph": K.clear_session,
    "set_random_seed": set_random_seed,
    "tables_initializer": _no_values,
    **{f"logging.{name}": value for name, value in LOGGING.items()},
}

#: Only in TensorFlow 2.
ONLY_2: dict[str, Any] = {"random.set_seed": set_random_seed}
