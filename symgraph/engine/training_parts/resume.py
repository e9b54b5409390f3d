"""Going on with a training where a crash ended it, exactly: the same weights as without the crash.

A script that is started again runs from its beginning. Its calls of `fit` find what they have saved: those
that came to their end give back the state of their end, the one in which the crash came goes on after the
step of its last checkpoint. What lies between them is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from symgraph.callbacks import ProgbarLogger
from symgraph.distributed.checkpoints import Checkpoints, checkpoints_of_next_training
from symgraph.distributed.elastic import (
    ElasticWorld,
    RankLostError,
    is_joining,
    join,
    wants_elastic,
)
from symgraph.distributed.watchdog import leave_stuck
from symgraph.distributed.world import set_world, watch_the_end, world
from symgraph.engine.training_parts import training_state as states
from symgraph.globals import ended_trainings, is_training, joined, set_joined, set_training
from symgraph.utils.plain_state import pack, unpack

State = dict[str, Any]


class Data(Protocol):
    """Where the batches of a training come from, as far as a restart has to know."""

    def state_dict(self) -> State:
        """The place behind the batches so far."""

    def load_state_dict(self, state: State) -> None:
        """Go on from a place."""

    @property
    def leaves_random_state(self) -> bool:
        """Whether nothing but the training has drawn from the generators of the process."""


class Resume:
    """A training that nothing is saved of."""

    def begin(self, data: Sequence[Any], **settings: Any) -> State:
        """Before batches are made: what the data have to begin with, by their part in the training.

        Parameters
        ----------
        data : sequence
            What is trained on and what is validated on, if they make batches themselves.
        **settings
            What tells this training from another one.
        """
        return {}

    def attach(self, target: Any, callbacks: Any, batches: Data) -> None:
        """Before the first epoch, when callbacks were told that the training begins."""

    def epochs(self, epochs: Sequence[int]) -> Iterator[int]:
        """The epochs that are left."""
        return iter(epochs)

    def enter(self, epoch: int) -> int | None:
        """How many batches of an epoch that goes on are done already; None for a new epoch."""
        return None

    def has_begun_batch(self) -> bool:
        """Whether callbacks were told that this batch begins: before a rank was lost in it."""
        return False

    def whole(self, call: Callable[[], Any], epoch: int, done: int, in_batch: bool = False) -> Any:
        """What a call gives that all ranks make together, again and again until none of them is lost in it.

        It changes nothing until it ends. `in_batch`: callbacks were told that a batch begins.
        """
        return call()

    def after_batch(self, epoch: int, done: int) -> None:
        """After each step."""

    def after_epoch(self, epoch: int) -> None:
        """After an epoch, when the callbacks have seen its end."""

    def end(self) -> None:
        """When callbacks were told that the training ends, and no more batches are made."""


class CheckpointedResume(Resume):
    """A training that is saved at times, and may be the rest of one."""

    def __init__(self, model: Any, checkpoints: Checkpoints, saved: State | None, joins: Any = None) -> None:
        self._model, self._checkpoints = model, checkpoints
        self._saved = saved
        self._joins = joins  # the ranks, for a process that takes the place of a lost one
        self._steps = 0 if saved is None else int(saved["step"])
        self._in_batch = False
        self._elastic = wants_elastic()

    def begin(self, data: Sequence[Any], **settings: Any) -> State:
        """See `Resume.begin`: the places of the data, none for those that begin at their beginning."""
        self._data, self._settings = data, settings
        if self._saved is None:
            self._first = self._beginning()
            return {}
        _check_same(self._saved["settings"], settings)
        self._first = self._saved["first"]
        self._put_data(self._first["data"])
        states.set_random_state(self._first["random"])
        places: State = self._saved["places"]
        return places

    def _beginning(self) -> State:
        return {"random": states.random_state(), "data": self._data_states()}

    def _data_states(self) -> list[State | None]:
        return [dict(part.state_dict()) if states.keeps_state(part) else None for part in self._data]

    def _put_data(self, saved: Sequence[State | None]) -> None:
        for part, state in zip(self._data, saved, strict=True):
            if state is not None:
                part.load_state_dict(state)

    def attach(self, target: Any, callbacks: Any, batches: Data) -> None:
        """See `Resume.attach`."""
        self._target, self._callbacks, self._batches = target, _named(callbacks), batches
        self._variables = states.variables_of_training(self._model)
        self._others = states.OtherVariables(self._variables)
        self._places: State | None = None
        if self._saved is None:
            self._save(None, 0, False)
        else:
            _check_same(self._saved, {"variables": self._shapes()})
            known = self._saved["callbacks"]
            lost = [
                name for name, c in self._callbacks.items() if name not in known and not _can_do_without(c)
            ]
            if lost and self._joins is not None:
                leave_stuck(f"no other rank knows what is in the file of {', '.join(lost)}")
            if lost:
                raise _of_another("callbacks", list(self._callbacks), list(self._saved["callbacks"]))

    def _shapes(self) -> list[str]:
        return [f"{v.storage.dtype.name}{tuple(v.storage.shape)}" for v in self._variables]

    def epochs(self, epochs: Sequence[int]) -> Iterator[int]:
        """See `Resume.epochs`."""
        saved = self._saved
        if saved is None:
            yield from epochs
            return
        if not saved["goes_on"]:
            self._restore()
        if saved["over"] or (not saved["goes_on"] and self._target.stop_training):
            return
        begun = saved["epoch"]
        yield from (number for number in epochs if begun is None or number >= begun)

    def enter(self, epoch: int) -> int | None:
        """See `Resume.enter`."""
        saved, done = self._saved, None
        if saved is not None and saved["goes_on"]:
            assert saved["epoch"] == epoch
            self._restore()
            done, self._in_batch = int(saved["done"]), saved["in_batch"]
        self._saved = None
        if self._joins is not None:
            set_world(self._joins)
            self._joins = None
        return done

    def has_begun_batch(self) -> bool:
        """See `Resume.has_begun_batch`."""
        begun, self._in_batch = self._in_batch, False
        return begun

    def whole(self, call: Callable[[], Any], epoch: int, done: int, in_batch: bool = False) -> Any:
        """See `Resume.whole`."""
        while True:
            try:
                values = call()
                if self._elastic and not in_batch:
                    self._places = self._batches.state_dict()
                return values
            except RankLostError as why:
                ranks = world()
                assert isinstance(ranks, ElasticWorld)
                set_world(ranks.replaced(why, lambda: self._message(epoch, done, in_batch)))

    def _message(self, epoch: int, done: int, in_batch: bool) -> bytes:
        """What a new process has to know."""
        state = {**self._state(epoch, done, True), "step": self._steps, "in_batch": in_batch}
        if in_batch:
            # The batch that is to be done again was taken from the data already.
            state["places"] = self._places
        return pack({"training": self._checkpoints.number, "ended": ended_trainings(), "state": state})

    def after_batch(self, epoch: int, done: int) -> None:
        """See `Resume.after_batch`."""
        self._steps += 1
        if self._elastic:
            self._places = self._batches.state_dict()
        if self._checkpoints.due(self._steps):
            self._save(epoch, done, True)

    def after_epoch(self, epoch: int) -> None:
        """See `Resume.after_epoch`."""
        if self._checkpoints.due(self._steps):
            self._save(epoch + 1, 0, False)

    def end(self) -> None:
        """See `Resume.end`."""
        state = self._saved
        if state is None:
            state = {**self._state(None, 0, False), "over": True, "data": self._data_states()}
            self._checkpoints.finish(self._steps, state)
        else:
            # Callbacks, which have seen the end once more, may have changed something in it.
            self._restore()
            self._put_data(state["data"])
        if self._elastic:
            ended_trainings().append(pack({"step": self._steps, **state}))

    def _save(self, epoch: int | None, done: int, goes_on: bool) -> None:
        self._checkpoints.save(self._steps, lambda: self._state(epoch, done, goes_on))

    def _state(self, epoch: int | None, done: int, goes_on: bool) -> State:
        return {
            "over": False,
            "epoch": epoch,
            "done": done,
            "goes_on": goes_on,
            "in_batch": False,
            "settings": self._settings,
            "first": self._first,
            "callbacks": {name: states.state_of_callback(c) for name, c in self._callbacks.items()},
            "variables": self._shapes(),
            "values": states.values_of(self._variables),
            "others": self._others.state_dict(),
            "random": states.random_state(),
            "places": self._batches.state_dict(),
            "stop_training": bool(self._target.stop_training),
            "alike": [getattr(function, "is_alike", None) for function in self._functions()],
        }

    def _functions(self) -> list[Any]:
        return [getattr(self._model, name, None) for name in states.FUNCTIONS]

    def _restore(self) -> None:
        """Put everything where the checkpoint has it."""
        saved = self._saved
        assert saved is not None
        states.set_values(self._variables, saved["values"])
        self._others.load_state_dict(saved["others"])
        for name, callback in self._callbacks.items():
            if name in saved["callbacks"]:
                states.restore_callback(callback, saved["callbacks"][name])
        self._target.stop_training = saved["stop_training"]
        self._batches.load_state_dict(saved["places"])
        if self._batches.leaves_random_state:
            states.set_random_state(saved["random"])
        if self._joins is not None:
            for function, alike in zip(self._functions(), saved["alike"], strict=True):
                if alike is not None:
                    function.note_alike(alike)


def _named(callbacks: Iterable[Any]) -> dict[str, Any]:
    """Callbacks by their class and their number in it: some ranks do not have those of some classes."""
    named: dict[str, Any] = {}
    for callback in callbacks:
        kind = type(callback).__name__
        count = sum(name.partition(" ")[0] == kind for name in named)
        named[f"{kind} {count + 1}"] = callback
    return named


def _can_do_without(callback: Any) -> bool:
    """Whether a callback of the first rank alone goes on where nobody else knows its state."""
    alone = getattr(callback, "only_first_rank", False) and not states.keeps_state(callback)
    return alone or isinstance(callback, ProgbarLogger)


def _check_same(saved: State, found: State) -> None:
    """ValueError where a checkpoint does not have what the script has."""
    for name, value in found.items():
        if saved.get(name) != value:
            raise _of_another(name, value, saved.get(name))


def _of_another(name: str, expected: object, got: object) -> ValueError:
    return ValueError(
        f"The checkpoint is of another training: {name}: expected {expected}, as the script has it, got "
        f"{got}. Give `symgraph launch` another folder, or remove the checkpoints in this one."
    )


@contextmanager
def resumed_training(model: Any) -> Iterator[Resume]:
    """What saves the training in this block, and knows what was saved of it before.

    A training that a callback of another one starts is part of that: nothing is saved of it by itself.
    """
    if is_training():
        yield Resume()
        return
    checkpoints = checkpoints_of_next_training()
    set_training(True)
    try:
        yield Resume() if checkpoints is None else _resume(model, checkpoints)
    finally:
        set_training(False)


def _resume(model: Any, checkpoints: Checkpoints) -> CheckpointedResume:
    if is_joining():
        ranks, content = join(world().rank)
        set_joined((ranks, unpack(content, "what the other ranks tell")))
    if joined() is None:
        return CheckpointedResume(model, checkpoints, checkpoints.load())
    ranks, told = joined()
    if checkpoints.number < told["training"]:
        # The others have come further: this training is over.
        return CheckpointedResume(model, checkpoints, unpack(told["ended"][checkpoints.number - 1]))
    set_joined(None)
    watch_the_end()
    return CheckpointedResume(model, checkpoints, told["state"], ranks)
