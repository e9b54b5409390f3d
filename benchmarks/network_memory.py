"""Memory of ready networks, and the time to their first prediction.

    python -m benchmarks.network_memory [--networks VGG16,ResNet50] [--batches 1,8] [--rounds 3]

The first table has what a compiled prediction holds: weights, what is kept packed of them, and the arena; as
a part of the weights and the largest pair of activations, an input and an output of one layer.

The second has, for processes of their own that make a network and predict one picture, the largest resident
memory with all imports, and the seconds from the call of the architecture (or of load_model) to the result,
the least of some rounds. Kernels come from their cache: a run ahead fills it. PyTorch's VGG16 is found in
`SYMGRAPH_PEERS` (default .venv/peers, made by `make bench`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import torch_python
from symgraph import backend as K
from symgraph import initializers, models
from symgraph.graph.leaves import VariableRead

_MIB = 2**20
WAYS = ("drawn", "weights=FILE", "load_model")


# -- what a compiled prediction holds ------------------------------------------------------------------------


def held(name: str, batch: int) -> dict[str, float]:
    """Bytes of the weights, of what is kept packed, of the arena and of the largest pair of activations."""
    with initializers.deferred():
        model = getattr(models, name)(weights=None)
    model._make_predict_function()
    program = model.predict_function.program((batch, *model.input_shape[1:]))
    graph = model.predict_function.lowered().nodes
    own = {id(node.op.storage.array) for node in graph if isinstance(node.op, VariableRead)}
    arrays = {id(base.array): base.array for base in program.bases if base.array is not None}
    return {
        "weights": sum(4.0 * K.count_params(weight) for weight in model.weights),
        "pair": 4.0 * batch * max(_pair(node) for layer in model.layers for node in layer._inbound_nodes),
        "arena": program.arena_bytes,
        "packed": sum(array.nbytes for number, array in arrays.items() if number not in own),
    }


def _pair(node: Any) -> int:
    """Numbers of the largest input and the largest output of a call of a layer, for one picture."""
    sides = (node.input_tensors, node.output_tensors)
    return sum(max((int(np.prod(K.int_shape(x)[1:])) for x in side), default=0) for side in sides)


# -- processes of their own ----------------------------------------------------------------------------------


def first_prediction(name: str, way: str, path: str) -> dict[str, float]:
    """Make a network, predict, and tell what this process has needed."""
    make: dict[str, Callable[[], Any]] = {
        "drawn": lambda: getattr(models, name)(weights=None),
        "weights=FILE": lambda: getattr(models, name)(weights=path),
        "load_model": lambda: models.load_model(path, compile=False),
    }
    # The module of the architecture is imported when its name is first used.
    getattr(models, name)
    start, used = time.perf_counter(), time.process_time()
    model = make[way]()
    made = time.perf_counter()
    model.predict(np.zeros((1, *model.input_shape[1:]), np.float32))
    end = time.perf_counter()
    return {
        "make": made - start,
        "predict": end - made,
        "processor": time.process_time() - used,
        "peak": peak_resident(),
    }


def peak_resident() -> float:
    """The largest resident memory of this process so far, in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _told(*arguments: str, python: str = sys.executable) -> dict[str, float]:
    done = subprocess.run([python, "-m", *arguments], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _least(rounds: list[dict[str, float]]) -> dict[str, float]:
    return min(rounds, key=lambda found: found["make"] + found["predict"])


# -- tables --------------------------------------------------------------------------------------------------


def _row(*cells: Any) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def _head(*cells: str) -> None:
    _row(*cells)
    _row(*["---"] * len(cells))


def _held_table(networks: list[str], batches: list[int]) -> None:
    _head("network (batch)", "weights MiB", "packed", "arena", "largest pair", "held / (weights + pair)")
    for name in networks:
        for batch in batches:
            found = held(name, batch)
            whole = found["weights"] + found["packed"] + found["arena"]
            sizes = (f"{found[part] / _MIB:.1f}" for part in ("weights", "packed", "arena", "pair"))
            _row(f"{name} ({batch})", *sizes, f"{whole / (found['weights'] + found['pair']):.2f}")


def _process_table(networks: list[str], rounds: int) -> None:
    _head("network", "way", "peak MiB", "make s", "first prediction s", "both, s", "processor s")
    for name in networks:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "network.h5")
            getattr(models, name)(weights=None).save(path)
            for way in WAYS:
                asked = ("benchmarks.network_memory", "--only", name, way, path)
                _told(*asked)
                found = _least([_told(*asked) for _ in range(rounds)])
                both = found["make"] + found["predict"]
                seconds = (f"{s:.2f}" for s in (found["make"], found["predict"], both, found["processor"]))
                _row(name, way, f"{found['peak']:.0f}", *seconds)
    python = torch_python()
    if "VGG16" in networks and python is not None:
        _row(
            "VGG16",
            "PyTorch",
            f"{_told('benchmarks.engines.torch_vgg16', python=python)['peak']:.0f}",
            *"----",
        )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--networks", default="VGG16,ResNet50,MobileNetV2,InceptionV3,DenseNet121,NASNetMobile"
    )
    parser.add_argument("--batches", default="1,8", help="sizes of batches")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs=3, metavar=("NETWORK", "WAY", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(first_prediction(*options.only)))
        return
    networks = options.networks.split(",")
    _held_table(networks, [int(batch) for batch in options.batches.split(",")])
    print()
    _process_table(networks, options.rounds)


if __name__ == "__main__":
    main()
