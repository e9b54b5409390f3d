"""Ready networks by onnxruntime, from the files that symgraph.convert wrote; it only predicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.network_files import ONNX, leave, read


def make(folder: str, task: str, batch: str, threads: int) -> Callable[[], object]:
    """Prediction of one batch as a call."""
    if task != "predict":
        raise ValueError("onnxruntime predicts only")
    path = str(Path(folder, ONNX))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("N", int(batch))
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    x = np.ascontiguousarray(read(folder).pictures(int(batch)).transpose(0, 3, 1, 2))
    feeds = {session.get_inputs()[0].name: x}
    result = session.run(None, feeds)[0]
    leave(folder, "onnxruntime", np.moveaxis(result, 1, -1), read(folder).onnx_parameters)
    return lambda: session.run(None, feeds)
