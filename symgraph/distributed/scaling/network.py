"""Networks as the alpha-beta model sees them, and sizes with units as people write them."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

_TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}  # both letters for micro
_BYTES = {
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
    "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40,
}  # fmt: skip
_BITS = {"b": 1 / 8, "kb": 1e3 / 8, "Mb": 1e6 / 8, "Gb": 1e9 / 8, "Tb": 1e12 / 8}
_RATES = {f"{unit}/s": factor for unit, factor in {**_BYTES, **_BITS}.items()}
_NUMBER = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(\D*?)\s*")


def seconds(text: str) -> float:
    """A time such as ``27ms``. ValueError for anything else."""
    return _quantity(text, _TIMES, "a time with a unit, such as 27ms or 1.5us")


def nbytes(text: str) -> float:
    """An amount such as ``4.8MB`` or ``512KiB``. ValueError for anything else."""
    return _quantity(text, _BYTES, "bytes with a unit, such as 4.8MB or 512KiB")


def rate(text: str) -> float:
    """Bytes a second, of a rate such as ``1.17GB/s`` or ``10Gb/s`` (bits). ValueError for anything else."""
    return _quantity(text, _RATES, "a rate with a unit, such as 1.17GB/s or 10Gb/s")


def _quantity(text: str, units: Mapping[str, float], expected: str) -> float:
    found = _NUMBER.fullmatch(text)
    try:
        value = float(found[1]) * units[found[2]] if found else math.nan
    except (ValueError, KeyError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected {expected}, got {text!r}")
    return value


@dataclass(frozen=True)
class Network:
    """What a message between two nodes costs: `latency` + bytes / `bandwidth`; Hockney's model.

    All nodes may send and receive at the same time, each one message of each, and none waits for another's.

    Attributes
    ----------
    name : str
    latency : float
        Alpha, in seconds.
    bandwidth : float
        1 / beta, in bytes a second.
    reduction : float
        1 / gamma: bytes of a vector that a node adds to another one in a second.
    """

    name: str
    latency: float
    bandwidth: float
    reduction: float = 10e9

    def __post_init__(self) -> None:
        for name in ("latency", "bandwidth", "reduction"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"network {self.name}: {name} should be a number, got {value!r}")
            if value < 0 or (value == 0 and name != "latency"):
                least = "0 or more" if name == "latency" else "more than 0"
                raise ValueError(f"network {self.name}: {name} should be {least}, got {value}")

    @property
    def alpha(self) -> float:
        """Seconds a message."""
        return self.latency

    @property
    def beta(self) -> float:
        """Seconds a byte on the way."""
        return 1 / self.bandwidth

    @property
    def gamma(self) -> float:
        """Seconds a byte that is added."""
        return 1 / self.reduction

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file that `network` reads."""
        Path(path).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


# Bandwidth: of TCP in Ethernet frames of 1,500 bytes 1,448 of 1,538 are left; of RDMA about 97 %. Latency:
# round figures of half a round trip between processes of MPI.
PRESETS = {
    made.name: made
    for made in (
        Network("1gbe", 50e-6, 1e9 / 8 * 1448 / 1538),
        Network("10gbe", 20e-6, 10e9 / 8 * 1448 / 1538),
        Network("25gbe", 15e-6, 25e9 / 8 * 1448 / 1538),
        Network("100gbe", 10e-6, 100e9 / 8 * 1448 / 1538),
        Network("infiniband-edr", 1.5e-6, 100e9 / 8 * 0.97),
        Network("infiniband-hdr", 1.3e-6, 200e9 / 8 * 0.97),
    )
}
"""Usual networks by name, with nominal figures: measure your own."""


def network(name: str) -> Network:
    """A network by the name of a preset, or from a file that `Network.save` or ``--measure --out`` wrote.

    Raises
    ------
    ValueError
        There is no preset of that name, or the file holds no network.
    OSError
        There is no such file.
    """
    if name.lower() in PRESETS:
        return PRESETS[name.lower()]
    if not name.endswith(".json"):
        raise ValueError(f"expected one of {', '.join(PRESETS)}, or a .json file of a network, got {name!r}")
    try:
        found = json.loads(Path(name).read_text(encoding="utf-8"))
        return Network(**found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected name, latency, bandwidth and reduction: {error}") from error
