"""`Graph`, the model of several inputs and outputs of Keras 0 and 1, whose parts have names."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.files.layer_config import deserialize, serialize
from symgraph.engine.input_layer import Input
from symgraph.engine.training import Model
from symgraph.graph.tensor import Tensor
from symgraph.layers.core import Activation
from symgraph.layers.old_merge import merged
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import to_list
from symgraph.utils.warn_user import warn_old

Data = Mapping[str, Any]

_WARNING = (
    "`Graph` is gone since Keras 1: call layers on tensors that `Input` makes, and use `Model(inputs, "
    "outputs)`, whose `fit` takes dicts of inputs and of targets."
)


class Graph(Model):
    """Inputs, nodes and outputs that are joined by their names, with a warning.

    `add_input`, `add_node` and `add_output` describe the model; `compile` joins it. Data are one dict for
    inputs and targets.

    Parameters
    ----------
    name : str, optional
    """

    def __init__(self, name: str | None = None) -> None:
        warn_old(_WARNING)
        super().__init__(name=name)
        self._tensors: dict[str, Tensor] = {}
        self._graph_inputs: dict[str, Tensor] = {}
        self._graph_outputs: dict[str, Tensor] = {}
        self._graph_nodes: dict[str, dict[str, Any]] = {}
        self._graph_config: dict[str, list[dict[str, Any]]] = {"input": [], "node": [], "output": []}

    # -- parts -----------------------------------------------------------------------------------------------

    def add_input(
        self, name: str, input_shape: Any = None, batch_input_shape: Any = None, dtype: str = "float"
    ) -> None:
        """Add an input.

        Parameters
        ----------
        name : str
        input_shape, batch_input_shape : tuple
            Of a sample, or of a batch.
        dtype : str
            'float' or 'int'.
        """
        self._check_new(name)
        if not str(dtype).startswith(("int", "float")):
            raise ValueError(f'Unknown dtype (should be "int" or "float"): {dtype!r}')
        kind = "int32" if dtype.startswith("int") else K.floatx()
        if (input_shape is None) == (batch_input_shape is None):
            raise ValueError(f"input {name}: expected `input_shape` or `batch_input_shape`")
        shape = {"shape": input_shape} if batch_input_shape is None else {"batch_shape": batch_input_shape}
        self._tensors[name] = self._graph_inputs[name] = Input(name=name, dtype=kind, **shape)
        given = {"input_shape": input_shape, "batch_input_shape": batch_input_shape}
        stated = {key: value for key, value in given.items() if value is not None}
        self._note("input", {"name": name, "dtype": dtype, **stated})

    def add_node(
        self,
        layer: Layer,
        name: str,
        input: str | None = None,
        inputs: Sequence[str] = (),
        merge_mode: Any = "concat",
        concat_axis: int = -1,
        dot_axes: Any = -1,
        create_output: bool = False,
    ) -> None:
        """Add a layer, which gets this name.

        Parameters
        ----------
        layer : Layer
        name : str
        input : str, optional
            The node or input that it reads.
        inputs : sequence of str
            Several, which are merged first.
        merge_mode, concat_axis, dot_axes
            How, see `Merge`.
        create_output : bool
            Whether the node is an output as well.
        """
        self._check_new(name)
        read = self._read(name, input, inputs, merge_mode, concat_axis, dot_axes, f"merge_inputs_for_{name}")
        layer.name = name
        self._tensors[name] = _only(name, layer(read))
        self._graph_nodes[name] = serialize(layer)
        # An output has an entry of its own.
        joint = {
            "name": name, "input": input, "inputs": list(inputs), "merge_mode": merge_mode,
            "concat_axis": concat_axis, "dot_axes": dot_axes, "create_output": False,
        }  # fmt: skip
        self._note("node", joint)
        if create_output:
            self.add_output(name, input=name)

    def add_shared_node(
        self,
        layer: Layer,
        name: str,
        inputs: Sequence[str] = (),
        merge_mode: Any = None,
        concat_axis: int = -1,
        dot_axes: Any = -1,
        outputs: Sequence[str] = (),
        create_output: bool = False,
    ) -> None:
        """Add a layer that is applied to several nodes with the same weights.

        Parameters
        ----------
        layer, name, inputs, concat_axis, dot_axes, create_output
            As of `add_node`.
        merge_mode : str, optional
            How the results are merged to one, which gets the name; see `Merge`.
        outputs : sequence of str
            Without a mode: the names of the results.
        """
        self._check_new(name, *outputs)
        if not merge_mode and len(outputs) != len(inputs):
            raise ValueError(
                f"node {name}: without `merge_mode`, `outputs` has to name the result of each of `inputs`, "
                f"got {len(outputs)} names for {len(inputs)}"
            )
        layer.name = f"input_for_{name}" if merge_mode else name
        results = [_only(name, layer(self._tensor(one))) for one in inputs]
        if merge_mode:
            self._tensors[name] = merged(results, merge_mode, concat_axis, dot_axes, name)
        else:
            named = {one: _called(x, one) for one, x in zip(outputs, results, strict=True)}
            self._tensors.update(named)
        self._graph_nodes[name] = {**serialize(layer), "shared": True}
        joint = {
            "name": name, "inputs": list(inputs), "merge_mode": merge_mode, "concat_axis": concat_axis,
            "dot_axes": dot_axes, "outputs": list(outputs), "create_output": False,
        }  # fmt: skip
        self._note("node", joint)
        for one in ([name] if merge_mode else outputs) if create_output else ():
            self.add_output(one, input=one)

    def add_output(
        self,
        name: str,
        input: str | None = None,
        inputs: Sequence[str] = (),
        merge_mode: Any = "concat",
        concat_axis: int = -1,
        dot_axes: Any = -1,
    ) -> None:
        """Make a node, or several that are merged, an output; parameters as of `add_node`."""
        if name in self._graph_outputs:
            raise ValueError(f"Duplicate output identifier: {name}")
        if name in self._tensors and input != name:
            raise ValueError(f"Duplicate node identifier: {name}")
        read = self._read(name, input, inputs, merge_mode, concat_axis, dot_axes, name)
        maker = read._keras_history[0]
        self._graph_outputs[name] = read if maker.name == name else _called(read, name)
        joint = {
            "name": name, "input": input, "inputs": list(inputs), "merge_mode": merge_mode,
            "concat_axis": concat_axis, "dot_axes": dot_axes,
        }  # fmt: skip
        self._note("output", joint)

    def _check_new(self, *names: str) -> None:
        for name in names:
            if name in self._tensors or names.count(name) > 1:
                raise ValueError(f"Duplicate node identifier: {name}")

    def _tensor(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise ValueError(f"Unknown node/input identifier: {name}; known are {list(self._tensors)}")
        return self._tensors[name]

    def _read(
        self, name: str, one: str | None, several: Sequence[str], mode: Any, axis: int, dot: Any, called: str
    ) -> Tensor:
        """What a node reads: one tensor, or several merged."""
        if (one is None) == (not several):
            raise ValueError(f"{name}: expected either `input` or `inputs`, got {one!r} and {list(several)}")
        if one is not None:
            return self._tensor(one)
        tensors = [self._tensor(other) for other in several]
        return tensors[0] if len(tensors) == 1 else merged(tensors, mode, axis, dot, called)

    def _note(self, kind: str, part: dict[str, Any]) -> None:
        self._graph_config[kind].append(part)
        self.built = False

    def build(self, input_shape: Any = None) -> None:
        """Join the inputs and outputs that are there by now."""
        if self.built:
            return
        if not self._graph_inputs or not self._graph_outputs:
            raise ValueError(f"{self.name}: a Graph needs inputs and outputs (`add_input`, `add_output`)")
        self._init_graph_network(
            list(self._graph_inputs.values()), list(self._graph_outputs.values()), name=self.name
        )

    # -- data ------------------------------------------------------------------------------------------------

    def _parted(self, data: Data, targets: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
        """Inputs and targets of a dict. ValueError where one is missing, or a name is unknown."""
        if not isinstance(data, Mapping):
            raise TypeError(f"{self.name}: expected a dict of arrays by the names of inputs and outputs")
        unknown = sorted(data.keys() - self._graph_inputs.keys() - self._graph_outputs.keys())
        ends = {"input": self._graph_inputs, **({"output": self._graph_outputs} if targets else {})}
        missing = [f'{kind} "{name}"' for kind, names in ends.items() for name in names if name not in data]
        if unknown or missing:
            raise ValueError(
                f"{self.name}: expected arrays (in dict argument `data`) for the inputs "
                f"{list(self._graph_inputs)} and outputs {list(self._graph_outputs)}; missing: "
                f"{missing or None}, unknown: {unknown or None}"
            )
        x = {name: data[name] for name in self._graph_inputs}
        return x, {name: data[name] for name in self._graph_outputs} if targets else {}

    def _batches(self, generator: Any) -> Iterator[Any]:
        """Batches as `Model` takes them, of dicts, or of pairs of a dict and sample weights."""
        for item in generator:
            data, *weights = item if isinstance(item, tuple) else (item,)
            yield (*self._parted(data), *weights)

    def _named(self, outputs: Any) -> dict[str, Any]:
        return dict(zip(self._graph_outputs, to_list(outputs), strict=True))

    # -- training --------------------------------------------------------------------------------------------

    def compile(  # type: ignore[override]
        self,
        optimizer: Any,
        loss: Any,
        metrics: Any = None,
        sample_weight_modes: Any = None,
        loss_weights: Any = None,
        **kwargs: Any,
    ) -> None:
        """Join the parts and prepare for training; `loss` is a dict by the names of outputs."""
        self.build()
        modes = kwargs.pop("sample_weight_mode", sample_weight_modes)
        if isinstance(modes, Mapping):
            modes = {name: modes.get(name) for name in self._graph_outputs}
        super().compile(
            optimizer, loss, metrics=metrics, loss_weights=loss_weights, sample_weight_mode=modes, **kwargs
        )

    def fit(  # type: ignore[override]
        self,
        data: Data,
        batch_size: int = 32,
        nb_epoch: int = 10,
        verbose: int = 1,
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Data | None = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Train on a dict of inputs and targets; other parameters as of `Model.fit`."""
        x, y = self._parted(data)
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=kwargs.pop("epochs", nb_epoch),
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=None if validation_data is None else self._parted(validation_data),
            shuffle=shuffle,
            class_weight=class_weight or None,
            sample_weight=sample_weight or None,
            **kwargs,
        )

    def evaluate(  # type: ignore[override]
        self, data: Data, batch_size: int = 128, verbose: int = 0, sample_weight: Any = None, **kwargs: Any
    ) -> Any:
        """Loss and metrics for a dict of inputs and targets, as of `Model.evaluate`."""
        x, y = self._parted(data)
        weights = sample_weight or None
        return super().evaluate(x, y, batch_size, verbose=verbose, sample_weight=weights, **kwargs)

    def predict(  # type: ignore[override]
        self, data: Data, batch_size: int = 128, verbose: int = 0
    ) -> dict[str, Any]:
        """The outputs by their names, for a dict of inputs."""
        self.build()
        x, _ = self._parted(data, targets=False)
        return self._named(super().predict(x, batch_size=batch_size, verbose=verbose))

    def train_on_batch(  # type: ignore[override]
        self, data: Data, class_weight: Any = None, sample_weight: Any = None, **kwargs: Any
    ) -> Any:
        """One update with one batch, a dict of inputs and targets; returns as `Model.train_on_batch`."""
        x, y = self._parted(data)
        return super().train_on_batch(x, y, sample_weight or None, class_weight or None, **kwargs)

    def test_on_batch(  # type: ignore[override]
        self, data: Data, sample_weight: Any = None, **kwargs: Any
    ) -> Any:
        """Loss and metrics of one batch, a dict of inputs and targets."""
        x, y = self._parted(data)
        return super().test_on_batch(x, y, sample_weight or None, **kwargs)

    def predict_on_batch(self, data: Data) -> dict[str, Any]:
        """The outputs by their names, for one batch, a dict of inputs."""
        self.build()
        return self._named(super().predict_on_batch(self._parted(data, targets=False)[0]))

    def fit_generator(self, generator: Any, *args: Any, **kwargs: Any) -> Any:
        """Train on dicts, or pairs of a dict and sample weights; parameters as of `Model.fit_generator`."""
        validation = kwargs.get("validation_data")
        if isinstance(validation, Mapping):
            kwargs["validation_data"] = self._parted(validation)
        elif hasattr(validation, "__next__"):
            kwargs["validation_data"] = self._batches(validation)
        return super().fit_generator(self._batches(generator), *args, **kwargs)

    def evaluate_generator(self, generator: Any, *args: Any, **kwargs: Any) -> Any:
        """Loss and metrics over dicts; parameters as of `Model.evaluate_generator`."""
        return super().evaluate_generator(self._batches(generator), *args, **kwargs)

    # -- configuration ---------------------------------------------------------------------------------------

    def load_weights(self, *args: Any, **kwargs: Any) -> None:
        """Join the parts, and read weights; parameters as of `Model.load_weights`."""
        self.build()
        super().load_weights(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Inputs, nodes, joints and outputs."""
        parts = {f"{kind}_config": joints for kind, joints in self._graph_config.items()}
        return copy.deepcopy({"name": self.name, **parts, "nodes": self._graph_nodes})

    @classmethod
    def from_config(
        cls, config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
    ) -> Self:
        """Make a graph of what `get_config` returned, or Keras 1 stored; parameters as of `deserialize`."""
        with config_errors(label_of(cls.__name__, config)):
            graph = cls(name=config.get("name"))
            for part in config["input_config"]:
                graph.add_input(**part)
            for part in config["node_config"]:
                joint = {key: value for key, value in part.items() if key != "layer"}
                # Keras 1 describes a shared layer beside its joints: its node is what merges the results.
                described = _current(part.get("layer") or config["nodes"][part["name"]])
                shared = described.pop("shared", False) or "layer" in part
                layer = deserialize(described, custom_objects, safe_mode=safe_mode)
                add: Callable[..., None] = graph.add_shared_node if shared else graph.add_node
                # Outputs have entries of their own.
                add(layer, **{**joint, "create_output": False})
            for part in config["output_config"]:
                graph.add_output(**part)
            graph.build()
            return graph


def _current(described: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a layer; Keras 0.3 wrote the class under 'name', beside the arguments."""
    if "class_name" in described:
        return dict(described)
    config = {key: value for key, value in described.items() if key not in ("name", "custom_name")}
    if described.get("custom_name"):
        config["name"] = described["custom_name"]
    return {"class_name": described["name"], "config": config}


def _only(name: str, outputs: Any) -> Tensor:
    if isinstance(outputs, list):
        raise TypeError(f"node {name}: a node of a Graph has one output, the layer has {len(outputs)}")
    output: Tensor = outputs
    return output


def _called(x: Tensor, name: str) -> Tensor:
    """The same values as the output of a layer of this name."""
    output: Tensor = Activation("linear", name=name)(x)
    return output
