"""A finished profile, as plain data: the source of its tables, files and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from symgraph.inspection.facts.hardware import HardwareFacts
from symgraph.inspection.facts.times import FunctionTimes
from symgraph.kernels.ceilings import Ceilings

SCHEMA = 1
"""Version of the data: raised when a field changes its meaning."""


@dataclass(frozen=True)
class ProfileFacts:
    """Times of Functions, and the hardware that they were measured on.

    Attributes
    ----------
    functions : tuple of FunctionTimes
        The longest first.
    seconds : float
        From the beginning to the end of the profile, all calls and what was between them.
    ceilings : mapping of int to Ceilings
        For each number of threads that Programs were made for.
    """

    functions: tuple[FunctionTimes, ...]
    seconds: float
    hardware: HardwareFacts
    ceilings: Mapping[int, Ceilings]

    @property
    def inside(self) -> float:
        """Seconds inside of Functions."""
        return sum(times.seconds + times.first_seconds for times in self.functions)

    def to_json(self) -> dict[str, Any]:
        """As dictionaries, lists, numbers and text; times in seconds."""
        return {
            "schema": SCHEMA,
            "kind": "profile",
            "seconds": self.seconds,
            "inside": self.inside,
            "machine": self.hardware.to_json(),
            "ceilings": [asdict(ceilings) for ceilings in self.ceilings.values()],
            "functions": [times.to_json() for times in self.functions],
        }
