"""The loops of `fit_generator`, `evaluate_generator` and `predict_generator`: batches come ready made."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from symgraph.distributed.elastic import at_most_once
from symgraph.distributed.rows import OwnRows, exchanged_bounds
from symgraph.distributed.shards import ShardedSequence, shared_out
from symgraph.distributed.together import is_first, share_random_states
from symgraph.distributed.world import world
from symgraph.engine.data.feed import FedModel, Feed, joined, standardized, standardized_pair, validation_part
from symgraph.engine.data.tables import is_table
from symgraph.engine.training_parts.epochs import (
    Batch,
    TrainedModel,
    callback_model,
    run_epochs,
    settings_of,
)
from symgraph.engine.training_parts.loops import (
    Batches,
    Call,
    average_outputs,
    checked_callbacks,
    join_outputs,
    prepare_callbacks,
    progress_bar,
    test_loop,
)
from symgraph.engine.training_parts.old_calls import Samples
from symgraph.engine.training_parts.resume import Resume
from symgraph.engine.training_parts.training_state import same_draws
from symgraph.utils.enqueuers import GeneratorEnqueuer, OrderedEnqueuer
from symgraph.utils.generic_utils import to_list
from symgraph.utils.plain_state import knows_all_its_state
from symgraph.utils.sequence import Sequence, count_batches
from symgraph.utils.warn_user import warn_user

Feeding = Callable[[Any], Batch]
"""From what a source of batches gives to the number of samples, and what a function is fed with."""

_OUTPUT = "Output of generator should be a tuple `(x, y, sample_weight)` or `(x, y)`. Found: "


class BatchedModel(FedModel, TrainedModel, Protocol):
    """A model that is trained, evaluated and asked on batches that others make."""

    predict_function: Any

    def _make_predict_function(self) -> None:
        """Make the function, unless it is there."""


Place = dict[str, Any]


@dataclass(frozen=True)
class Workers:
    """Who makes batches, and how many of them ahead; as `Model.fit_generator` takes it."""

    workers: int = 1
    max_queue_size: int = 10
    use_multiprocessing: bool = False


def makes_batches(x: Any) -> bool:
    """Whether `x` gives ready batches: a `Sequence`, a generator or another iterator, or a loader."""
    return isinstance(x, Sequence) or hasattr(x, "__next__") or is_loader(x)


def is_loader(x: Any) -> bool:
    """Whether `x` knows its length and is gone through pass by pass, but has no places: PyTorch's DataLoader.

    Containers and what numpy takes for an array are none.
    """
    passes = hasattr(x, "__iter__") and hasattr(x, "__len__") and not hasattr(x, "__getitem__")
    return passes and not (
        isinstance(x, Set | Mapping | MappingView | type) or hasattr(x, "shape") or is_table(x)
    )


def _passes(loader: Any, batches: int | None) -> Iterator[Any]:
    """Pass after pass over a loader, of so many batches each; the last one is the first that has fewer."""
    done = batches
    while done == batches or (batches is None and done):
        done = 0
        for done, item in enumerate(itertools.islice(loader, batches), 1):  # noqa: B007 the loop reads it
            yield item


class Stream:
    """Batches that are made ahead, in order, and the place behind those that were taken.

    A Sequence that knows its state is put to a place at once. All others begin at their beginning and make
    the batches before it again, as only that brings whatever they keep to where it was.
    """

    def __init__(self, data: Any, enqueuer: Any) -> None:
        self._data, self._enqueuer = data, enqueuer
        self._batches: Iterator[Any] = iter(())
        self._taken = 0
        #: Whether making batches again may have drawn from the generators of the process, as it did before.
        self.draws = False

    @classmethod
    @contextmanager
    def of(
        cls, data: Any, batches: int, workers: Workers, shuffle: bool = False, place: Place | None = None
    ) -> Iterator[Stream]:
        """So many batches of a Sequence or a generator; all threads and processes end with the block."""
        made = workers.use_multiprocessing
        if is_loader(data):
            data = _passes(data, len(data) or None)
        ordered = isinstance(data, Sequence)
        enqueuer = OrderedEnqueuer(data, made, shuffle) if ordered else GeneratorEnqueuer(data, made)
        stream = cls(data, enqueuer)
        sought = None if place is None else place["sequence"]
        if place is not None and isinstance(enqueuer, OrderedEnqueuer) and sought is not None:
            enqueuer.go_on(sought)
            stream._taken = place["taken"]
            batches -= sought["batches"]
        try:
            enqueuer.start(workers.workers, workers.max_queue_size, batches)
            stream._batches = enqueuer.get()
            if place is not None and sought is None:
                stream._make_again(place["taken"], workers.workers > 0)
            yield stream
        finally:
            enqueuer.stop()

    def _make_again(self, taken: int, ahead: bool) -> None:
        for _ in itertools.islice(self, taken):
            pass
        begun, now = self._enqueuer.random_state, np.random.get_state(legacy=True)
        # Threads have drawn for batches that are not taken yet: what they have drawn since counts.
        self.draws = ahead and not same_draws(begun, now)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        batch = next(self._batches)
        self._taken += 1
        return batch

    def place(self) -> Place:
        """The place behind the batches that were taken."""
        data = self._data.sequence if isinstance(self._data, ShardedSequence) else self._data
        sought = isinstance(self._enqueuer, OrderedEnqueuer) and knows_all_its_state(data)
        return {"taken": self._taken, "sequence": self._enqueuer.place() if sought else None}


def fit_generator(
    model: BatchedModel,
    generator: Any,
    steps_per_epoch: float | None,
    epochs: range,
    verbose: int,
    callbacks: Iterable[Any] | None,
    validation_data: Any,
    validation_steps: float | None,
    class_weight: Any,
    workers: Workers,
    shuffle: bool,
    observe: Callable[[], AbstractContextManager[None]],
    validation_freq: Any,
    resume: Resume,
) -> Any:
    """Train on the batches of a generator or a Sequence.

    Parameters
    ----------
    epochs : range
        The numbers of the epochs.
    observe : callable
        Makes the context that the model's train function, which exists by then, runs in.
    generator, steps_per_epoch, verbose, callbacks, validation_data, validation_steps, class_weight, shuffle
        As `Model.fit_generator` takes them.
    validation_freq : int or frozenset of int
        See `checked_frequency`.
    resume : Resume
        What a crash has left of this training.

    Returns
    -------
    History
    """
    callbacks = checked_callbacks(callbacks)
    share_random_states()
    verbose = verbose if is_first() else 0
    steps = _steps(generator, steps_per_epoch, "steps_per_epoch")
    # Of samples there may be one in a batch.
    total = steps * len(epochs)
    validates = validation_data is not None
    on_batches = validates and makes_batches(validation_data)
    params: dict[str, Any] = {
        "epochs": epochs.stop,
        **({"steps": None, "samples": int(steps)} if isinstance(steps, Samples) else {"steps": steps}),
        "verbose": verbose,
        "do_validation": validates,
    }
    places = resume.begin(
        [generator, *([validation_data] if on_batches else [])], **settings_of(model, epochs, params)
    )
    generator = _shared_out(model, generator, "train_function")
    feed = _pairs_fed(model, generator, class_weight)
    with ExitStack() as stack:
        source = stack.enter_context(Stream.of(generator, total, workers, shuffle, places.get("train")))
        items = _built_by_first(model, source, feed)
        model._make_train_function()
        batches = _Epochs(model, items, steps, total, feed, [source])
        val_ins, validate = None, None
        if validates:
            model._make_test_function()
        if on_batches:
            count = _steps(validation_data, validation_steps, "validation_steps")
            validation_data = _shared_out(model, validation_data, "test_function")
            validation = Stream.of(
                validation_data, count * len(epochs), workers, place=places.get("validation")
            )
            batches.streams.append(stack.enter_context(validation))
            val_feed = _pairs_fed(model, validation_data)
            validate = _validation_on_batches(model, batches.streams[1], count, val_feed)
        elif validates:
            val_ins = _validation_arrays(model, validation_data)
            validate = _validation_on_arrays(model, val_ins, batches)
        labels = list(model.metrics_names)
        params["metrics"] = labels + [f"val_{label}" for label in labels]
        callback_list = prepare_callbacks(model, callbacks, params, val_ins)
        stack.enter_context(observe())
        history = run_epochs(model, batches, callback_list, epochs, validate, validation_freq, resume)
    resume.end()
    return history


class _Epochs:
    """Cuts batches into epochs of `steps`; called at the beginning of each.

    Attributes
    ----------
    largest : int
        Samples in the largest batch so far.
    """

    def __init__(
        self,
        model: BatchedModel,
        source: Iterator[Any],
        steps: int,
        total: int,
        feed: Feeding,
        streams: list[Stream],
    ) -> None:
        self._model, self._source, self._feed = model, source, feed
        self._steps, self._total = steps, total
        self._done = 0  # of the steps of this epoch
        self.streams = streams
        self.largest = 0

    def new_epoch(self) -> None:
        """See `Epochs.new_epoch`."""
        self._done = 0

    def share(self) -> None:
        """See `Epochs.share`: all ranks make all batches."""

    def __call__(self) -> Iterator[Batch]:
        done = self._done
        if done >= self._steps:
            return
        for item in self._source:
            size, ins = self._feed(item)
            self.largest = max(self.largest, size)
            done += _counted(self._steps, size)
            if isinstance(self._steps, Samples) and done > self._steps:
                warn_user(
                    "Epoch comprised more than `samples_per_epoch` samples, which might affect learning "
                    f"results: {done} instead of {int(self._steps)}. Set `samples_per_epoch` to a multiple "
                    "of the batch size to avoid this warning."
                )
            self._done = done
            yield size, ins
            if done >= self._steps:
                return
        if not self.largest:
            raise _no_batches("steps_per_epoch")
        _warn_of_end("steps_per_epoch * epochs", self._total, self._steps)
        callback_model(self._model).stop_training = True

    @property
    def leaves_random_state(self) -> bool:
        """See `Data.leaves_random_state`."""
        return not any(stream.draws for stream in self.streams)

    def state_dict(self) -> dict[str, Any]:
        """See `Data.state_dict`."""
        places = zip(("train", "validation"), self.streams, strict=False)
        return {
            "done": self._done,
            "largest": self.largest,
            **{name: stream.place() for name, stream in places},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Data.load_state_dict`; the streams are at their places already."""
        self._done, self.largest = state["done"], state["largest"]


