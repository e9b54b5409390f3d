"""The loops of `fit`, `evaluate` and `predict`: cut a batch, call a compiled function, tell the callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph import callbacks as cbks
from symgraph.compiler.run.results import shown
from symgraph.distributed.alike import check_alike
from symgraph.distributed.rows import OwnRows, own_share
from symgraph.distributed.together import is_first, quietly, share_order, share_random_states
from symgraph.engine.data.checks import (
    batch_shuffle,
    check_num_samples,
    make_batches,
)
from symgraph.engine.data.symbolic import sizes
from symgraph.engine.data.tables import is_dataset
from symgraph.engine.training_parts.epochs import (
    Batch,
    Function,
    TrainedModel,
    callback_model,
    run_epochs,
    settings_of,
)
from symgraph.engine.training_parts.resume import Resume
from symgraph.graph.sparse import is_sparse_matrix
from symgraph.utils.generic_utils import Progbar, unpack_singleton

Call = tuple[int, int, list[Any]]
"""Progress after a call of a test or predict function, the weight of its results, and what it is fed with."""


class Batches:
    """Rows of several arrays at a time.

    Rows in order are views of numpy arrays. Rows out of order are gathered into memory that the next call of
    `take` uses again: they are read before that, or copied. Rows of a file are read. Sparse rows are made
    dense, but for those of the first arrays where the `inputs` of the same numbers are sparse tensors.
    Tensors of the graph have no rows to choose from: only `whole` takes them. For a `function` that several
    processes compute together, `rows` and `take` choose those of this process of the rows that they are asked
    for.
    """

    def __init__(self, arrays: Sequence[Any], inputs: Sequence[Any] = (), function: Any = None) -> None:
        self._by_rows: Sequence[bool] | None = getattr(function, "by_rows", None)
        self._arrays = [x.tocsr() if is_sparse_matrix(x) else x for x in arrays]
        self._sparse = {i for i, tensor in enumerate(inputs) if K.is_sparse(tensor)}
        self._gathered: list[np.ndarray | None] = [None for _ in arrays]
        self.samples = int(sizes(arrays[0])[0] or 0) if arrays else 0
        if self._by_rows is not None:
            check_alike(self.samples, self._arrays)

    def whole(self) -> list[Any]:
        """All rows of each array, and tensors as they are."""
        return [x if K.is_tensor(x) else self._as_fed(i, x[: x.shape[0]]) for i, x in enumerate(self._arrays)]

    def rows(self, start: int, stop: int) -> list[Any]:
        """Rows `start` to `stop` of each array."""

        def read(index: int, x: Any, part: slice) -> Any:
            return self._as_fed(index, x[start + part.start : start + part.stop])

        return self._parts(read, stop - start)

    def take(self, rows: np.ndarray) -> list[Any]:
        """The rows of these numbers, each of them in range, of each array."""
        return self._parts(lambda index, x, part: self._take(index, x, rows[part]), len(rows))

    def _parts(self, read: Callable[[int, Any, slice], Any], count: int) -> list[Any]:
        """What ``read(index, array, part)`` gives for that part of `count` rows that this process needs."""
        every = slice(0, count)
        if self._by_rows is None:
            return [read(i, x, every) for i, x in enumerate(self._arrays)]
        own = own_share(count)
        parts = [own if by_rows else every for by_rows in self._by_rows]
        arrays = [read(i, x, part) for i, (x, part) in enumerate(zip(self._arrays, parts, strict=True))]
        return OwnRows(arrays, count)

    def _take(self, index: int, x: Any, rows: np.ndarray) -> Any:
        # `take` would first copy the whole of an array that is not contiguous.
        if not isinstance(x, np.ndarray) or not x.flags.c_contiguous:
            return self._as_fed(index, x[rows])
        memory = self._gathered[index]
        if memory is None or len(memory) < len(rows):
            memory = self._gathered[index] = np.empty((len(rows), *x.shape[1:]), x.dtype)
        # The mode "raise" goes through a buffer of its own; the numbers are known to be in range.
        return x.take(rows, axis=0, out=memory[: len(rows)], mode="clip")

    def _as_fed(self, index: int, rows: Any) -> Any:
        if isinstance(rows, np.ndarray) or index in self._sparse:
            return rows
        return rows.toarray() if is_sparse_matrix(rows) else np.asarray(rows)


def fit_loop(
    model: TrainedModel,
    ins: Sequence[Any],
    val_ins: Sequence[Any] | None,
    batch_size: int | None,
    epochs: range,
    verbose: int,
    callbacks: Iterable[Any] | None,
    shuffle: bool | str,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_freq: Any,
    resume: Resume,
) -> Any:
    """Train on arrays, or on data of the graph if `steps_per_epoch` is given.

    Parameters
    ----------
    model : Model
    ins, val_ins : sequence of arrays
        What the model's train and test functions are fed with, a batch at a time.
    epochs : range
        The numbers of the epochs.
    batch_size, verbose, callbacks, shuffle, steps_per_epoch, validation_steps, validation_freq
        As `Model.fit` takes them.
    resume : Resume
        What a crash has left of this training.

    Returns
    -------
    History
    """
    callbacks = checked_callbacks(callbacks)
    share_random_states()
    verbose = verbose if is_first() else 0
    shuffle = _checked_shuffle(ins, shuffle, steps_per_epoch)
    validates = _plans_validation(val_ins, steps_per_epoch, validation_steps)
    samples = check_num_samples(ins, batch_size, steps_per_epoch, "steps_per_epoch")
    model._make_train_function()
    if validates:
        model._make_test_function()
    if verbose and ins and val_ins:
        print(f"Train on {ins[0].shape[0]} samples, validate on {val_ins[0].shape[0]} samples")
    labels = list(model.metrics_names)
    params = {
        "batch_size": batch_size,
        "epochs": epochs.stop,
        "steps": steps_per_epoch,
        "samples": samples,
        "verbose": verbose,
        "do_validation": validates,
        "metrics": labels + [f"val_{label}" for label in labels] if validates else labels,
    }
    batches = ArrayEpochs(model, ins, samples or 0, batch_size, shuffle, steps_per_epoch)

    def validate() -> Sequence[Any]:
        outs = test_loop(model, model.test_function, val_ins, batch_size=batch_size, steps=validation_steps)
        return outs if isinstance(outs, list) else [outs]

    callback_list = prepare_callbacks(model, callbacks, params, val_ins or [])
    resume.begin([], **settings_of(model, epochs, params))
    checks = (validate if validates else None, validation_freq)
    history = run_epochs(model, batches, callback_list, epochs, *checks, resume)
    resume.end()
    return history


class ArrayEpochs:
    """Cuts arrays into batches, in another order each epoch; called at the beginning of each.

    Parameters
    ----------
    model, ins, batch_size, shuffle, steps_per_epoch
        As of `fit_loop`.
    samples : int
    """

    leaves_random_state = True

    def __init__(
        self,
        model: TrainedModel,
        ins: Sequence[Any],
        samples: int,
        batch_size: int | None,
        shuffle: bool | str,
        steps_per_epoch: int | None,
    ) -> None:
        self._ins, self._reader = ins, Batches(ins, model._feed_inputs, model.train_function)
        self._order = np.arange(samples)
        self._batch_size, self._shuffle, self._steps = batch_size or 1, shuffle, steps_per_epoch
        self._done = 0  # batches of this epoch
        self._shared = True  # whether all ranks have this order

    def new_epoch(self) -> None:
        """See `Epochs.new_epoch`."""
        self._done = 0
        if self._steps is None:
            self._draw_order()
            self._shared = False

    def share(self) -> None:
        """See `Epochs.share`."""
        if not self._shared:
            self._order = share_order(self._order)
            self._shared = True

    def __call__(self) -> Iterator[Batch]:
        first = self._done
        if self._steps is not None:
            left: Iterator[Batch] = ((1, list(self._ins)) for _ in range(self._steps - first))
        else:
            left = _epoch_of_batches(self._reader, self._order, self._batch_size, self._shuffle, first)
        for batch in left:
            self._done += 1
            yield batch

    def _draw_order(self) -> None:
        if self._shuffle == "batch":
            self._order = batch_shuffle(self._order, self._batch_size)
        elif self._shuffle:
            np.random.shuffle(self._order)

    def state_dict(self) -> dict[str, Any]:
        """See `Data.state_dict`."""
        return {"order": self._order, "done": self._done, "shared": self._shared}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Data.load_state_dict`."""
        self._order, self._done, self._shared = state["order"], state["done"], state["shared"]


