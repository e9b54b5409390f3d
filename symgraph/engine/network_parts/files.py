"""Networks as text and files: JSON, YAML, HDF5, the summary table, pickles."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from symgraph.engine import saving
from symgraph.engine.files.layer_config import KERAS_BACKEND, KERAS_VERSION, json_value
from symgraph.utils.layer_utils import print_summary


class NetworkFiles:
    """Gives a network `to_json`, `save`, `summary` and their like."""

    _is_graph_network: bool
    built: bool
    get_config: Callable[[], dict[str, Any]]

    def _updated_config(self) -> dict[str, Any]:
        return {
            "class_name": type(self).__name__,
            "config": self.get_config(),
            "keras_version": KERAS_VERSION,
            "backend": KERAS_BACKEND,
        }

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON; `kwargs` go to `json.dumps`."""
        return json.dumps(self._updated_config(), default=json_value, **kwargs)

    def to_yaml(self, **kwargs: Any) -> str:
        """The configuration as YAML without tags, for any safe loader; `kwargs` go to `yaml.dump`."""
        text: str = yaml.safe_dump(json.loads(self.to_json()), **kwargs)
        return text

    def save(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, include_optimizer: bool = True
    ) -> None:
        """Write configuration, weights and the optimizer's state to one HDF5 file.

        Parameters
        ----------
        filepath : path
        overwrite : bool
            False asks before an existing file is replaced.
        include_optimizer : bool
        """
        if not self._is_graph_network:
            raise NotImplementedError(f"{type(self).__name__} is no graph of layers: save its weights only")
        saving.save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write all weights to an HDF5 file; `overwrite=False` asks before an existing file is replaced."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(
        self,
        filepath: str | os.PathLike[str],
        by_name: bool = False,
        skip_mismatch: bool = False,
        reshape: bool = False,
    ) -> None:
        """Read weights from an HDF5 file.

        Parameters
        ----------
        filepath : path
        by_name : bool
            Match layers by name instead of by order.
        skip_mismatch : bool
            With `by_name`: leave layers alone whose weights do not fit, with a warning.
        reshape : bool
            Reshape weights that have the right number of values.

        Raises
        ------
        ValueError
            If the file does not fit; no weight is changed then.
        """
        saving.load_weights(self, filepath, by_name=by_name, skip_mismatch=skip_mismatch, reshape=reshape)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
    ) -> None:
        """Print a table of the layers; see `print_summary`. ValueError before the model is built."""
        if not self.built:
            raise ValueError(
                "This model has not yet been built. Build the model first by calling build() or calling "
                "fit() with some data. Or specify input_shape or batch_input_shape in the first layer for "
                "automatic build. "
            )
        print_summary(self, line_length, positions, print_fn)

    def __getstate__(self) -> Any:
        return saving.pickle_model(self)

    def __setstate__(self, state: Any) -> None:
        vars(self).update(vars(saving.unpickle_model(state)))
