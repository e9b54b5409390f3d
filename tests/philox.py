"""Philox4x32-10 in Python integers: which numbers a draw has to have."""

from __future__ import annotations

import numpy as np


def block(number: int, key: int, stream: int = 0, turn: int = 0) -> list[int]:
    """The four words of a block: the turn lies above 45 bits of its number and 43 of the stream."""
    low = number | turn % 2**19 << 45
    high = stream ^ turn // 2**19 << 43
    c = [low & 0xFFFFFFFF, low >> 32, high & 0xFFFFFFFF, high >> 32]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def uniform(count: int, key: int, call: int = 0, turn: int = 0) -> np.ndarray:
    """The first float32 numbers, of at most 16, of a draw from [0, 1): the first words of its blocks."""
    words = [block(number, key, call, turn)[0] for number in range(count)]
    return np.array([(word >> 8) * 2.0**-24 for word in words], "float32")
