"""The Program machine: one small loop that walks a table of kernel calls without the interpreter.

A `Row` is a kernel, its operands and a number of tiles. Rows run one after the other; the tiles of a row run
on several threads. Each thread has a share of them and takes it first, then what others have not taken yet:
tile after tile of a row reads what the same tile of the row before has written, and that lies in the cache of
the processor that wrote it. Tiles are cut when the table is made, so results do not depend on which thread
runs which tile. Rows that do not need each other may form a
*gang*: their tiles are shared out as if they were of one row, so one row's last tile does not keep threads
waiting, and rows too small to be cut run side by side.

A `Loop` runs consecutive rows several times. Each turn moves the addresses of its rows on by their strides,
so a loop of a million turns is as small a table as its body; it may end earlier. A `Branch` runs one of two
lists of rows. A row whose kernel is a `Host` function makes the machine return to Python, which calls it and
goes on.

Operands are int64 words: sizes, float bits, and addresses. An address is written as an `Address` (base,
offset) and made absolute at every call from the bases of that call, so one table serves many calls at once,
each on a lease.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from symgraph.kernels.run.integers import share
from symgraph.kernels.run.jit import helper, intrinsic, numba_kernel, types
from symgraph.kernels.run.memory import fetch_add, load_byte, load_int, store_int
from symgraph.kernels.run.table import (
    ENTRY,
    GANG_ROWS,
    GANG_TILES,
    HOST,
    OPERAND,
    ROW_TILES,
    ROW_WORDS,
    Address,
    Branch,
    Host,
    Loop,
    Row,
    Table,
)
from symgraph.kernels.run.threads import TOGETHER, layer, most_threads
from symgraph.kernels.tile.builder import (
    INT,
    NOTHING,
    Builder,
    Value,
    call,
    call_address,
    constant,
    pointer_to,
    register,
)

# The words of a context, the machine's only argument.
(
    _ROWS, _ROW_COUNT, _OPERANDS, _PATCHES, _PATCH_COUNT, _BASES, _PARALLEL_FOR, _WORKER, _THREADS, _DEADLINE,
    _FIRST, _CURSOR, _TAKEN, _SHARES, _STATUS, _CLOCKS, _EVENTS, _LANES, _STEPPING, _GUARDED, _GANG, _TILES,
    _REGION, _DIMS, _STEPS, _SLICE,
    # What `threads.TOGETHER` takes: the team, the worker, its arguments, the number of threads.
    _TOGETHER, _TEAM, _TEAM_WORKER, _TEAM_ARGUMENTS, _TEAM_THREADS,
    _SIZE,
) = range(32)  # fmt: skip
_DONE, _PAUSED, _FAILED, _CALLED, _STEPPED = range(5)
# How many tiles of each share are taken: a word each, on a line of the cache of its own.
TAKEN_WORDS = 8
# The words of a row's clock: cycles of its tiles in all threads; then, for the first row of a gang, cycles
# from its start to its end, and how often it ran.
CLOCK_WORDS = 3
# The words of an event: row, lane, start, end. Before the first one: how many there were, and the room.
EVENT_WORDS = 4
_PROCESSOR = platform.machine().lower()
_X86, _ARM = ("x86_64", "amd64"), ("aarch64", "arm64")
# How long the machine runs before Python may look for Ctrl-C: 40 to 100 ms on processors of 2 to 5 GHz.
_SLICE_CYCLES = 200_000_000 if _PROCESSOR in _X86 else 0


class KernelError(ValueError):
    """A kernel stopped with a positive status.

    `row` is its row, `status` the code, `meaning` what it stands for.
    """

    def __init__(self, row: Row, status: int, meaning: str | None = None) -> None:
        self.meaning = meaning or row.kernel.errors.get(status, f"status {status}")
        super().__init__(f"{row.kernel.name}: {self.meaning}")
        self.row = row
        self.status = status


class HostError(KernelError):
    """The Python function of a row that is `named` has raised `error`, a ValueError."""

    def __init__(self, row: Row, error: ValueError) -> None:
        super().__init__(row, 1, str(error))
        self.error = error


@intrinsic
def call_entry(typing, entry, operands, tile):
    """Call the kernel at `entry`: its status."""

    def emit(context, builder, signature, args):
        operands = builder.inttoptr(args[1], pointer_to("int64"))
        return call_address(builder, args[0], INT, [operands, args[2]])

    return types.int64(types.int64, types.int64, types.int64), emit


@intrinsic
def _parallel_for(typing, function, worker, args_at, dims_at, steps_at, threads):
    """Call numba's `parallel_for` by address.

    Its arguments: function, args, dims, steps, data, inner_ndim, array_count, num_threads.
    """

    def emit(context, builder, signature, args):
        pointers = [builder.inttoptr(a, pointer_to("int8")) for a in args[1:5]]
        null = constant(pointer_to("int8"), None)
        call_address(builder, args[0], NOTHING, [*pointers, null, INT(0), INT(1), args[5]])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), emit


def emit_counter(builder: Builder, processor: str) -> Value:
    """The counter of time of a processor, as `platform.machine()` names it: 0 where there is none."""
    if processor in _ARM:
        # LLVM's own cycle counter would be the performance monitor's, which user code may not read.
        return register(builder, "cntvct_el0")
    return call(builder, "llvm.readcyclecounter", INT, []) if processor in _X86 else INT(0)


@intrinsic
def cycles(typing):
    """The processor's counter of time; 0 where user code may not read one."""

    def emit(context, builder, signature, args):
        return emit_counter(builder, _PROCESSOR)

    return types.int64(), emit


