"""`Model`: a network with training, evaluation and prediction, as in Keras 2.2.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symgraph import backend as K
from symgraph.callbacks import History
from symgraph.compiler.observe.profile import Profile
from symgraph.compiler.observe.taps import Callback
from symgraph.compiler.run.results import shown
from symgraph.engine.data.checks import check_epochs
from symgraph.engine.data.feed import (
    Feed,
    joined,
    split_off,
    standardized,
    standardized_pair,
    unbuilt_on_error,
    validation_part,
)
from symgraph.engine.data.symbolic import sizes
from symgraph.engine.layer.rollback import unchanged_on_error
from symgraph.engine.training_parts import loops
from symgraph.engine.training_parts.epochs import checked_frequency, scalar
from symgraph.engine.training_parts.generator_methods import GeneratorMethods
from symgraph.engine.training_parts.generators import makes_batches
from symgraph.engine.training_parts.observed import observed, profiled
from symgraph.engine.training_parts.old_calls import shows_accuracy, take_accuracy
from symgraph.engine.training_parts.resume import resumed_training
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import topological
from symgraph.inspection.text.checks import CheckReport
from symgraph.metrics.base import Metric
from symgraph.utils.generic_utils import check_count, slice_arrays, to_list, unpack_singleton
from symgraph.utils.warn_user import warn_old, warn_user

__all__ = ["Model"]


class Model(GeneratorMethods):
    """A network with training.

    `Model(inputs, outputs)` joins the tensors of a graph of layers; see `Network`. `compile` comes before
    training.

    Attributes
    ----------
    history : History
        Of the last `fit`.
    stop_training : bool
        A callback that sets this ends `fit` after the batch or the epoch.
    """

    history: History

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        profile: bool | Profile = False,
        taps: Mapping[str, Callback] | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        validation_freq: Any = 1,
        **kwargs: Any,
    ) -> Any:
        """Train for a number of epochs.

        Parameters
        ----------
        x, y : array or tensor, list or dict of them
            Samples and targets, by position or by the names of inputs and outputs. Tensors of the graph need
            a known batch size, and are computed anew at each of `steps_per_epoch` steps. `x` alone may be a
            generator or a `Sequence`, as `fit_generator` takes it.
        batch_size : int, optional
            Samples per update, default 32.
        epochs, initial_epoch : int
            The epochs to end and to start at, counted from 0.
        verbose : int
            0 is silent, 1 shows a bar, 2 prints a line per epoch.
        callbacks : list of Callback, optional
        validation_split, validation_data : float; (x, y) or (x, y, sample_weight)
            What to evaluate after each epoch: a share of the samples, from their end, or data of its own.
        shuffle : bool or 'batch'
            Shuffle the samples before each epoch; 'batch' shuffles whole batches, as HDF5 data need it.
        class_weight : dict, optional
            From class numbers to weights of their samples in the loss.
        sample_weight : array, optional
            Weights in the loss, one per sample (or per sample and step, see `sample_weight_mode`).
        steps_per_epoch, validation_steps : int, optional
            Lengths of an epoch and of a validation where the data come from the graph.
        profile : bool or Profile
            Time what runs: the History, and the model, get a `profile`.
        taps : dict of name to callable, optional
            ``callback(name, value, info)`` gets the value of a layer's output, or of any node, at every step:
            see `symgraph.tap`. Training is the same bit for bit.
        max_queue_size, workers, use_multiprocessing
            Who makes the batches of a `Sequence`, see `fit_generator`.
        validation_freq : int or list of int
            Evaluate after every so many epochs, or after those of these numbers, from 1.
        **kwargs
            Of Keras 1, with a warning: `nb_epoch`, the old name of `epochs`; `show_accuracy`.

        Returns
        -------
        History
            `.history` has lists of loss and metrics, one entry per epoch.

        Raises
        ------
        RuntimeError
            If the model was never compiled.
        ValueError, TypeError
            If the data do not suit the model. If that shows in the middle of an epoch, the weights are those
            after the last whole batch.
        """
        if "nb_epoch" in kwargs:
            warn_old("The `nb_epoch` argument in `fit` has been renamed `epochs`.")
            epochs = kwargs.pop("nb_epoch")
        take_accuracy(self, "fit", kwargs)
        if kwargs:
            raise TypeError(f"fit: unrecognized keyword arguments {sorted(kwargs)}")
        validation_freq = checked_frequency(validation_freq)
        if makes_batches(x):
            _refuse_beside_batches(
                y=y,
                sample_weight=sample_weight,
                batch_size=batch_size,
                validation_split=validation_split or None,
            )
            return self.fit_generator(
                x,
                steps_per_epoch,
                epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_data=validation_data,
                validation_steps=validation_steps,
                class_weight=class_weight,
                max_queue_size=max_queue_size,
                workers=workers,
                use_multiprocessing=use_multiprocessing,
                shuffle=bool(shuffle),
                initial_epoch=initial_epoch,
                profile=profile,
                taps=taps,
                validation_freq=validation_freq,
            )
        self._check_compiled()
        batch_size = _checked_batch_size(batch_size, steps_per_epoch, "steps_per_epoch")
        check_epochs(epochs, initial_epoch)
        if validation_steps is not None:
            check_count(validation_steps, "validation_steps", 1)
        _check_has_data(x, y, steps_per_epoch, "fitting", "steps_per_epoch")
        with unbuilt_on_error(self):
            feed = standardized_pair(self, x, y, sample_weight, class_weight, batch_size)
            ins, val_ins = _parts(self, feed, validation_data, validation_split, batch_size)
        numbers, steps = range(initial_epoch, epochs), (steps_per_epoch, validation_steps, validation_freq)
        with resumed_training(self) as resume:
            self._make_train_function()
            with observed(self, profile, taps):
                history = loops.fit_loop(
                    self, ins, val_ins, batch_size, numbers, verbose, callbacks, shuffle, *steps, resume
                )
        if profile is not False:
            history.profile = self.profile
        return history

    @shows_accuracy
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int = 1,
        sample_weight: Any = None,
        steps: int | None = None,
        profile: bool | Profile = False,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> Any:
        """Loss and metrics in test mode, averaged over all samples.

        Parameters
        ----------
        x, y, batch_size, sample_weight, max_queue_size, workers, use_multiprocessing
            As in `fit`.
        verbose : int
            0 is silent, 1 shows a bar.
        steps : int, optional
            Batches, where the data come from the graph.
        profile : bool or Profile
            Time what runs: the model gets a `profile`.

        Returns
        -------
        np.float64 or list of np.float64
            The loss, or a list in the order of `metrics_names` if there is more than that.
        """
        self._check_compiled()
        if makes_batches(x):
            _refuse_beside_batches(y=y, sample_weight=sample_weight, batch_size=batch_size)
            return self.evaluate_generator(
                x,
                steps,
                max_queue_size=max_queue_size,
                workers=workers,
                use_multiprocessing=use_multiprocessing,
                verbose=verbose,
                profile=profile,
            )
        batch_size = _checked_batch_size(batch_size, steps)
        _check_has_data(x, y, steps, "evaluating", "steps")
        feed = standardized_pair(self, x, y, sample_weight, batch_size=batch_size)
        self._make_test_function()
        with profiled(self, profile):
            return loops.test_loop(
                self, self.test_function, joined(feed), batch_size=batch_size, verbose=verbose, steps=steps
            )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int = 0,
        steps: int | None = None,
        profile: bool | Profile = False,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> Any:
        """The outputs for the samples `x`, computed batch by batch in test mode.

        Parameters
        ----------
        x, batch_size, verbose, steps, profile, max_queue_size, workers, use_multiprocessing
            As in `evaluate`.

        Returns
        -------
        ndarray or list of ndarray
            One for each output.
        """
        if makes_batches(x):
            _refuse_beside_batches(batch_size=batch_size)
            return self.predict_generator(
                x,
                steps,
                max_queue_size=max_queue_size,
                workers=workers,
                use_multiprocessing=use_multiprocessing,
                verbose=verbose,
                profile=profile,
            )
        batch_size = _checked_batch_size(batch_size, steps)
        _check_has_data(x, None, steps, "predicting", "steps")
        inputs, _, _ = standardized(self, x)
        if self.stateful and batch_size and inputs:
            samples = sizes(inputs[0])[0] or 0
            if samples > batch_size and samples % batch_size != 0:
                raise ValueError(
                    "In a stateful network, you should only pass inputs with a number of samples that can "
                    f"be divided by the batch size. Found: {samples} samples. Batch size: {batch_size}."
                )
        self._make_predict_function()
        with profiled(self, profile):
            return loops.predict_loop(
                self, self.predict_function, inputs, batch_size=batch_size, verbose=verbose, steps=steps
            )

    @shows_accuracy
    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Any = None,
        reset_metrics: bool = True,
    ) -> Any:
        """One update with one batch.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As in `fit`.
        reset_metrics : bool
            Whether metric objects (`metrics.AUC()`) tell of this batch alone, or of all since they were
            reset. Layers as metrics always go on counting, as in Keras 2.2.4.

        Returns
        -------
        number of numpy or list of them
            Of the model's dtype: loss and metrics before the update, in the order of `metrics_names`.
        """
        self._check_compiled()
        feed = standardized_pair(self, x, y, sample_weight, class_weight)
        self._make_train_function()
        if reset_metrics:
            _reset_metric_objects(self)
        return _numbers(self.train_function(_whole(self, feed)))

    @shows_accuracy
    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, reset_metrics: bool = True) -> Any:
        """Loss and metrics of one batch in test mode; arguments and results as of `train_on_batch`."""
        self._check_compiled()
        feed = standardized_pair(self, x, y, sample_weight)
        self._make_test_function()
        if reset_metrics:
            _reset_metric_objects(self)
        return _numbers(self.test_function(_whole(self, feed)))

    def reset_metrics(self) -> None:
        """Let all metrics that count over batches begin anew."""
        for metric in self.stateful_metric_functions:
            metric.reset_states()

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, in test mode."""
        feed = standardized(self, x)
        self._make_predict_function()
        return unpack_singleton(shown(self.outputs, self.predict_function(_whole(self, feed))))

    def check(self, x: Any, y: Any, sample_weight: Any = None) -> CheckReport:
        """Compare every kernel of one training step with its numpy reference, on the values of this batch.

        Weights stay as they are. See `symgraph.Function.check`.
        """
        self._check_compiled()
        feed = standardized_pair(self, x, y, sample_weight)
        self._make_train_function()
        report: CheckReport = self.train_function.check(_whole(self, feed))
        return report

    def _set_inputs(self, inputs: Any) -> None:
        """Write the graph of a subclass with a `call` of its own, for the shapes of the first data."""
        arrays = to_list(inputs, allow_tuple=True)
        names = [f"input_{i + 1}" for i in range(len(arrays))]
        with unchanged_on_error([self]):
            # Samples that are single numbers become (samples, 1).
            shapes = [(None, *(sizes(array)[1:] or (1,))) for array in arrays]
            self.inputs = [K.placeholder(shape, name=name) for shape, name in zip(shapes, names, strict=True)]
            self.outputs = to_list(self.call(unpack_singleton(self.inputs)), allow_tuple=True)
            self.input_names = self._feed_input_names = names
            self.output_names = [f"output_{i + 1}" for i in range(len(self.outputs))]
            self._feed_inputs = self.inputs
            self._feed_input_shapes = shapes
            self.built = True
        _warn_of_unknown_layers(self)