def _counted(steps: int, size: int) -> int:
    """What a batch of `size` samples counts towards `steps`."""
    return size if isinstance(steps, Samples) else 1


def _validation_on_batches(
    model: BatchedModel, source: Iterator[Any], steps: int, feed: Feeding
) -> Callable[[], list[Any]]:
    def validate() -> list[Any]:
        calls = _calls(source, steps, feed, "validation_steps")
        with at_most_once("the validation on batches of a generator"):
            return to_list(average_outputs(model, model.test_function, calls, progress_bar(0, None, steps)))

    return validate


def _validation_on_arrays(model: BatchedModel, ins: list[Any], epochs: _Epochs) -> Callable[[], list[Any]]:
    """Validation in batches as large as those of the training, some of which may be smaller."""
    return lambda: to_list(test_loop(model, model.test_function, ins, batch_size=epochs.largest))


def _validation_arrays(model: BatchedModel, data: Any) -> list[Any]:
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise ValueError(
            "`validation_data` should be a tuple `(val_x, val_y, val_sample_weight)` or `(val_x, val_y)`. "
            f"Found: {_brief(data)}"
        )
    return joined(validation_part(model, data, None))


def evaluate_generator(
    model: BatchedModel, generator: Any, steps: float | None, workers: Workers, verbose: int
) -> Any:
    """Loss and metrics over batches; parameters as of `Model.evaluate_generator`.

    Returns
    -------
    np.float64 or list of np.float64
    """
    count = _steps(generator, steps, "steps")
    generator = _shared_out(model, generator, "test_function")
    feed = _pairs_fed(model, generator)
    with Stream.of(generator, count, workers) as stream:
        source = _built_by_first(model, stream, feed)
        model._make_test_function()
        calls = _calls(source, count, feed)
        return average_outputs(model, model.test_function, calls, progress_bar(verbose, None, count))


