"""Windows of pooling, as vector code along the channels: the largest cell, the mean, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.nest import Writer, each_vector, load, store
from symgraph.kernels.tile.vector import ITEMSIZE, Vec, where
from symgraph.kernels.tile.words import Word

TOGETHER = (4, 2)
"""How many vectors of channels go through a window's cells side by side, where these are not written out."""
UNROLLED = (2, 3)
"""Windows of 2 x 2 and 3 x 3 cells have them written out."""


class Windows(NamedTuple):
    """Windows side by side, `step` apart: `rows` x `columns` cells of each lie inside, from `cells` on."""

    count: Word
    step: Word
    cells: Word
    row_step: Word
    rows: Word
    columns: Word
    # The number of the first cell, and by how much numbers grow from the last cell of a row to the next row.
    number: Word
    gap: Word
    channels: Word
    # Where the first window's result goes, and its place in the window; the others' follow.
    value: Word
    place: Word


class Spread(NamedTuple):
    """A row of cells of windows side by side, `step` apart: `columns` from `cells` on get their gradients."""

    count: Word
    step: Word
    cells: Word
    columns: Word
    # The number of the row's first cell, and how many cells a window has inside.
    number: Word
    share: Word
    channels: Word
    # The first window's gradient and the place of its chosen cell; the others' follow.
    value: Word
    place: Word
    apart: Word


Count: TypeAlias = Vec | int
"""A number of cells: one that is known is written out, one after the other."""
Size: TypeAlias = Sequence[Count]
"""How many cells there are: rows and columns, or columns only."""


def _each(writer: Writer, count: Count, body: Callable[[Count], None]) -> None:
    """Write `body` (number) for all numbers below `count`."""
    if isinstance(count, int):
        for known in range(count):
            body(known)
    else:
        with writer.loop(0, count) as number:
            body(number)


def _by_size(writer: Writer, size: Sequence[Vec], body: Callable[[Size], None]) -> None:
    """Write `body` (size) for each size that is unrolled, and for all others."""

    def choose(known: Sequence[int]) -> None:
        if not known:
            body(size)
            return
        equal = [count.equals(known[0]) for count in size]
        all_equal = equal[0] & equal[-1]
        writer.either(all_equal, lambda: body([known[0]] * len(size)), lambda: choose(known[1:]))

    choose(UNROLLED)


def _wide(dtype: str) -> str:
    """Integers as wide as values, for cells' numbers: a comparison's result then fits both."""
    return "int32" if dtype == "float32" else "int64"


@dataclass(frozen=True, slots=True)
class Cells:
    """Walks windows side by side, and their inside cells, for some vectors of channels at a time."""

    writer: Writer
    windows: Windows
    dtype: str

    @property
    def lanes(self) -> int:
        """Elements in a vector."""
        return TARGET.lanes(ITEMSIZE[self.dtype])

    def each_window(self, body: Callable[[Size, Vec, Sequence[Vec], Vec | None], None]) -> None:
        """Write ``body(size, window, channels, mask)`` for all windows and channels.

        `channels` are the first ones of vectors that go through the cells side by side.
        """
        writer, windows, lanes = self.writer, self.windows, self.lanes

        def all_windows(size: Size) -> None:
            def vectors(window: Vec, count: int) -> Callable[[Vec, Vec | None], None]:
                return lambda at, mask: body(size, window, [at + v * lanes for v in range(count)], mask)

            with writer.loop(0, windows.count) as window:
                start = writer.integer(0)
                for together in () if isinstance(size[0], int) else TOGETHER:
                    end = windows.channels - (windows.channels & (together * lanes - 1))
                    with writer.loop(start, end, together * lanes) as at:
                        vectors(window, together)(at, None)
                    start = end
                each_vector(writer, windows.channels, lanes, vectors(window, 1), start)

        _by_size(writer, (windows.rows, windows.columns), all_windows)

    def each_cell(
        self, size: Size, window: Vec, body: Callable[[Vec], None], end_row: Callable[[], None]
    ) -> None:
        """Write `body` (address) for the inside cells of a window, and `end_row` behind each row of them."""
        windows = self.windows
        cells = windows.cells + windows.step * window

        def row(number: Count) -> None:
            line = cells + windows.row_step * number
            step = windows.channels * ITEMSIZE[self.dtype]
            _each(self.writer, size[1], lambda column: body(line + step * column))
            end_row()

        _each(self.writer, size[0], row)


