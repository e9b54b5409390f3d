"""Functions for the engine under Keras."""

import pytest

from symgraph import backend as K


def test_old_names_of_layouts():
    before = K.image_data_format()
    try:
        for old, layout in (("th", "channels_first"), ("tf", "channels_last")):
            K.set_image_dim_ordering(old)
            assert K.image_data_format() == layout
            assert K.image_dim_ordering() == old
        with pytest.raises(ValueError, match="dim_ordering: 'cntk'"):
            K.set_image_dim_ordering("cntk")
        assert K.image_dim_ordering() == "tf"
    finally:
        K.set_image_data_format(before)


def test_variables_have_values_whoever_initialises_them():
    K.manual_variable_initialization(True)
    assert K.get_value(K.variable(3.0)) == 3.0
    K.manual_variable_initialization(False)
