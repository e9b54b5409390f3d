"""What a network shows of itself to people: its graph, its report, its face in notebooks."""

from __future__ import annotations

import os
from typing import Any

import networkx

from symgraph.inspection.draw.dot import rendered
from symgraph.utils.vis_utils import layer_graph, layer_sketch

_FUNCTIONS = ("train", "test", "predict")


class NetworkViews:
    """Gives a network its graph as data, its report, and its face in notebooks."""

    name: str

    @property
    def graph(self) -> networkx.DiGraph:
        """The layers as a networkx graph: see `layer_graph`."""
        return layer_graph(self)

    def report(self, path: str | os.PathLike[str], profile: Any = None, function: str = "train") -> None:
        """Write a page about one of the model's compiled functions: see `Function.report`.

        Parameters
        ----------
        path : path
            Ends in ``.html``.
        profile : Profile, optional
            Times of this function's calls.
        function : str
            ``train``, ``test`` or ``predict``.

        Raises
        ------
        RuntimeError
            The model was not compiled, and the function is not ``predict``.
        ValueError
            Another function; see `Function.report` too.
        """
        if function not in _FUNCTIONS:
            raise ValueError(f"report: expected one of {', '.join(_FUNCTIONS)}, got {function!r}")
        model: Any = self
        if function != "predict":
            model._check_compiled()
        getattr(model, f"_make_{function}_function")()
        getattr(model, f"{function}_function").report(path, profile)

    def _repr_svg_(self) -> str:
        """The layers in notebooks."""
        return rendered(layer_sketch(self, show_shapes=True), "svg").decode()

    def _repr_html_(self) -> str:
        """The layers in notebooks; no script."""
        return f"<div>{self._repr_svg_()}</div>"
