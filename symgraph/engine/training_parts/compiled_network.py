"""Networks with an objective: `compile`, and the three functions that it makes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from symgraph import backend as K
from symgraph import optimizers
from symgraph.compiler.observe.guard import as_guard
from symgraph.distributed.function import DividedFunction, model_function
from symgraph.engine.layer.rollback import unchanged_on_error
from symgraph.engine.network import Network
from symgraph.engine.training_parts.frozen_norms import warn_of_frozen_norms
from symgraph.engine.training_parts.objective import Objective, build_objective, resolve_losses
from symgraph.engine.training_parts.old_calls import without_old_modes
from symgraph.graph.tensor import Tensor
from symgraph.utils.warn_user import warn_user


class CompiledNetwork(Network):
    """A network that `compile` gives a loss, metrics, an optimizer and functions to train, test and predict.

    Attributes
    ----------
    optimizer, loss, metrics, loss_weights, sample_weight_mode, weighted_metrics
        As given to `compile`.
    metrics_names : list of str
        What `evaluate` and `train_on_batch` return, in that order.
    metrics_tensors : list of Tensor
        The scalars behind `metrics_names[1:]`. Entries that are added before training are reported too.
    train_function, test_function, predict_function : Function or None
        Compiled by `compile`; set one to None to have it made again at its next use. They follow the layers:
        `predict_function` at once, the others when `fit` or `evaluate` compile a changed model again. A call
        takes the arrays for inputs (targets, sample weights), and may have the learning phase behind them.
    """

    _nan_guard: bool | str = False
    #: The inputs and outputs that losses were written for, and those of the predict function.
    _compiled_ends: Sequence[Tensor] = ()
    _predicted_ends: Sequence[Tensor] = ()
    #: Inputs and targets of a model that was built for tensors of the graph: its data where none are given.
    _first_tensors: tuple[Any, Any] | None = None
    train_function: Any
    test_function: Any
    predict_function: Any
    history: Any

    def _set_inputs(self, inputs: Any) -> None:
        """Build for the shapes of the first data."""
        raise NotImplementedError

    def compile(
        self,
        optimizer: Any,
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        sample_weight_mode: Any = None,
        weighted_metrics: Any = None,
        target_tensors: Any = None,
        nan_guard: bool | str = False,
        **kwargs: Any,
    ) -> None:
        """Prepare for training: write losses, metrics and updates, and compile the three functions.

        A model whose input shape is not known yet keeps the arguments and does this when it sees the first
        data.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str, callable, list or dict
            One for all outputs, or one for each. `loss(y_true, y_pred)` gives a value per sample.
        metrics : list or dict
            Metrics for every output, or by output name. 'accuracy' is chosen to suit the output and the loss.
        loss_weights : list or dict of float, optional
            Factors of the outputs' losses in the total.
        sample_weight_mode : str, list or dict, optional
            'temporal' for outputs with a weight per time step.
        weighted_metrics : list or dict
            Metrics to which sample weights and class weights apply.
        target_tensors : Tensor, list or dict, optional
            Targets that come from the graph instead of from the user.
        options, run_metadata : RunOptions, RunMetadata, optional
            `run_metadata` gets the times of every call of the three functions.
        nan_guard : bool or "nan"
            Whether the first NaN or infinity ends training, evaluation and prediction with an error that
            names its layer; the weights are those before the step then. ``"nan"`` allows infinities. See
            `symgraph.Function`.

        Raises
        ------
        ValueError, TypeError
            If an argument does not suit the model. Model and optimizer are then as they were before.
        """
        kwargs = without_old_modes(kwargs)
        unknown = sorted(set(kwargs) - {"options", "run_metadata"})
        if unknown:
            raise TypeError(f"compile: unrecognized keyword arguments {unknown}")
        optimizer = optimizers.get(optimizer)
        as_guard(nan_guard)
        with unchanged_on_error([self, optimizer], parts=False):
            self.optimizer = optimizer
            self._nan_guard = nan_guard
            self.loss = loss or []
            self.metrics = metrics or []
            self.loss_weights = loss_weights
            self.sample_weight_mode = sample_weight_mode
            self.weighted_metrics = weighted_metrics
            self._function_kwargs = kwargs
            self._is_compiled = bool(self.built)
            if self.built:
                self._compile(target_tensors)
            elif not isinstance(loss, list | tuple | dict):
                resolve_losses(loss, [""])

    def _compile(self, target_tensors: Any) -> None:
        """Write the graph of the objective and make the functions."""
        objective = build_objective(
            self,
            self.loss or None,
            self.metrics,
            self.loss_weights,
            self.sample_weight_mode,
            self.weighted_metrics,
            target_tensors,
        )
        self._adopt(objective)
        warn_of_frozen_norms(self)
        self._collected_trainable_weights = self.trainable_weights
        self.train_function = self.test_function = self.predict_function = None
        # What cannot be trained can be evaluated: training will say so, as in Keras.
        with contextlib.suppress(optimizers.NoGradientError):
            self._make_train_function()
        self._make_test_function()
        self._make_predict_function()

    def _adopt(self, objective: Objective) -> None:
        """Take over the nodes of `objective` under Keras' names."""
        fed = objective.fed
        self.loss_functions = objective.loss_functions
        self.total_loss = objective.total_loss
        self.targets = objective.targets
        self.sample_weights = objective.sample_weights
        self.sample_weight_modes = objective.sample_weight_modes
        self.metrics_names = objective.metrics_names
        self.metrics_tensors = objective.metrics_tensors
        self.metrics_updates = objective.metrics_updates
        self.stateful_metric_names = objective.stateful_metric_names
        self.stateful_metric_functions = objective.stateful_metric_functions
        self._feed_outputs = [self.outputs[i] for i in fed]
        self._feed_output_names = [self.output_names[i] for i in fed]
        self._feed_output_shapes = [K.int_shape(self.outputs[i]) for i in fed]
        self._feed_loss_fns = [objective.loss_functions[i] for i in fed]
        self._feed_targets = [objective.targets[i] for i in fed]
        self._feed_sample_weights = [objective.sample_weights[i] for i in fed]
        self._feed_sample_weight_modes = [objective.sample_weight_modes[i] for i in fed]
        self._compiled_ends = self._ends()
        self._fetched: dict[str, list[Tensor]] = {}
        self._training_updates: list[Any] = []

    def _ends(self) -> list[Tensor]:
        return [*self._feed_inputs, *self.outputs]

    def _compile_again(self) -> None:
        """Compile with the arguments of before: for the shapes of first data, or for layers that changed."""
        self.compile(
            self.optimizer,
            self.loss,
            metrics=self.metrics,
            loss_weights=self.loss_weights,
            sample_weight_mode=self.sample_weight_mode,
            weighted_metrics=self.weighted_metrics,
            nan_guard=self._nan_guard,
            **self._function_kwargs,
        )

    def _check_objective(self) -> None:
        """RuntimeError where `compile` was never called, or for other inputs and outputs."""
        if not hasattr(self, "train_function"):
            raise RuntimeError("You must compile your model before using it.")
        if not _same(self._compiled_ends, self._ends()):
            raise RuntimeError(
                f"The inputs or outputs of {self.name} are no longer those that it was compiled for. "
                "Use `model.compile(optimizer, loss)` again before training or testing."
            )

    def _is_current(self, name: str) -> bool:
        """Whether the function `name` exists and returns the present loss and metrics."""
        wanted = [self.total_loss, *self.metrics_tensors]
        return getattr(self, name) is not None and _same(self._fetched.get(name, ()), wanted)

    def _check_trainable_weights_consistency(self) -> None:
        collected = getattr(self, "_collected_trainable_weights", None)
        if collected is not None and len(self.trainable_weights) != len(collected):
            warn_user(
                "Discrepancy between trainable weights and collected trainable weights, did you set "
                "`model.trainable` without calling `model.compile` after ?",
            )

    def _make_train_function(self) -> None:
        self._check_objective()
        self._check_trainable_weights_consistency()
        if self._is_current("train_function"):
            return
        if self.train_function is None:
            # The optimizer starts with new moments; where only metrics were added it keeps those it has.
            with K.name_scope("training"), K.name_scope(type(self.optimizer).__name__):
                self._training_updates = optimizers.updates_of(
                    self.optimizer, self.total_loss, self._collected_trainable_weights
                )
        self.train_function = self._objective_function(
            "train_function", 1, self.updates + self._training_updates + self.metrics_updates
        )

    def _make_test_function(self) -> None:
        self._check_objective()
        if not self._is_current("test_function"):
            self.test_function = self._objective_function(
                "test_function", 0, self.state_updates + self.metrics_updates
            )

    def _objective_function(self, name: str, phase: int, updates: list[Any]) -> Any:
        """A function from inputs, targets and sample weights to loss and metrics."""
        fetched = [self.total_loss, *self.metrics_tensors]
        function = model_function(
            _phase(phase),
            self._feed_inputs + self._feed_targets + self._feed_sample_weights,
            fetched,
            _one_per_variable(updates),
            name,
            **self._function_kwargs,
            nan_guard=self._nan_guard,
        )
        if not isinstance(function, DividedFunction):
            # Losses may take the logits and leave the output out.
            function.known.update(zip(self.output_names, self.outputs, strict=True))
        self._fetched[name] = fetched
        return function

    def _make_predict_function(self) -> None:
        wanted = self._ends()
        current = _same(self._predicted_ends, wanted)
        if getattr(self, "predict_function", None) is None or not current:
            self.predict_function = model_function(
                _phase(0),
                self._feed_inputs,
                self.outputs,
                _one_per_variable(self.state_updates),
                "predict_function",
                **getattr(self, "_function_kwargs", {}),
                nan_guard=self._nan_guard,
            )
            self._predicted_ends = wanted


def _same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two sequences hold identical objects."""
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


def _one_per_variable(updates: Sequence[Any]) -> list[Any]:
    """Updates of different variables. Several of one variable (a layer called twice) add up their changes."""
    changes: dict[int, tuple[Any, list[Any]]] = {}
    for variable, value in updates:
        changes.setdefault(id(variable), (variable, []))[1].append(value)
    merged = []
    for variable, values in changes.values():
        total = values[0]
        for value in values[1:]:
            total = total + (value - variable)
        merged.append((variable, total))
    return merged


def _phase(value: int) -> int:
    """The learning phase `value`, unless `K.set_learning_phase` has fixed another."""
    phase = K.learning_phase()
    return value if K.is_tensor(phase) else int(phase)