@helper
def _turn(words, control, here):
    """At the end of a loop's body: move addresses on, and tell the next row, at its start or after it.

    The words of the control row: where the body starts, turns, turns done, the address of a byte that ends
    the loop (or 0), then pairs of word and stride.
    """
    done = load_int(control + 16) + 1
    stop = load_int(control + 24)
    again = done < load_int(control + 8) and (stop == 0 or load_byte(stop) == 0)
    factor = 1 if again else 1 - done
    for k in range(load_int(control + 32)):
        pair = control + 40 + 16 * k
        word = words + 8 * load_int(pair)
        store_int(word, load_int(word) + factor * load_int(pair + 8))
    store_int(control + 16, done if again else 0)
    return load_int(control) if again else here + 1


@helper
def _next(words, control, here):
    """The row after a control row, whose words begin with a row to go to and a number of turns.

    With 0 turns it is the start of a branch, or the end of its first list: go there if the byte at the
    address in word 2 is 0, or if there is no address.
    """
    if load_int(control + 8) != 0:
        return _turn(words, control, here)
    condition = load_int(control + 16)
    if condition == 0 or load_byte(condition) == 0:
        return load_int(control)
    return here + 1


@helper
def _note_tile(clocks, events, row, lane, start):
    """Add a tile's time to its row's clock, and to the events while there is room."""
    end = cycles()
    fetch_add(clocks + 8 * CLOCK_WORDS * row, end - start)
    if events != 0:
        number = fetch_add(events, 1)
        if number < load_int(events + 8):
            place = events + 8 * EVENT_WORDS * (number + 1)
            store_int(place, row)
            store_int(place + 8, lane)
            store_int(place + 16, start)
            store_int(place + 24, end)


@helper
def _next_tile(region, thread):
    """Take a tile of the current gang, of the thread's own share before those of others; -1 if none is."""
    tiles, shares = load_int(region + 8 * _TILES), load_int(region + 8 * _SHARES)
    taken = load_int(region + 8 * _TAKEN)
    for k in range(shares):
        number = (thread + k) % shares
        first, end = share(number, shares, tiles)
        place = taken + 8 * TAKEN_WORDS * number
        if load_int(place) < end - first:
            tile = first + fetch_add(place, 1)
            if tile < end:
                return tile
    return -1


@helper
def _is_done(region):
    """Whether all tiles of the current gang are taken."""
    tiles, shares = load_int(region + 8 * _TILES), load_int(region + 8 * _SHARES)
    for number in range(shares):
        first, end = share(number, shares, tiles)
        if load_int(load_int(region + 8 * _TAKEN) + 8 * TAKEN_WORDS * number) < end - first:
            return False
    return True