def predict_generator(
    model: BatchedModel, generator: Any, steps: float | None, workers: Workers, verbose: int
) -> Any:
    """Outputs for batches; parameters as of `Model.predict_generator`.

    Returns
    -------
    ndarray or list of ndarray
        One for each output.
    """
    count = _steps(generator, steps, "steps")
    several = len(model.inputs or ()) > 1
    generator = _shared_out(model, generator, "predict_function")
    sharded = isinstance(generator, ShardedSequence)

    def feed(item: Any) -> Batch:
        # PyTorch's loaders put inputs and targets into a list.
        paired = is_loader(generator) and isinstance(item, list) and len(item) > 1 and not several
        inputs = _inputs(tuple(item) if paired else item)
        return _fed(model, standardized(model, inputs, may_be_empty=sharded), sharded)

    with Stream.of(generator, count, workers) as stream:
        source = _built_by_first(model, stream, feed)
        model._make_predict_function()
        calls = _calls(source, count, feed)
        return join_outputs(model, model.predict_function, calls, progress_bar(verbose, None, count))


def _calls(source: Iterator[Any], steps: int, feed: Feeding, name: str = "steps") -> Iterator[Call]:
    done = number = 0
    for item in source:
        size, ins = feed(item)
        number, done = number + 1, done + _counted(steps, size)
        yield (done if isinstance(steps, Samples) else number), size, ins
        if done >= steps:
            return
    if not done:
        raise _no_batches(name)
    _warn_of_end(name, steps, steps)


