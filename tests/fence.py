"""Arrays beside memory that may not be touched: a kernel that leaves its operands ends the process."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
NO_ACCESS = 0


class Fence:
    """Makes arrays that touch a closed page on one side; a stray access ends the process."""

    def __init__(self, at_end: bool) -> None:
        self.at_end = at_end
        self.library = ctypes.CDLL(None, use_errno=True)
        self.library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self.maps: list[mmap.mmap] = []

    def __call__(self, values: np.ndarray) -> np.ndarray:
        pages = -(-values.nbytes // PAGE) + 2
        memory = mmap.mmap(-1, pages * PAGE)
        self.maps.append(memory)
        whole = np.frombuffer(memory, np.uint8)
        start = whole.ctypes.data
        for closed in (start, start + (pages - 1) * PAGE):
            assert self.library.mprotect(closed, PAGE, NO_ACCESS) == 0
        first = (pages - 1) * PAGE - values.nbytes if self.at_end else PAGE
        held = whole[first : first + values.nbytes].view(values.dtype).reshape(values.shape)
        held[...] = values
        return held