@helper
def _restart(context):
    """Begin with the tiles of the next gang."""
    for number in range(context[_THREADS]):
        store_int(context[_TAKEN] + 8 * TAKEN_WORDS * number, 0)


@helper
def _take_tiles(region, thread):
    """Take tiles of the current gang until none is left, one fails, or the deadline has passed."""
    first = load_int(region + 8 * _GANG)
    operands = load_int(region + 8 * _OPERANDS)
    deadline = load_int(region + 8 * _DEADLINE)
    clocks = load_int(region + 8 * _CLOCKS)
    lane = fetch_add(region + 8 * _LANES, 1) if clocks != 0 else 0
    start = 0
    while load_int(region + 8 * _STATUS) == 0 and (deadline == 0 or cycles() < deadline):
        tile = _next_tile(region, thread)
        if tile < 0:
            break
        row = first
        while tile >= load_int(row + 8 * ROW_TILES):
            tile -= load_int(row + 8 * ROW_TILES)
            row += 8 * ROW_WORDS
        operand = operands + 8 * load_int(row + 8 * OPERAND)
        number = (row - load_int(region + 8 * _ROWS)) // (8 * ROW_WORDS)
        if clocks != 0:
            start = cycles()
        status = call_entry(load_int(row + 8 * ENTRY), operand, tile)
        if clocks != 0:
            _note_tile(clocks, load_int(region + 8 * _EVENTS), number, lane, start)
        if status != 0:
            # The row's number and the status in one word, so that both are of the same failure.
            store_int(region + 8 * _STATUS, (number << 32) + status)
    return 0


def _worker(args, thread):
    """What a thread of the team does, of which the caller is number 0."""
    return _take_tiles(args[0], thread)


def _any_worker(args, dims):
    """What a thread of numba's layers does: none has a number."""
    return _take_tiles(args[0], 0)


@helper
def _spread(context, threads):
    """Let `threads` take the tiles of the current gang."""
    here = context[_REGION]
    if threads == 1:
        call_entry(context[_WORKER], here + 8 * _REGION, 0)
    elif context[_TOGETHER] != 0:
        store_int(here + 8 * _TEAM_THREADS, threads)
        call_entry(context[_TOGETHER], here + 8 * _TEAM, 0)
    else:
        store_int(here + 8 * _DIMS, threads)
        _parallel_for(
            context[_PARALLEL_FOR],
            context[_WORKER],
            here + 8 * _REGION,
            here + 8 * _DIMS,
            here + 8 * _STEPS,
            threads,
        )


@helper
def _begin(context):
    """Make addresses absolute, and start at the first row."""
    operands = context[_OPERANDS]
    for i in range(context[_PATCH_COUNT]):
        patch = context[_PATCHES] + 24 * i
        number = load_int(patch + 8)
        base = load_int(context[_BASES] + 8 * number) if number >= 0 else 0
        store_int(operands + 8 * load_int(patch), base + load_int(patch + 16))
    context[_CURSOR] = context[_FIRST]
    _restart(context)
    context[_STATUS] = 0


@helper
def _run_gang(context, row, number, tiles):
    """Run the tiles of the gang that starts at `row`, or what is left of them, up to the deadline."""
    clocks = context[_CLOCKS]
    start = 0
    if clocks != 0:
        context[_LANES] = 0
        start = cycles()
    context[_GANG] = row
    context[_TILES] = tiles
    if tiles == 1:
        operand = context[_OPERANDS] + 8 * load_int(row + 8 * OPERAND)
        status = call_entry(load_int(row + 8 * ENTRY), operand, 0)
        context[_STATUS] = (number << 32) + status if status != 0 else 0
        if clocks != 0:
            _note_tile(clocks, context[_EVENTS], number, 0, start)
    else:
        context[_SHARES] = min(context[_THREADS], tiles)
        _spread(context, context[_SHARES])
    if clocks != 0:
        fetch_add(clocks + 8 * (CLOCK_WORDS * number + 1), cycles() - start)


