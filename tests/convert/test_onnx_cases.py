"""The cases of the `onnx` package, read as models: what is read has to give the results of the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from symgraph.convert import load_onnx
from symgraph.convert.onnx.load import _READERS
from tests.onnx_cases.cases import Case, all_cases

# What is made once for these cases is made in one process.
pytestmark = pytest.mark.xdist_group("onnx")

#: Cases that are read today, each with its inputs behind the first one as constants, or with all as inputs.
AT_LEAST = 270


def _variants() -> Iterator[tuple[Case, bytes]]:
    for case in all_cases().values():
        if case.foreign or not set(case.ops) <= set(_READERS):
            continue
        known = {tensor.name for tensor in case.model.graph.initializer}
        names = [entry.name for entry in case.model.graph.input if entry.name not in known]
        yield case, case.model.SerializeToString()
        if len(names) > 1:
            model = onnx.ModelProto()
            model.CopyFrom(case.model)
            for name, array in list(zip(names, case.inputs, strict=False))[1:]:
                model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
            yield case, model.SerializeToString()


def _result(case: Case, path: Path) -> list[np.ndarray] | None:
    """What the model predicts, None if the file is refused."""
    try:
        model = load_onnx(path)
    except ValueError as error:
        assert str(path) in str(error)
        return None
    given = dict(zip((entry.name for entry in case.model.graph.input), case.inputs, strict=False))
    x = [given[name] for name in model.input_names]
    if any(array is None or array.size == 0 for array in x):
        return None
    found = model.predict(x, batch_size=1 << 20)
    return found if isinstance(found, list) else [found]


def test_what_is_read_is_right(tmp_path: Path) -> None:
    path, right = tmp_path / "case.onnx", 0
    for case, data in _variants():
        path.write_bytes(data)
        found = _result(case, path)
        for got, wanted in zip(found or [], case.outputs, strict=False):
            assert wanted is not None
            assert got.dtype == wanted.dtype, case.name
            np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5, err_msg=case.name)
        right += found is not None
    assert right >= AT_LEAST
