"""`multi_gpu_model` answers as Keras 2.2.4 does on a machine without graphics cards."""

import pytest

from symgraph import backend as K
from symgraph.utils import multi_gpu_model, training_utils


@pytest.mark.parametrize(
    ("gpus", "message"),
    [
        (None, "call `multi_gpu_model` with `gpus >= 2`. Received: `gpus=0`"),
        (1, "call `multi_gpu_model` with `gpus >= 2`. Received: `gpus=1`"),
        ([0], r"call `multi_gpu_model` with `len\(gpus\) >= 2`. Received: `gpus=\[0\]`"),
        ([], "call `multi_gpu_model` with `gpus >= 2`. Received: `gpus=0`"),
        (2, r"`gpus=2`, we expect the following devices .*: \['/cpu:0', '/gpu:0', '/gpu:1'\]. However"),
        ([0, 3], r"`gpus=\[0, 3\]`, we expect .*'/gpu:3'\]. .*only has: \['/cpu:0'\]. Try reducing `gpus`"),
    ],
)  # fmt: skip
def test_refusals(gpus, message):
    with pytest.raises(ValueError, match=message):
        multi_gpu_model(object(), gpus)


def test_places():
    assert training_utils.multi_gpu_model is multi_gpu_model
    assert K._get_available_gpus() == K.tensorflow_backend._get_available_gpus() == []
    assert K.tensorflow_backend.dot is K.dot and K.common.floatx is K.floatx