def _machine(context, resume):
    """Run all rows, or go on from the cursor. The context's words are listed at the top of this file."""
    here = context[_REGION]
    if resume == 0:
        _begin(context)
    guarded = context[_GUARDED]
    limit = context[_SLICE]
    if limit != 0:
        limit += cycles()
    context[_DEADLINE] = limit
    i = context[_CURSOR]
    while i < context[_ROW_COUNT]:
        if i >= guarded:
            limit = 0
            context[_DEADLINE] = 0
        context[_CURSOR] = i
        if limit != 0 and cycles() >= limit:
            return _PAUSED
        row = context[_ROWS] + 8 * ROW_WORDS * i
        if load_int(row + 8 * ENTRY) == 0:
            control = context[_OPERANDS] + 8 * load_int(row + 8 * OPERAND)
            if load_int(control + 8) == HOST:
                context[_CURSOR] = i + 1
                return _CALLED
            i = _next(context[_OPERANDS], control, i)
            continue
        tiles = load_int(row + 8 * GANG_TILES)
        _run_gang(context, row, i, tiles)
        if load_int(here + 8 * _STATUS) != 0:
            return _FAILED
        if tiles != 1:
            if not _is_done(here):
                return _PAUSED
            _restart(context)
        if context[_CLOCKS] != 0:
            fetch_add(context[_CLOCKS] + 8 * (CLOCK_WORDS * i + 2), 1)
        i += load_int(row + 8 * GANG_ROWS)
        if context[_STEPPING] != 0:
            context[_CURSOR] = i
            return _STEPPED
    return _DONE


def _read_cycles(operands, tile):
    return cycles()


WORKER = numba_kernel("worker", _worker)
ANY_WORKER = numba_kernel("any_worker", _any_worker)
MACHINE = numba_kernel("machine", _machine)


READ_CYCLES = numba_kernel("cycles", _read_cycles)


@cache
def _entry() -> Callable[[int, int], int]:
    """The machine as a C function of (context address, 0). ctypes lets go of the GIL while it runs."""
    return _function(MACHINE.address)


def _function(address: int) -> Callable[[int, int], int]:
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(address)


def read_cycles() -> int:
    """The counter that clocks are read from; 0 where there is none for user code."""
    return int(_function(READ_CYCLES.address)(0, 0))


def clock_name() -> str:
    """What `read_cycles` reads; empty where it reads nothing."""
    return "time-stamp counter" if _PROCESSOR in _X86 else "virtual counter" if _PROCESSOR in _ARM else ""


def threading_layer() -> str:
    """How rows are spread over threads: team, or numba's omp, tbb or workqueue."""
    return layer().name