@dataclass(frozen=True, slots=True)
class Largest:
    """The first largest cell, where a NaN is larger than everything: fills a slot of `Windows`.

    `places` is the dtype of its number in the window, or empty where that is not wanted.
    """

    dtype: str
    places: str

    def __call__(self, writer: Writer, windows: Windows) -> None:
        """Write the code."""
        walk, item, wide = Cells(writer, windows, self.dtype), ITEMSIZE[self.dtype], _wide(self.dtype)
        start, gap = (writer.splat(x.cast(wide), walk.lanes) for x in (windows.number, windows.gap))

        def largest(size: Size, window: Vec, channels: Sequence[Vec], mask: Vec | None) -> None:
            lowest = writer.zero(self.dtype, walk.lanes).constant(float("-inf"))
            best, chosen = ([writer.variable(x) for _ in channels] for x in (lowest, start))
            number = writer.variable(start)

            def compare(cell: Vec) -> None:
                for channel, held, place in zip(channels, best, chosen, strict=True):
                    value = load(cell + channel * item, self.dtype, walk.lanes, mask)
                    # The first NaN wins and stays: nothing is ordered against it.
                    better = ~(value <= held.get()) & ~held.get().is_nan()
                    held.set(where(better, value, held.get()))
                    if self.places:
                        place.set(where(better, number.get(), place.get()))
                number.set(number.get() + 1)

            walk.each_cell(size, window, compare, lambda: number.set(number.get() + gap))
            for channel, held, place in zip(channels, best, chosen, strict=True):
                at = windows.channels * window + channel
                store(held.get(), windows.value + at * item, mask)
                if self.places:
                    target = windows.place + at * ITEMSIZE[self.places]
                    store(place.get().cast(self.places), target, mask)

        walk.each_window(largest)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of the inside cells: fills a slot of `Windows`."""

    dtype: str

    def __call__(self, writer: Writer, windows: Windows) -> None:
        """Write the code."""
        walk, item = Cells(writer, windows, self.dtype), ITEMSIZE[self.dtype]
        count = writer.splat((windows.rows * windows.columns).cast(self.dtype), walk.lanes)

        def mean(size: Size, window: Vec, channels: Sequence[Vec], mask: Vec | None) -> None:
            totals = [writer.variable(writer.zero(self.dtype, walk.lanes)) for _ in channels]

            def add(cell: Vec) -> None:
                for channel, total in zip(channels, totals, strict=True):
                    total.set(total.get() + load(cell + channel * item, self.dtype, walk.lanes, mask))

            walk.each_cell(size, window, add, lambda: None)
            for channel, total in zip(channels, totals, strict=True):
                at = windows.channels * window + channel
                store(total.get() / count, windows.value + at * item, mask)

        walk.each_window(mean)


@dataclass(frozen=True, slots=True)
class Share:
    """Windows' gradients to a row of their cells, stored or added: fills a slot of `Spread`.

    With `places`, the dtype of chosen cells' numbers, the chosen cell gets all; else each its share.
    """

    dtype: str
    places: str

    def __call__(self, writer: Writer, spread: Spread) -> None:
        """Write the code."""
        lanes = TARGET.lanes(ITEMSIZE[self.dtype])

        def windows(columns: Count, add: bool) -> None:
            with writer.loop(0, spread.count) as window:
                each_vector(
                    writer,
                    spread.channels,
                    lanes,
                    lambda at, mask: self._vector(writer, spread, columns, window, at, mask, add),
                )

        def either(size: Size) -> None:
            writer.either(
                spread.apart.differs(0),
                lambda: windows(size[0], add=False),
                lambda: windows(size[0], add=True),
            )

        _by_size(writer, (spread.columns,), either)

    def _vector(
        self,
        writer: Writer,
        spread: Spread,
        columns: Count,
        window: Vec,
        channel: Vec,
        mask: Vec | None,
        add: bool,
    ) -> None:
        dtype, size, wide = self.dtype, ITEMSIZE[self.dtype], _wide(self.dtype)
        lanes = TARGET.lanes(size)
        at = spread.channels * window + channel
        value = load(spread.value + at * size, dtype, lanes, mask)
        if self.places:
            chosen = load(spread.place + at * ITEMSIZE[self.places], self.places, lanes, mask).cast(wide)
        else:
            value = value / writer.splat(spread.share.cast(dtype), lanes)
        number = writer.variable(writer.splat(spread.number.cast(wide), lanes))
        cells = spread.cells + spread.step * window + channel * size

        def cell(column: Count) -> None:
            place = cells + spread.channels * size * column
            given = where(chosen.equals(number.get()), value, 0.0) if self.places else value
            if add:
                given = load(place, dtype, lanes, mask) + given
            store(given, place, mask)
            number.set(number.get() + 1)

        _each(writer, columns, cell)