def slice_X(X: Any, start: Any = None, stop: int | None = None) -> Any:
    """`slice_arrays`, by the name that it had in Keras 1; with a warning."""
    warn_old("`slice_X` is `keras.utils.generic_utils.slice_arrays` since Keras 2.")
    return slice_arrays(X, start, stop)


def _warn_of_unknown_layers(model: Model) -> None:
    """Warn of layers that a subclass calls but does not track, for instance because they are in a list."""
    known = {id(weight) for weight in model.weights}
    strange = {
        node.origins[0].layer: None
        for node in topological(model.outputs)
        if isinstance(node, Variable) and node.default_update is None and id(node) not in known
    }
    names = [name for name in strange if name is not None]
    if names:
        warn_user(
            f"{model.name} uses weights of layers that are not its attributes: {', '.join(names)}; they "
            "are not trained, saved or counted. Keep each layer in an attribute of its own, not in a list.",
        )


def _whole(model: Model, feed: Feed) -> list[Any]:
    """What a function is fed with for all samples at once."""
    return loops.Batches(joined(feed), model._feed_inputs).whole()


def _reset_metric_objects(model: Model) -> None:
    """Let the metric objects of a compiled model begin anew, and leave layers as metrics alone."""
    for metric in model.stateful_metric_functions:
        if isinstance(metric, Metric):
            metric.reset_states()