class Lease:
    """The private state of one running call of a `Table`: operands with addresses, cursor, status.

    Parameters
    ----------
    table : Table
    bases : int
        How many bases addresses count from: set them before each run.
    clocks : array of int64, [rows, CLOCK_WORDS], optional
        Where the times of rows are added up.
    events : array of int64, [1 + most events, EVENT_WORDS], optional
        Where tiles are noted, while there is room; its first line holds how many there were, and the room.
    """

    def __init__(
        self,
        table: Table,
        bases: int,
        clocks: np.ndarray | None = None,
        events: np.ndarray | None = None,
    ) -> None:
        self.table = table
        self.bases = np.zeros(bases, np.int64)
        self.words = table.words.copy()
        self.context = np.zeros(_SIZE, np.int64)
        taken = np.zeros((table.threads, TAKEN_WORDS), np.int64)
        self._kept = (clocks, events, taken)
        context = self.context
        spread = layer()
        self._lock = spread.lock
        threads = table.threads
        if spread.team is None:
            context[_PARALLEL_FOR] = spread.address
            # Asked for more threads than it has, workqueue writes beyond its list of them.
            threads = min(threads, most_threads())
        else:
            context[_TOGETHER] = TOGETHER.address
            context[_TEAM] = spread.address
            context[_TEAM_WORKER] = WORKER.address
            context[_TEAM_ARGUMENTS] = context.ctypes.data + 8 * _REGION
        context[_ROWS] = table.table.ctypes.data
        context[_ROW_COUNT] = len(table.rows)
        context[_OPERANDS] = self.words.ctypes.data
        context[_PATCHES] = table.patches.ctypes.data
        context[_PATCH_COUNT] = len(table.patches)
        context[_BASES] = self.bases.ctypes.data
        context[_WORKER] = (ANY_WORKER if spread.team is None else WORKER).address
        context[_THREADS] = threads
        context[_TAKEN] = taken.ctypes.data
        context[_GUARDED] = table.guarded
        context[_REGION] = context.ctypes.data
        context[_CLOCKS] = 0 if clocks is None else clocks.ctypes.data
        context[_EVENTS] = 0 if events is None else events.ctypes.data
        context[_SLICE] = _SLICE_CYCLES
        self._address = int(context.ctypes.data)

    def run(self, first: int = 0) -> None:
        """Run the table, from row number `first` on, on the addresses in `bases`.

        Raises
        ------
        KernelError
            A kernel returned a positive status; no row after its gang has run.
        KeyboardInterrupt
            Ctrl-C between two slices of the run, before the guarded rows.
        """
        self.context[_FIRST] = first
        state = self._entered(0)
        while state != _DONE:
            self._answer(state)
            state = self._entered(1)

    def steps(self, first: int = 0) -> Iterator[int]:
        """Run the table gang by gang: after each, the number of the machine's row that comes next."""
        self.context[_STEPPING] = 1
        self.context[_FIRST] = first
        try:
            state = self._entered(0)
            while state != _DONE:
                self._answer(state)
                if state in (_STEPPED, _CALLED):
                    yield int(self.context[_CURSOR])
                state = self._entered(1)
        finally:
            self.context[_STEPPING] = 0

    def turns(self, control: int) -> int:
        """How many turns the loop that ends at machine row `control` has done."""
        return int(self.words[self.table.table[control, OPERAND] + 2])

    def _entered(self, resume: int) -> int:
        """Why the machine came back."""
        if self._lock is None:
            return int(_entry()(self._address, resume))
        with self._lock:
            return int(_entry()(self._address, resume))

    def _answer(self, state: int) -> None:
        """Call the Python function, or raise the error, for which the machine has stopped."""
        if state == _CALLED:
            self._call(int(self.context[_CURSOR]) - 1)
        if state == _FAILED:
            number, status = divmod(int(self.context[_STATUS]), 1 << 32)
            row = self.table.rows[number]
            assert row is not None
            raise KernelError(row, status)

    def _call(self, number: int) -> None:
        """The Python function of a row, with the row's operands as they are now."""
        row = self.table.rows[number]
        assert row is not None and isinstance(row.kernel, Host)
        first = int(self.table.table[number, OPERAND]) + 2
        operands = self.words[first : first + len(row.operands)].tolist()
        timed = self._kept[0] is not None
        start = read_cycles() if timed else 0
        try:
            row.kernel.call(operands)
        except ValueError as error:
            if not row.kernel.named:
                raise
            raise HostError(row, error) from error
        if timed:
            self._note_call(number, start, read_cycles())

    def _note_call(self, number: int, start: int, end: int) -> None:
        """Add the time of a Python function to its row's clock, and to the events while there is room."""
        clocks, events, _ = self._kept
        assert clocks is not None
        clocks[number] += end - start, end - start, 1
        if events is not None:
            place = int(events[0, 0])
            events[0, 0] += 1
            if place < events[0, 1]:
                events[place + 1] = number, 0, start, end


__all__ = [
    "CLOCK_WORDS",
    "EVENT_WORDS",
    "Address",
    "Branch",
    "Host",
    "HostError",
    "KernelError",
    "Lease",
    "Loop",
    "Row",
    "Table",
    "call_entry",
    "clock_name",
    "cycles",
    "emit_counter",
    "read_cycles",
    "threading_layer",
]
