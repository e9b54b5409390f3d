"""The methods of `Model` that take batches instead of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from symgraph.compiler.observe.profile import Profile
from symgraph.compiler.observe.taps import Callback
from symgraph.engine.data.checks import check_epochs
from symgraph.engine.data.feed import NOT_COMPILED
from symgraph.engine.training_parts import generators
from symgraph.engine.training_parts.compiled_network import CompiledNetwork
from symgraph.engine.training_parts.epochs import checked_frequency
from symgraph.engine.training_parts.generators import Workers
from symgraph.engine.training_parts.observed import observed, profiled
from symgraph.engine.training_parts.old_calls import generator_method, shows_accuracy
from symgraph.engine.training_parts.resume import resumed_training


class GeneratorMethods(CompiledNetwork):
    """Training, evaluation and prediction with batches that others make.

    Attributes
    ----------
    profile : Profile
        Of the last training, evaluation or prediction that was profiled.
    """

    profile: Profile

    @shows_accuracy
    @generator_method
    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: float | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: float | None = None,
        class_weight: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
        profile: bool | Profile = False,
        taps: Mapping[str, Callback] | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Train on batches that are made while the model trains on those before.

        Parameters
        ----------
        generator : generator or Sequence
            Of batches: (inputs, targets) or (inputs, targets, sample weights), each as in `fit`. Their sizes
            may differ.
        steps_per_epoch : int, optional
            Batches in an epoch; a Sequence knows it. A fraction counts as a whole batch.
        epochs, initial_epoch, verbose, callbacks, class_weight, profile, taps, validation_freq
            As in `fit`.
        validation_data : generator, Sequence, (x, y) or (x, y, sample_weight), optional
        validation_steps : int, optional
            Batches of a validation by a generator or a Sequence; a Sequence knows it.
        max_queue_size : int
            Batches that may be ready, or under way, before they are used.
        workers : int
            Threads or processes that make batches of a Sequence; a generator is run by one thread. With 0 the
            thread that trains makes them.
        use_multiprocessing : bool
            Processes instead of threads, for a Sequence that can be pickled in a script with a main guard.
        shuffle : bool
            Another order of the batches of a Sequence in each pass.

        Returns
        -------
        History
            `.history` has lists of loss and metrics, one entry per epoch. A generator that ends too early
            gives a warning, and ends the training.

        Raises
        ------
        RuntimeError
            If the model was never compiled, or a worker process died.
        ValueError, TypeError
            If batches do not suit the model. The weights are those after the last good batch.
        Exception
            What the generator or the Sequence raised.
        """
        self._check_compiled()
        check_epochs(epochs, initial_epoch)
        with resumed_training(self) as resume:
            history = generators.fit_generator(
                self,
                generator,
                steps_per_epoch,
                range(initial_epoch, epochs),
                verbose,
                callbacks,
                validation_data,
                validation_steps,
                class_weight,
                Workers(workers, max_queue_size, use_multiprocessing),
                shuffle,
                partial(observed, self, profile, taps),
                checked_frequency(validation_freq),
                resume,
            )
        if profile is not False:
            history.profile = self.profile
        return history

    @shows_accuracy
    @generator_method
    def evaluate_generator(
        self,
        generator: Any,
        steps: float | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
        profile: bool | Profile = False,
    ) -> Any:
        """Loss and metrics in test mode, averaged over all samples of the batches.

        Parameters
        ----------
        generator, max_queue_size, workers, use_multiprocessing
            As in `fit_generator`.
        steps : int, optional
            Batches; a Sequence knows it.
        verbose : int
            0 is silent, 1 shows a bar.
        profile : bool or Profile
            Time what runs: the model gets a `profile`.

        Returns
        -------
        np.float64 or list of np.float64
            The loss, or a list in the order of `metrics_names` if there is more than that.
        """
        self._check_compiled()
        made_by = Workers(workers, max_queue_size, use_multiprocessing)
        with profiled(self, profile):
            return generators.evaluate_generator(self, generator, steps, made_by, verbose)

    @shows_accuracy
    @generator_method
    def predict_generator(
        self,
        generator: Any,
        steps: float | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
        profile: bool | Profile = False,
    ) -> Any:
        """The outputs for all batches, in test mode.

        Parameters
        ----------
        generator : generator or Sequence
            Of inputs, or of tuples as in `fit_generator`, whose inputs count.
        steps, max_queue_size, workers, use_multiprocessing, verbose, profile
            As in `evaluate_generator`.

        Returns
        -------
        ndarray or list of ndarray
            One for each output.
        """
        made_by = Workers(workers, max_queue_size, use_multiprocessing)
        with profiled(self, profile):
            return generators.predict_generator(self, generator, steps, made_by, verbose)

    def _check_compiled(self) -> None:
        if self.optimizer is None:
            raise RuntimeError(NOT_COMPILED)
