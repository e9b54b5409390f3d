"""Which rows of a batch a process trains on, and batches of which a process makes its own rows only."""

from __future__ import annotations

import operator
from typing import Any

from symgraph.distributed.rows import bounds
from symgraph.distributed.world import world
from symgraph.utils.sequence import Sequence

# What makes whole batches: of every Sequence, and of iterators over pictures in Keras.
_MAKERS = ("__getitem__", "_get_batches_of_transformed_samples")


def share(rows: int, rank: int, size: int) -> slice:
    """The rows of a batch that one process of several trains on.

    Those of all ranks lie one after the other; the first ranks have one more where they cannot be equal, and
    the last ones none where there are fewer rows than processes.

    Parameters
    ----------
    rows : int
        In the whole batch.
    rank, size : int
        The number of the process, from 0, and how many there are.

    Raises
    ------
    ValueError
        If there is no process `rank` of `size`.
    """
    rank, size = operator.index(rank), operator.index(size)
    if not 0 <= rank < size:
        raise ValueError(f"expected a rank from 0 to size - 1, got rank {rank} of size {size}")
    return slice(*bounds(operator.index(rows), size)[rank : rank + 2])


def makes_shards(sequence: Any) -> bool:
    """Whether `sequence` can make the rows of one process alone: it has a `shard` that suits its batches.

    A subclass that changes how whole batches are made takes the `shard` that it inherits out of use: rows
    made by it would lack the change.
    """
    home = _home(type(sequence), "shard")
    makers = (_home(type(sequence), name) for name in _MAKERS)
    return home is not None and all(maker is None or issubclass(home, maker) for maker in makers)


def _home(cls: type, name: str) -> type | None:
    """The class that a method comes from."""
    return next((base for base in cls.__mro__ if name in vars(base)), None)


class ShardedSequence(Sequence):
    """The batches of a Sequence that has a `shard` (see `makes_shards`): of each the rows of one process.

    What changes from pass to pass changes in the Sequence itself: where one process is at the end, all are.

    Parameters
    ----------
    sequence : Sequence
    rank, size : int
        See `share`.
    """

    def __init__(self, sequence: Any, rank: int, size: int) -> None:
        self.sequence, self.rank, self.size = sequence, rank, size

    def __getitem__(self, index: int) -> Any:
        return self.sequence.shard(index, self.rank, self.size)

    def __len__(self) -> int:
        return len(self.sequence)

    def __getattr__(self, name: str) -> Any:
        if name in ("state_dict", "load_state_dict"):
            return getattr(self.sequence, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def on_epoch_end(self) -> None:
        """Prepare the next pass."""
        self.sequence.on_epoch_end()


def shared_out(data: Any, function: Any) -> Any:
    """What this process reads of data that several train on: of batches, if that can be, its own rows alone.

    Iterators over pictures agree first on what they will see. All processes have to call this alike.

    Parameters
    ----------
    data : Sequence, or another source of batches
    function : DividedFunction, other function, or None
        What is to be called with the batches; None if it is not there yet, for a model without shapes.

    Returns
    -------
    ShardedSequence or what `data` is
    """
    ranks = world()
    if ranks.size == 1 or not isinstance(data, Sequence):
        return data
    if hasattr(data, "agree"):
        data.agree(ranks)
    by_rows = (True,) if function is None else getattr(function, "by_rows", ())
    # An input of a fixed number of samples, and a graph that cannot be divided, need whole batches.
    usable = makes_shards(data) and bool(by_rows) and all(by_rows)
    return ShardedSequence(data, ranks.rank, ranks.size) if usable else data
