"""A callback that writes logs for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.callbacks.base import Callback, Logs
from symgraph.inspection.export.events import EventWriter
from symgraph.inspection.export.tensorboard import graph_of


class TensorBoard(Callback):
    """Writes losses, metrics, the graph, and histograms of weights, gradients and outputs for TensorBoard.

    Neither TensorFlow nor TensorBoard is needed to write them; ``tensorboard --logdir=logs`` shows them.

    Parameters
    ----------
    log_dir : path
        Folder of the files; made where it is missing.
    histogram_freq : int
        Epochs between histograms of weights and of layers' outputs; 0 for none. They need validation data.
    batch_size : int
        Samples that are computed at a time for histograms and embeddings.
    write_graph : bool
        Write the compiled graph of a training step.
    write_grads : bool
        Write histograms of gradients, with those of weights.
    write_images : bool
        Write weights as pictures, with their histograms.
    embeddings_freq : int
        Epochs between savings of the outputs of embedding layers; 0 for none.
    embeddings_layer_names : list of str, optional
        The layers; all of class Embedding where none are given.
    embeddings_metadata : str or dict, optional
        File with a line of text for each sample, one for all layers or by the layer's name.
    embeddings_data : array or list of array, optional
        What the outputs are computed for.
    update_freq : 'batch', 'epoch' or int
        Write losses and metrics after each batch, each epoch, or as many samples.

    Raises
    ------
    ValueError
        Histograms are wanted without validation data, or embeddings without their data.
    """

    only_first_rank = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "./logs",
        histogram_freq: int = 0,
        batch_size: int = 32,
        write_graph: bool = True,
        write_grads: bool = False,
        write_images: bool = False,
        embeddings_freq: int = 0,
        embeddings_layer_names: Sequence[str] | None = None,
        embeddings_metadata: str | Mapping[str, str] | None = None,
        embeddings_data: Any = None,
        update_freq: str | int = "epoch",
    ) -> None:
        super().__init__()
        self.log_dir = log_dir
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_grads = write_grads
        self.write_images = write_images
        self.embeddings_freq = embeddings_freq
        self.embeddings_layer_names = embeddings_layer_names
        self.embeddings_metadata = embeddings_metadata or {}
        self.embeddings_data = embeddings_data
        self.batch_size = batch_size
        if update_freq not in ("batch", "epoch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(
                f"TensorBoard: expected update_freq of 'batch', 'epoch' or a number, got {update_freq!r}"
            )
        if batch_size < 1 or histogram_freq < 0:
            raise ValueError(
                f"TensorBoard: expected batch_size of at least 1 and histogram_freq of at least 0, "
                f"got {batch_size} and {histogram_freq}"
            )
        self.update_freq: Any = 1 if update_freq == "batch" else update_freq
        self.samples_seen = 0
        self.samples_seen_at_last_write = 0
        self.writer: EventWriter
        self._watched: dict[str, Any] = {}
        self._histogram_function: Any = None
        self._embedding_function: Any = None

    def set_model(self, model: Any) -> None:
        """Begin a file, write the graph, and compile what histograms and embeddings are computed by."""
        self.model = model
        self.writer = EventWriter(self.log_dir)
        if self.write_graph and getattr(model, "train_function", None) is not None:
            self.writer.graph(graph_of(model.train_function.facts()))
        if self.histogram_freq:
            self._watched = dict(_outputs(model.layers))
            if self.write_grads:
                self._watched |= _gradients(model)
            fed = model._feed_inputs + model._feed_targets + model._feed_sample_weights
            self._histogram_function = _test_function(fed, list(self._watched.values()), "histograms")
        if self.embeddings_freq and self.embeddings_data is not None:
            self._prepare_embeddings()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write what is due."""
        if not self.validation_data and self.histogram_freq:
            raise ValueError(
                "If printing histograms, validation_data must be provided, and cannot be a generator."
            )
        if self.embeddings_data is None and self.embeddings_freq:
            raise ValueError("To visualize embeddings, embeddings_data must be provided.")
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_histograms(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        self._write_logs(logs or {}, epoch if self.update_freq == "epoch" else self.samples_seen)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Write losses and metrics, if enough samples were seen."""
        if self.update_freq == "epoch":
            return
        logs = logs or {}
        self.samples_seen += logs.get("size", 0)
        if self.samples_seen - self.samples_seen_at_last_write >= self.update_freq:
            self._write_logs(logs, self.samples_seen)
            self.samples_seen_at_last_write = self.samples_seen

    def on_train_end(self, _: Logs = None) -> None:
        """Nothing is left to do: all that was told is in the file."""

    def state_dict(self) -> dict[str, Any]:
        """What a restart needs to know."""
        return {
            "samples_seen": self.samples_seen,
            "samples_seen_at_last_write": self.samples_seen_at_last_write,
            "events": self.writer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state, in the file of before, without the events of what is done again."""
        self.samples_seen = state["samples_seen"]
        self.samples_seen_at_last_write = state["samples_seen_at_last_write"]
        self.writer.load_state_dict(state["events"])

    def _write_logs(self, logs: dict[str, Any], step: int) -> None:
        values = {
            name: float(value.item() if isinstance(value, np.ndarray) else value)
            for name, value in logs.items()
            if name not in ("batch", "size")
        }
        self.writer.scalars(values, step)

    # Histograms

    def _write_histograms(self, epoch: int) -> None:
        """Of weights, and of the other tensors for each batch of the validation data."""
        weights = {
            weight.name.replace(":", "_"): weight for layer in self.model.layers for weight in layer.weights
        }
        arrays = dict(zip(weights, K.batch_get_value(list(weights.values())), strict=True))
        self.writer.histograms(arrays, epoch)
        if self.write_images:
            pictures = {name: _pictures(array) for name, array in arrays.items()}
            self.writer.images({name: p for name, p in pictures.items() if p is not None}, epoch)
        for batch in self._batches(self.validation_data, self._histogram_function):
            values = self._histogram_function(batch)
            self.writer.histograms(dict(zip(self._watched, values, strict=True)), epoch)

    def _batches(self, arrays: Sequence[Any], function: Any) -> Iterator[list[Any]]:
        """What `function` is fed with, a batch at a time."""
        for start in range(0, arrays[0].shape[0], self.batch_size):
            rows = [array[start : start + self.batch_size] for array in arrays]
            yield [_as_fed(part, tensor) for part, tensor in zip(rows, function.inputs, strict=True)]

    # Embeddings

    def _prepare_embeddings(self) -> None:
        """Compile the layers' outputs, and write what tells TensorBoard where they will be."""
        names = self.embeddings_layer_names or [
            layer.name for layer in self.model.layers if type(layer).__name__ == "Embedding"
        ]
        layers = [layer for layer in self.model.layers if layer.name in names]
        self._embedded = [layer.name for layer in layers]
        outputs = [layer.output for layer in layers]
        self._embedding_function = _test_function(self.model._feed_inputs, outputs, "embeddings")
        self.embeddings_data = _arrays(self.embeddings_data, self.model.input_names)
        lines = []
        for name in self._embedded:
            lines += ["embeddings {", f"  tensor_name: {_quoted(name + '_embedding')}"]
            lines.append(f"  tensor_path: {_quoted(_embedding_file(name))}")
            metadata = self.embeddings_metadata
            path = metadata if isinstance(metadata, str) else metadata.get(name)
            if path is not None:
                lines.append(f"  metadata_path: {_quoted(path)}")
            lines.append("}")
        target = Path(self.log_dir) / "projector_config.pbtxt"
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _write_embeddings(self) -> None:
        """A line of numbers for each sample, one file a layer: they take the place of those before."""
        parts: list[list[np.ndarray]] = [[] for _ in self._embedded]
        for batch in self._batches(self.embeddings_data, self._embedding_function):
            for part, value in zip(parts, self._embedding_function(batch), strict=True):
                part.append(value.reshape(len(value), -1))
        for name, part in zip(self._embedded, parts, strict=True):
            np.savetxt(Path(self.log_dir) / _embedding_file(name), np.concatenate(part), "%.9g", "\t")


def _test_function(inputs: Sequence[Any], outputs: list[Any], name: str) -> Any:
    """A function in test mode, unless `K.set_learning_phase` has fixed another one."""
    phase = K.learning_phase()
    value = 0 if K.is_tensor(phase) else int(phase)
    return K.function(inputs, outputs, givens={K.symbolic_learning_phase(): value}, name=name)


def _as_fed(rows: Any, tensor: Any) -> Any:
    """Rows of a scipy matrix as an array, where the input is dense."""
    return rows.toarray() if hasattr(rows, "toarray") and not K.is_sparse(tensor) else rows


def _outputs(layers: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Tags and tensors of layers' outputs; a layer that was called several times has none."""
    for layer in layers:
        output = getattr(layer, "output", None)
        if isinstance(output, list):
            yield from ((f"{layer.name}_out_{number}", tensor) for number, tensor in enumerate(output))
        elif output is not None:
            yield f"{layer.name}_out", output


def _gradients(model: Any) -> dict[str, Any]:
    """Gradients as the optimizer gets them, of all weights that the loss depends on."""
    weights = [weight for layer in model.layers for weight in layer.weights]
    found = K.gradients(model.total_loss, weights)
    reached = [weight for weight, gradient in zip(weights, found, strict=True) if gradient is not None]
    gradients = model.optimizer.get_gradients(model.total_loss, reached)
    return {
        f"{weight.name.replace(':', '_')}_grad": gradient
        for weight, gradient in zip(reached, gradients, strict=True)
    }


def _pictures(array: np.ndarray) -> np.ndarray | None:
    """A weight as pictures [number, height, width], as Keras lays them out; None for what has no such form.

    A matrix is one picture, on its side if it is higher than wide; a bias a column; of three axes the last
    one counts pictures (the first one with channels first).
    """
    squeezed = np.squeeze(array)
    if squeezed.ndim == 1:
        return squeezed.reshape(1, -1, 1)
    if squeezed.ndim == 2:
        height, width = squeezed.shape
        return (squeezed.T if height > width else squeezed)[None]
    if squeezed.ndim == 3:
        return squeezed.transpose(2, 0, 1) if K.image_data_format() == "channels_last" else squeezed
    return None


def _arrays(data: Any, names: Sequence[str]) -> list[Any]:
    """One array for each input, from an array, a list, or a dict by the inputs' names."""
    if isinstance(data, Mapping):
        data = [data[name] for name in names if name in data]
    arrays = list(data) if isinstance(data, list | tuple) else [data]
    if len(arrays) != len(names):
        wanted = ", ".join(names)
        raise ValueError(
            f"TensorBoard: embeddings_data: expected arrays for the inputs {wanted}, got {len(arrays)}"
        )
    return [np.asarray(array) for array in arrays]


def _embedding_file(name: str) -> str:
    return f"{name.replace('/', '_')}_embedding.tsv"


def _quoted(text: str) -> str:
    """A string of protocol buffers' text format."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
