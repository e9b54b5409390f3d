"""`Sequence`: batches by number, the form of data that several workers can make at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any


class Sequence(ABC):
    """A dataset as a list of batches.

    Workers ask for batches in any order and more than one at a time, each batch once an epoch; what comes out
    is put in order again. A subclass defines `__getitem__` and `__len__`, and may define `on_epoch_end` and,
    for training by several processes, ``shard(index, rank, size)``: of batch number `index` the rows of one
    process, see `symgraph.distributed.share`.

    Examples
    --------
    ::

        class Rows(Sequence):
            def __init__(self, x, y, batch_size):
                self.x, self.y, self.batch_size = x, y, batch_size

            def __len__(self):
                return -(-len(self.x) // self.batch_size)

            def __getitem__(self, index):
                rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
                return self.x[rows], self.y[rows]
    """

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Batch number `index`, from 0: (inputs, targets) or (inputs, targets, sample weights)."""

    @abstractmethod
    def __len__(self) -> int:
        """Batches in an epoch."""

    def on_epoch_end(self) -> None:  # noqa: B027 - may be left out
        """Prepare the next epoch, for instance by another order of the samples. Called between epochs."""

    def __iter__(self) -> Iterator[Any]:
        """All batches once, in order."""
        for index in range(len(self)):
            yield self[index]


def count_batches(sequence: Sequence) -> int:
    """`len(sequence)`, at least 1.

    Raises
    ------
    TypeError, ValueError
        If it is no number of batches. Python's own words, for ``np.ceil(...)`` say, do not name the class.
    """
    name = type(sequence).__name__
    try:
        count = len(sequence)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}.__len__: {error}") from error
    if not count:
        raise ValueError(f"{name} has no batches: its length is 0")
    return count


def iter_sequence_infinite(seq: Sequence) -> Iterator[Any]:
    """The batches of a Sequence, again and again."""
    while True:
        yield from (seq[number] for number in range(len(seq)))
