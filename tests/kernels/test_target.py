"""What is known of the processor: sizes of caches as Linux tells them."""

from __future__ import annotations

import pytest

from symgraph.kernels.run.target import TARGET, cache_bytes


def describe(folder, caches):
    for number, (level, kind, size) in enumerate(caches):
        place = folder / f"index{number}"
        place.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (place / name).write_text(f"{text}\n")


def test_sizes_are_read_by_level_and_instructions_left_out(tmp_path):
    describe(
        tmp_path,
        [(1, "Instruction", "64K"), (1, "Data", "48K"), (2, "Unified", "1M"), (3, "Unified", "32768K")],
    )
    assert cache_bytes(tmp_path, 1, 7, 0, 1 << 30) == 48 << 10
    assert cache_bytes(tmp_path, 2, 7, 0, 1 << 30) == 1 << 20
    assert cache_bytes(tmp_path, 3, 7, 0, 1 << 30) == 32 << 20


@pytest.mark.parametrize(("told", "expected"), [("1K", 256 << 10), ("64M", 2 << 20)])
def test_sizes_are_kept_within_bounds(tmp_path, told, expected):
    describe(tmp_path, [(2, "Unified", told)])
    assert cache_bytes(tmp_path, 2, 7, 256 << 10, 2 << 20) == expected


@pytest.mark.parametrize("told", ["", "much", "-"])
def test_what_is_not_told_has_a_default(tmp_path, told):
    assert cache_bytes(tmp_path / "missing", 2, 12345, 0, 1 << 30) == 12345
    describe(tmp_path, [(2, "Unified", told)])
    assert cache_bytes(tmp_path, 2, 12345, 0, 1 << 30) == 12345


def test_this_machine_has_caches():
    assert 16 << 10 <= TARGET.l1_bytes <= 128 << 10
    assert 256 << 10 <= TARGET.l2_bytes <= 2 << 20
