"""Sessions' settings, graphs and devices, as far as scripts touch them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from symgraph import backend as K
from symgraph.alias.errors import missing_attribute
from symgraph.backend.session import Session


class _Message:
    """Fields with defaults; any other is refused, as protocol buffers do."""

    fields: ClassVar[dict[str, Any]] = {}

    def __init__(self, **values: Any) -> None:
        for name, default in self.fields.items():
            # A default that can be changed is each message's own.
            vars(self)[name] = default() if isinstance(default, type) else default
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.fields:
            raise AttributeError(
                f"{type(self).__name__}: no field is called {name!r}; there are {', '.join(self.fields)}"
            )
        super().__setattr__(name, value)


class GPUOptions(_Message):
    """Settings of GPUs, of which there are none here."""

    fields: ClassVar[dict[str, Any]] = {
        "allocator_type": "",
        "allow_growth": False,
        "force_gpu_compatible": False,
        "per_process_gpu_memory_fraction": 0.0,
        "polling_active_delay_usecs": 0,
        "visible_device_list": "",
    }


class ConfigProto(_Message):
    """Settings of a session. `intra_op_parallelism_threads` sets the threads, the others have no effect."""

    fields: ClassVar[dict[str, Any]] = {
        "allow_soft_placement": False,
        "device_count": dict,
        "gpu_options": GPUOptions,
        "inter_op_parallelism_threads": 0,
        "intra_op_parallelism_threads": 0,
        "isolate_session_state": False,
        "log_device_placement": False,
        "operation_timeout_in_ms": 0,
        "use_per_session_threads": False,
    }


class InteractiveSession(Session):
    """A session that `K.get_session` returns from now on."""

    def __init__(self, target: str = "", graph: Any = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        K.set_session(self)


class Graph:
    """What ``with graph.as_default():`` needs. Tensors know their graph themselves: none has to be chosen."""

    @contextmanager
    def as_default(self) -> Iterator[Self]:
        """A context in which nothing is different."""
        yield self

    def finalize(self) -> None:
        """Nothing has to be finished."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise missing_attribute(f"tensorflow.Graph.{name}")


class PhysicalDevice:
    """The processor."""

    name, device_type = "/device:CPU:0", "CPU"

    def __repr__(self) -> str:
        return f"PhysicalDevice(name={self.name!r}, device_type={self.device_type!r})"
