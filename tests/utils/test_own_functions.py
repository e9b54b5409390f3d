"""What this process wrote is given back as it was; all other code is refused."""

import base64
import json
import marshal
import pickle
from types import FunctionType

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import Dense, Lambda
from symgraph.models import Sequential, clone_model, load_model, model_from_json, model_from_yaml
from symgraph.utils.generic_utils import func_dump, func_load

SCALE = 3.0
X = np.array([[1.0, -2.0]])


def _scaled(x, shift=1.0):
    return SCALE * x + shift


def _times(factor):
    return lambda x: x * factor


def _foreign(code, *values):
    """The configuration of a layer that another process wrote."""
    text = base64.encodebytes(marshal.dumps(code)).decode()
    return {"name": "l", "function": [text, None, list(values) or None], "function_type": "lambda"}


@pytest.mark.parametrize("function", [_scaled, lambda x: x * SCALE, _times(2.0), _times(np.float32(4))])
def test_functions_of_this_process_come_back(tmp_path, function):
    model = Sequential([Lambda(function, input_shape=(2,), name="l"), Dense(2)])
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.h5")
    copies = [
        load_model(tmp_path / "model.h5"),
        model_from_json(model.to_json()),
        model_from_yaml(model.to_yaml()),
        clone_model(model),
        pickle.loads(pickle.dumps(model)),
        Sequential.from_config(model.get_config()),
    ]
    for found in copies:
        assert found.get_layer("l").function is function
    assert func_load(func_dump(function)) is function
    assert func_load(json.loads(json.dumps(func_dump(lambda x, y=2: x + y))))(3) == 5


def test_functions_of_one_code_are_told_apart():
    twice, thrice = _times(2), _times(3)
    for dumped, function in [(func_dump(f), f) for f in (twice, thrice)]:
        assert func_load(json.loads(json.dumps(dumped))) is function
    # Written beside the code are the names of the functions alone, and both have one name.
    texts = [func_dump(_times(f)) for f in (lambda x: x + 1, lambda x: x - 1)]
    with pytest.raises(ValueError, match="2 functions of this process"):
        func_load(texts[0][0], None, ["<lambda>"])


def test_values_that_have_changed_since_are_those_that_were_written():
    factor = 2

    def scaled(x):
        return x * factor

    dumped = func_dump(scaled)
    factor = 5
    assert func_load(dumped)(10) == 20 and scaled(10) == 50


def test_code_of_others_is_refused():
    own = func_dump(_times(7))
    for code, closure in (
        (own[0], [8]),
        (own[0], None),
        (own[0], [7.0]),
        (base64.encodebytes(marshal.dumps((lambda x: x + 99).__code__)).decode(), None),
    ):
        with pytest.raises(ValueError, match="bytecode"):
            func_load(code, None, closure)
    code = compile("lambda x: x + 1", "elsewhere", "eval").co_consts[0]
    with pytest.raises(ValueError, match=r"layer l: .*bytecode"):
        Lambda.from_config(_foreign(code))


@pytest.mark.parametrize(
    "text",
    [
        "lambda x: K.abs(x)",
        "lambda x: x * np.sign(2.0)",
        "lambda x: activations.linear(copy.copy(x))",
        "lambda x: Activation('linear')(x) if isinstance(python_types, type(np)) else warnings.warn('')",
        "lambda x: initializers.get('ones') and regularizers.l2(0.1) and constraints.get('non_neg') and x",
        "lambda x: x if has_arg(func_dump, 'func') and InputSpec and Layer and Lambda else conv_utils",
    ],
)
def test_trusted_functions_see_the_names_that_they_saw_in_keras(text):
    # The names in keras.layers.core of Keras 2.2.4.
    code = compile(text, "elsewhere", "eval").co_consts[0]
    layer = Lambda.from_config(_foreign(code), safe_mode=False)
    assert isinstance(layer.function, FunctionType)
    found = K.eval(layer.function(K.constant(X)))
    np.testing.assert_allclose(found, np.abs(X) if "abs" in text else X)
