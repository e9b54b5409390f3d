"""Functions that scripts for Keras call for the engine under it, which is another one here."""

from __future__ import annotations

from symgraph.globals import image_data_format, set_image_data_format

__all__ = ["image_dim_ordering", "manual_variable_initialization", "set_image_dim_ordering"]

_FORMATS = {"tf": "channels_last", "th": "channels_first"}


def image_dim_ordering() -> str:
    """The default layout of pictures by its old name: 'tf' for 'channels_last', 'th' for 'channels_first'."""
    return next(name for name, layout in _FORMATS.items() if layout == image_data_format())


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Set the default layout of pictures by its old name.

    Raises
    ------
    ValueError
        If `dim_ordering` is neither 'tf' nor 'th'; the old layout stays.
    """
    if dim_ordering not in _FORMATS:
        raise ValueError(f"Unknown dim_ordering: {dim_ordering!r}; expected 'tf' or 'th'")
    set_image_data_format(_FORMATS[dim_ordering])


def manual_variable_initialization(value: bool) -> None:
    """Accepted, without any effect: variables have their first value from the moment they are made."""
