"""The cases that the `onnx` package ships: models with inputs and the outputs that they should have."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

#: Folders of stored cases: layers and functions that PyTorch exported, with its results, and a few models.
STORED = ("pytorch-converted", "pytorch-operator", "simple")

DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")


@dataclass(frozen=True)
class Case:
    """A model, arrays for its inputs, and its outputs; None where a model deals in other things than arrays.

    `family` is "node" (one op, or the body of an op written out), or the folder of a stored case.
    """

    name: str
    family: str
    model: onnx.ModelProto
    inputs: tuple[np.ndarray | None, ...]
    outputs: tuple[np.ndarray | None, ...]

    @property
    def ops(self) -> tuple[str, ...]:
        """Names of the ops, each once, in the order of the model."""
        return tuple(dict.fromkeys(node.op_type for node in self.model.graph.node))

    @property
    def foreign(self) -> str | None:
        """The first type that symgraph does not have."""
        for value in (*self.inputs, *self.outputs):
            if value is None:
                return "not an array"
            if value.dtype.name not in DTYPES:
                return value.dtype.name
        return None


def _array(value: object) -> np.ndarray | None:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.ndarray | np.generic) else None


def node_cases() -> list[Case]:
    """Every case that the package builds, one op each; bodies of functions come as `..._expanded`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflow on purpose while the cases are made
        found = collect_testcases(None)
    return [
        Case(case.name, "node", case.model, tuple(map(_array, inputs)), tuple(map(_array, outputs)))
        for case in found
        for inputs, outputs in case.data_sets[:1]
    ]


def stored_cases() -> list[Case]:
    """Every case of the folders `STORED`."""
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    found = []
    for family in STORED:
        for path in sorted(root.joinpath(family).glob("*/model.onnx")):
            data = path.parent / "test_data_set_0"
            inputs, outputs = (_stored(data, prefix) for prefix in ("input", "output"))
            found.append(Case(path.parent.name, family, onnx.load(path), inputs, outputs))
    return found


def _stored(folder: Path, prefix: str) -> tuple[np.ndarray | None, ...]:
    arrays: list[np.ndarray | None] = []
    for number in range(len(list(folder.glob(f"{prefix}_*.pb")))):
        tensor = onnx.TensorProto()
        try:
            tensor.ParseFromString((folder / f"{prefix}_{number}.pb").read_bytes())
            arrays.append(_array(tensor))
        except Exception:  # a sequence is stored in another message
            arrays.append(None)
    return tuple(arrays)


@functools.cache
def all_cases() -> dict[str, Case]:
    """All of them by name; building them takes some seconds."""
    found = [*node_cases(), *stored_cases()]
    named = {case.name: case for case in found}
    assert len(named) == len(found)
    return named
