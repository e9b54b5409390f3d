"""Ops of ONNX in Keras' words."""

from __future__ import annotations

from tests.onnx_cases.routes import (
    elementwise,
    losses,
    movement,
    normalisation,
    recurrent,
    reductions,
    windows,
)
from tests.onnx_cases.translate import Route

ROUTES: dict[str, Route] = {
    **elementwise.ROUTES,
    **losses.ROUTES,
    **movement.ROUTES,
    **normalisation.ROUTES,
    **reductions.ROUTES,
    **recurrent.ROUTES,
    **windows.ROUTES,
}