def prepare_callbacks(
    model: TrainedModel,
    callbacks: Iterable[Any] | None,
    params: dict[str, Any],
    validation_data: Sequence[Any] | None,
) -> cbks.CallbackList:
    """The user's callbacks between those of every training: averages and progress first, history last."""
    stateful = model.stateful_metric_names
    model.history = cbks.History()
    chain: list[Any] = [cbks.BaseLogger(stateful_metrics=stateful)]
    if params["verbose"]:
        chain.append(
            cbks.ProgbarLogger("samples" if params["steps"] is None else "steps", stateful_metrics=stateful)
        )
    callback_list = cbks.CallbackList([*chain, *quietly(callbacks or ()), model.history])
    callback_list.set_model(callback_model(model))
    callback_list.set_params(params)
    for callback in callback_list:
        callback.validation_data = validation_data
    return callback_list


def checked_callbacks(callbacks: Any) -> list[Any]:
    """The callbacks as a list. TypeError where there is something else."""
    given = callbacks or []
    if not isinstance(given, Iterable):
        raise TypeError(f"`callbacks` should be a list of callbacks, got {callbacks!r}")
    given = list(given)
    for callback in given:
        # Whatever has the methods will do, as in Keras; a class lacks the object.
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            raise TypeError(f"`callbacks` should hold callbacks, got {callback!r}")
    return given


