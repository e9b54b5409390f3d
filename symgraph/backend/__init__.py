"""Keras' backend, usually imported as `K`: functions that write graphs, and Functions that run them."""

import importlib
import sys
from typing import Any

from symgraph.backend.conv import *  # noqa: F403
from symgraph.backend.core import *  # noqa: F403
from symgraph.backend.ctc import *  # noqa: F403
from symgraph.backend.devices import _get_available_gpus as _get_available_gpus
from symgraph.backend.functions import *  # noqa: F403
from symgraph.backend.keras1 import *  # noqa: F403
from symgraph.backend.legacy import *  # noqa: F403
from symgraph.backend.local import *  # noqa: F403
from symgraph.backend.loops import *  # noqa: F403
from symgraph.backend.math import *  # noqa: F403
from symgraph.backend.movement import *  # noqa: F403
from symgraph.backend.nn import *  # noqa: F403
from symgraph.backend.random import *  # noqa: F403
from symgraph.backend.session import *  # noqa: F403
from symgraph.backend.volumes import *  # noqa: F403
from symgraph.globals import answers_as
from symgraph.globals import epsilon as epsilon
from symgraph.globals import floatx as floatx
from symgraph.globals import image_data_format as image_data_format
from symgraph.globals import set_epsilon as set_epsilon
from symgraph.globals import set_floatx as set_floatx
from symgraph.globals import set_image_data_format as set_image_data_format
from symgraph.globals import set_learning_phase as set_learning_phase


def __getattr__(name: str) -> Any:
    # Scripts write `K.tensorflow_backend.x` for `K.x`, and `K.tf` for what they would have to import.
    if name in ("tensorflow_backend", "theano_backend", "cntk_backend", "common"):
        return sys.modules[__name__]
    if name == "tf" and answers_as() != "symgraph":
        return importlib.import_module("tensorflow")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