def _shared_out(model: BatchedModel, data: Any, name: str) -> Any:
    """What this process reads of the data that the function `name` of the model is called with."""
    if world().size > 1 and _has_shapes(model):
        getattr(model, f"_make_{name}")()
        return shared_out(data, getattr(model, name))
    return shared_out(data, None)


def _pairs_fed(model: BatchedModel, data: Any, class_weight: Any = None) -> Feeding:
    """What makes of batches with targets what a function is fed with."""
    sharded = isinstance(data, ShardedSequence)
    return lambda item: _fed(model, _pair(model, item, class_weight, may_be_empty=sharded), sharded)


def _fed(model: BatchedModel, feed: Feed, sharded: bool) -> Batch:
    """Samples, and what a function is fed with. A batch without arrays, of the graph alone, counts as one.

    Of a batch that is `sharded` these are the rows of this process, and the samples are those of all.
    """
    batches = Batches(joined(feed), model._feed_inputs)
    arrays = batches.rows(0, batches.samples)
    if not sharded:
        return batches.samples or 1, arrays
    starts = exchanged_bounds(batches.samples)
    if not starts[-1]:
        raise ValueError(f"{model.name}: a batch has no samples on any of the {len(starts) - 1} ranks")
    return starts[-1], OwnRows(arrays, starts[-1], starts)


def _pair(model: BatchedModel, item: Any, class_weight: Any, may_be_empty: bool) -> Feed:
    """The checked form of a batch with targets. ValueError for anything but 2 or 3 things."""
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        raise ValueError(_OUTPUT + _brief(item))
    x, y, *weights = item
    weight = weights[0] if weights else None
    return standardized_pair(model, x, y, weight, class_weight, may_be_empty=may_be_empty)


def _inputs(item: Any) -> Any:
    """The inputs of a batch: all of it, but for a tuple of what training needs."""
    if not isinstance(item, tuple):
        return item
    if len(item) not in (1, 2, 3):
        raise ValueError(_OUTPUT + _brief(item))
    return item[0]


def _brief(item: Any) -> str:
    if isinstance(item, dict):
        return f"{{{', '.join(f'{key!r}: {_brief(item[key])}' for key in list(item)[:10])}}}"
    if isinstance(item, tuple | list):
        inside = ", ".join(_brief(part) for part in item[:10]) + "," * (len(item) == 1)
        return f"({inside})" if isinstance(item, tuple) else f"[{inside.removesuffix(',')}]"
    return f"array of shape {tuple(item.shape)}" if hasattr(item, "shape") else repr(item)[:200]


def _has_shapes(model: BatchedModel) -> bool:
    """Whether a model needs no data any more to be built and, if it was compiled at all, compiled."""
    return bool(model.built and model.inputs and (model.optimizer is None or model._is_compiled))


def _built_by_first(model: BatchedModel, source: Iterator[Any], feed: Feeding) -> Iterator[Any]:
    """The same batches; a model that has no shapes yet takes those of the first one."""
    if _has_shapes(model):
        return source
    for first in source:
        feed(first)
        return itertools.chain([first], source)
    raise ValueError(f"The generator gave no batches to build {model.name} with.")


def _steps(data: Any, steps: Any, name: str) -> int:
    """The number of batches: the given one (a fraction counts as one), or all of a Sequence."""
    if not makes_batches(data):
        got = type(data).__name__
        if isinstance(data, type):
            got = f"the class {data.__name__}; make an object of it"
        elif callable(data):
            got += "; call the function, which returns one"
        raise TypeError(f"Expected a generator or a `symgraph.utils.Sequence`, got {got}")
    if steps is None and isinstance(data, Sequence):
        steps = count_batches(data)
    if steps is None and is_loader(data):
        steps = len(data)
    if steps is None:
        raise ValueError(
            f"`{name}=None` is only valid for a generator based on the `symgraph.utils.Sequence` class. "
            f"Please specify `{name}` or use the `symgraph.utils.Sequence` class."
        )
    if isinstance(steps, bool) or not isinstance(steps, int | float | np.number) or not math.isfinite(steps):
        raise TypeError(f"`{name}` should be a number of batches, got {steps!r}")
    if steps <= 0:
        raise ValueError(f"`{name}` should be at least 1, got {steps}")
    return steps if isinstance(steps, Samples) else math.ceil(steps)


def _no_batches(name: str) -> ValueError:
    return ValueError(f"The generator gave no batches for `{name}`. (Those that are None do not count.)")


def _warn_of_end(what: str, count: int, steps: int) -> None:
    unit = "samples" if isinstance(steps, Samples) else "batches"
    warn_user(
        "Your generator ran out of data; interrupting here. Make sure that your generator can generate at "
        f"least `{what}` {unit} (in this case, {count} {unit})."
    )