def _plans_validation(
    val_ins: Sequence[Any] | None, steps_per_epoch: int | None, validation_steps: int | None
) -> bool:
    if validation_steps:
        if steps_per_epoch is None:
            raise ValueError(
                "Can only use `validation_steps` when doing step-wise training, i.e. `steps_per_epoch` "
                "must be set."
            )
        return True
    if val_ins is None:
        return False
    if steps_per_epoch:
        raise ValueError(
            "Must specify `validation_steps` to perform validation when doing step-wise training."
        )
    return True


def _checked_shuffle(ins: Sequence[Any], shuffle: bool | str, steps: int | None) -> bool | str:
    if isinstance(shuffle, str):
        if shuffle != "batch":
            raise ValueError(f"`shuffle` should be True, False or 'batch', got {shuffle!r}")
        return shuffle
    if shuffle and steps is None and any(is_dataset(x) for x in ins):
        raise TypeError(
            "Rows of data in a file cannot be read in any order. If using HDF5 input data, pass "
            'shuffle="batch".'
        )
    return bool(shuffle)


def _epoch_of_batches(
    reader: Batches, order: np.ndarray, batch_size: int, shuffle: bool | str, first: int
) -> Iterator[Batch]:
    for start, stop in make_batches(len(order), batch_size)[first:]:
        if shuffle is True:
            yield stop - start, reader.take(order[start:stop])
        else:
            first = int(order[start])
            yield stop - start, reader.rows(first, first + stop - start)


def _steps_or_batches(
    model: TrainedModel,
    f: Function,
    ins: Sequence[Any],
    samples: int | None,
    batch_size: int | None,
    steps: int | None,
) -> Iterator[Call]:
    if steps is not None:
        for step in range(steps):
            yield step + 1, 1, list(ins)
        return
    reader = Batches(ins, model._feed_inputs, f)
    for start, stop in make_batches(samples or 0, batch_size or 32):
        yield stop, stop - start, reader.rows(start, stop)