def _numbers(outputs: Sequence[Any]) -> Any:
    return unpack_singleton([scalar(value) for value in outputs])


def _checked_batch_size(batch_size: int | None, steps: int | None, steps_name: str = "steps") -> int | None:
    """`batch_size`, or 32 where neither it nor the number of steps is given."""
    for value, name in ((steps, steps_name), (batch_size, "batch_size")):
        if value is not None:
            check_count(value, name, 1)
    return 32 if batch_size is None and steps is None else batch_size


def _parts(
    model: Model, feed: Feed, validation_data: Any, validation_split: float, batch_size: int | None
) -> tuple[list[Any], list[Any] | None]:
    """What to train on, and what to evaluate after each epoch."""
    if validation_data is not None:
        return joined(feed), joined(validation_part(model, validation_data, batch_size))
    if not validation_split:
        return joined(feed), None
    feed, held_out = split_off(feed, validation_split)
    return joined(feed), joined(held_out)


def _check_has_data(x: Any, y: Any, steps: int | None, doing: str, argument: str) -> None:
    if x is None and y is None and steps is None:
        raise ValueError(f"If {doing} from data tensors, you should specify the `{argument}` argument.")


def _refuse_beside_batches(**arguments: Any) -> None:
    """ValueError for what only arrays need."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"`{name}` cannot be given where `x` is a generator or a `Sequence`: batches have inputs, "
                "targets and sample weights, and sizes of their own"
            )
