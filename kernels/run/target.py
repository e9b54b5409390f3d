"""The processor that kernels are compiled for: its name, features and vector width.

`NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` are honoured, so a narrower machine can be tried on a wider one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import llvmlite.binding as llvm
from numba.core import config as numba_config

_WIDE = ("avx512", "x86-64-v4", "icelake", "sapphirerapids", "znver4", "znver5", "cascadelake", "skx")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_MIDDLE = ("haswell", "broadwell", "skylake", "alderlake", "znver", "x86-64-v3", "core-avx2")


@dataclass(frozen=True, slots=True)
class Target:
    """A processor as LLVM names it, and the bytes of its widest useful vector register.

    `l1_bytes` and `l2_bytes` are the data caches of one core.
    """

    cpu: str
    features: str
    vector_bytes: int
    registers: int
    l1_bytes: int = 32 << 10
    l2_bytes: int = 1 << 20

    def lanes(self, itemsize: int) -> int:
        """How many elements of `itemsize` bytes one vector register holds."""
        return self.vector_bytes // itemsize

    def machine(self, opt: int = 3) -> llvm.TargetMachine:
        """A new LLVM target machine for this processor."""
        triple = llvm.Target.from_default_triple()
        return triple.create_target_machine(
            cpu=self.cpu, features=self.features, opt=opt, jit=True, codemodel="jitdefault"
        )


def _vector_bytes(cpu: str, features: str) -> int:
    """Vector width from the feature list, or from the processor's name where only that is given."""
    enabled = {f[1:] for f in features.split(",") if f.startswith("+")}
    if "avx512f" in enabled or (not features and any(w in cpu for w in _WIDE)):
        return 64
    if "avx2" in enabled or (not features and any(w in cpu for w in _MIDDLE)):
        return 32
    return 16


def cache_bytes(folder: Path, level: int, default: int, least: int, most: int) -> int:
    """Size of a core's data cache of one level, as Linux tells it under `folder`; elsewhere `default`.

    What is told is kept between `least` and `most`: virtual machines may tell anything, and a cache that
    several cores share is not as large for each of them.
    """
    for index in range(4):
        place = folder / f"index{index}"
        try:
            if int((place / "level").read_text()) != level:
                continue
            if (place / "type").read_text().strip() == "Instruction":
                continue
            text = (place / "size").read_text().strip()
            units = {"K": 1 << 10, "M": 1 << 20}
            size = int(text.rstrip("KM")) * units.get(text[-1:], 1)
        except (OSError, ValueError):
            continue
        return min(max(size, least), most)
    return default


def _detect() -> Target:
    name = os.environ.get("NUMBA_CPU_NAME")
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if name is None:
        cpu = llvm.get_host_cpu_name()
        features = llvm.get_host_cpu_features().flatten() if features is None else features
    else:
        cpu = name
        features = features or ""
        # Numba keeps the host's features under another name; the name alone has to decide.
        setattr(numba_config, "CPU_FEATURES", features)  # noqa: B010 (made at run time: unknown to type checkers)
    width = _vector_bytes(cpu, features)
    return Target(
        cpu,
        features,
        width,
        32 if width == 64 else 16,
        cache_bytes(_CACHES, 1, 32 << 10, 16 << 10, 128 << 10),
        cache_bytes(_CACHES, 2, 1 << 20, 256 << 10, 2 << 20),
    )


llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
TARGET = _detect()