def progress_bar(verbose: int, samples: int | None, steps: int | None) -> Callable[[int], None]:
    """What moves a bar to a number of samples, or of steps; it does nothing unless `verbose` is 1."""
    if verbose != 1 or not is_first():
        return lambda done: None
    return Progbar(target=samples if steps is None else steps).update


def predict_loop(
    model: TrainedModel,
    f: Function,
    ins: Sequence[Any],
    batch_size: int | None = 32,
    verbose: int = 0,
    steps: int | None = None,
) -> Any:
    """The outputs of `f` for all samples.

    Returns
    -------
    ndarray or list of ndarray
        One for each output.
    """
    samples = check_num_samples(ins, batch_size, steps, "steps")
    progress = progress_bar(verbose, samples, steps)
    calls = _steps_or_batches(model, f, ins, samples, batch_size, steps)
    if samples is None:
        return join_outputs(model, f, calls, progress)
    outs: list[np.ndarray] = []
    for done, rows, batch in calls:
        values = f(batch)
        # Filled as it comes, so that the results never lie in memory twice.
        outs = outs or [np.empty((samples, *value.shape[1:]), value.dtype) for value in values]
        _fill(outs, values, slice(done - rows, done), model.output_names)
        progress(done)
    return unpack_singleton(shown(model.outputs, outs))


def join_outputs(
    model: TrainedModel, f: Function, calls: Iterable[Call], progress: Callable[[int], None]
) -> Any:
    """The outputs of all calls of `f`, one after another, where their number of samples is not known before.

    Returns
    -------
    ndarray or list of ndarray
        One for each output.
    """
    parts: list[list[np.ndarray]] = []
    for done, _, batch in calls:
        values = f(batch)
        parts = parts or [[] for _ in values]
        for part, value in zip(parts, values, strict=True):
            part.append(value)
        progress(done)
    return unpack_singleton(shown(model.outputs, [np.concatenate(part) for part in parts]))


def _fill(outs: Sequence[np.ndarray], values: Sequence[Any], rows: slice, names: Sequence[str]) -> None:
    for out, value, name in zip(outs, values, names, strict=True):
        target = out[rows]
        if value.shape != target.shape:
            raise ValueError(
                f"output {name}: expected one row for each sample of a batch, {target.shape}, "
                f"got shape {value.shape}"
            )
        target[...] = value


def test_loop(
    model: TrainedModel,
    f: Function,
    ins: Sequence[Any] | None,
    batch_size: int | None = None,
    verbose: int = 0,
    steps: int | None = None,
) -> Any:
    """Loss and metrics over all samples: weighted by the sizes of batches, stateful metrics as they end.

    Returns
    -------
    np.float64 or list of np.float64
    """
    samples = check_num_samples(ins or (), batch_size, steps, "steps")
    calls = _steps_or_batches(model, f, ins or (), samples, batch_size, steps)
    return average_outputs(model, f, calls, progress_bar(verbose, samples, steps))


def average_outputs(
    model: TrainedModel, f: Function, calls: Iterable[Call], progress: Callable[[int], None]
) -> Any:
    """Loss and metrics over all calls of a test function, weighted; stateful metrics as they end.

    Returns
    -------
    np.float64 or list of np.float64
    """
    for metric in model.stateful_metric_functions:
        metric.reset_states()
    stateful = {i for i, name in enumerate(model.metrics_names) if name in model.stateful_metric_names}
    outs: list[Any] = []
    total = 0
    for done, weight, batch in calls:
        values = [np.asarray(value, np.float64)[()] for value in f(batch)]
        outs = outs or [0.0 for _ in values]
        outs = [value if i in stateful else outs[i] + value * weight for i, value in enumerate(values)]
        total += weight
        progress(done)
    return unpack_singleton([out if i in stateful else out / total for i, out in enumerate(outs)])
