"""Keras' global settings."""

import pytest

from symgraph import globals as state


@pytest.fixture(autouse=True)
def _restored():
    before = state.floatx(), state.epsilon(), state.image_data_format()
    yield
    state.set_floatx(before[0])
    state.set_epsilon(before[1])
    state.set_image_data_format(before[2])


def test_defaults():
    assert (state.floatx(), state.epsilon(), state.image_data_format()) == ("float32", 1e-7, "channels_last")


def test_settings_change_and_refuse():
    state.set_floatx("float64")
    state.set_epsilon(1e-3)
    state.set_image_data_format("channels_first")
    for setter, wrong in ((state.set_floatx, "int32"), (state.set_image_data_format, "tf")):
        with pytest.raises(ValueError, match="Unknown"):
            setter(wrong)
    with pytest.raises(ValueError, match="float"):
        state.set_epsilon("small")
    assert (state.floatx(), state.epsilon(), state.image_data_format()) == (
        "float64",
        1e-3,
        "channels_first",
    )


def test_uids_count_from_one_for_each_prefix():
    first = state.get_uid("test_globals")
    assert state.get_uid("test_globals") == first + 1
    assert state.get_uid("test_globals_other") == 1
    state.reset_uids()
    assert state.get_uid("test_globals") == 1
