"""The command `symgraph bench`: what it prints, and what it refuses."""

from __future__ import annotations

import re

import pytest

from symgraph import cli
from symgraph.inspection.text.bench import bench_lines
from symgraph.kernels import bench


def command(capsys, *arguments):
    code = cli.main(["bench", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def parsed(text):
    """The tables of a listing: lists of rows, cut at two spaces."""
    parts = [part.splitlines() for part in text.strip().split("\n\n")]
    return [[re.split(r" {2,}", line.strip()) for line in part] for part in parts]


def test_the_command_compares(capsys):
    arguments = "conv2d --x 2,18,18,32 --w 3,3,32,32 --against winograd_4x4,direct --blocks 5x2"
    code, text, _ = command(capsys, *arguments.split(), "--threads", "1", "--runs", "3")
    assert code == 0
    head, figures, kernels = parsed(text)
    assert head[0] == ["conv2d: x 2x18x18x32, w 3x3x32x32 -> out 2x16x16x32"]
    assert head[1][0].startswith("float32, 1 thread; a run is 9.437 MFLOP and 181 KiB; peaks: ")
    columns = "side, median, fastest, quartiles, runs, GFLOP/s, % of peak, GB/s, % of peak, ratio"
    assert figures[0] == columns.split(", ")
    assert [row[0] for row in figures[1:]] == ["winograd_4x4", "direct", "5x2"]
    assert [row[4] for row in figures[1:]] == ["3", "3", "3"]
    peaks = [float(n) for n in re.findall(r"([\d.]+) G", head[1][0].partition("peaks")[2])]
    for row in figures[1:]:
        seconds = float(row[1].split()[0]) * {"s": 1, "ms": 1e-3, "µs": 1e-6}[row[1].split()[1]]
        assert float(row[5]) * seconds * 1e9 == pytest.approx(9437184, rel=2e-3)
        assert float(row[7]) * seconds * 1e9 == pytest.approx(181 * 1024, rel=2e-3)
        assert float(row[6]) == pytest.approx(100 * float(row[5]) / peaks[0], rel=0.02, abs=0.1)
    assert figures[1][-1] == "1.00"
    assert kernels[0] == ["side", "kernel", "tiles", "compiled in"]
    assert kernels[1][1].startswith("winograd_4x4[float32")


def test_the_command_takes_every_setting(capsys):
    for arguments, expected in (
        ("matmul --a 8,6 --b 8,9 --transpose-a", "matmul: a 8x6, b 8x9 -> out 6x9, transpose_a True"),
        (
            "max_pool2d --x 1,6,6,4 --pool 3,3 --strides 2,2 --padding same --places",
            "max_pool2d: x 1x6x6x4 -> out 1x3x3x4, places 1x3x3x4, pool (3, 3), strides (2, 2), padding "
            "((0, 1), (0, 1))",
        ),
        (
            "conv2d --x 1,6,6,4 --w 3,3,2,4 --groups 2 --dilation 1,2 --padding 1,0,1,1",
            "conv2d: x 1x6x6x4, w 3x3x2x4 -> out 1x5x4x4, padding ((1, 0), (1, 1)), "
            "dilation (1, 2), groups 2",
        ),
        ("reduce_sum --x 4,5,6 --axis 0,2", "reduce_sum: x 4x5x6 -> out 5, axis (0, 2)"),
        ("softmax --x 4,5 --axis 0 --log", "softmax: x 4x5 -> out 4x5, axis 0, log True"),
        ("add --x 4,5 --y 5 --dtype float64", "add: x 4x5, y 5 -> out 4x5"),
    ):
        code, text, error = command(capsys, *arguments.split(), "--runs", "1")
        assert (code, error) == (0, "")
        assert text.splitlines()[0] == expected


def test_the_command_prints_what_kernels_are_made_of(capsys):
    arguments = ("matmul", "--a", "16,16", "--b", "16,16", "--runs", "1")
    code, text, _ = command(capsys, *arguments, "--source", "--llvm", "--assembly")
    assert code == 0
    titles = [line for line in text.splitlines() if line.startswith("-- ")]
    assert titles == [
        "-- Python",
        "-- LLVM IR",
        "-- assembly",
    ]
    assert re.search(r"^== contraction\[.*\]: \d+ bits, \d+ fused multiply-adds$", text, re.MULTILINE)
    _, text, _ = command(capsys, *arguments)
    assert "== " not in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("conv9 --x 3", "kernel: expected one of conv2d, "),
        (
            "matmul --a 3,4 --b 5,6",
            "b: expected 4 rows for a product with (3, 4), got (5, 6)\n",
        ),
        ("softmax --x 3,4 --dtype int8", "dtype: expected float32 or float64, got 'int8'\n"),
        (
            "softmax --x 3,4 --blocks 4x2",
            "blocks: softmax has no block of registers to choose",
        ),
    ],
)
def test_the_command_refuses_in_one_line(capsys, arguments, text):
    code, out, error = command(capsys, *arguments.split())
    assert (code, out) == (2, "")
    assert error.startswith(f"symgraph bench: {text}") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("softmax --x 3,a", "argument --x: expected numbers such as 3,3,64,64, got '3,a'"),
        ("matmul --blocks 6", "argument --blocks: expected blocks such as 6x4,12x2, got '6'"),
        (
            "conv2d --padding 1",
            "argument --padding: expected valid, same or numbers top,bottom",
        ),
    ],
)
def test_the_command_refuses_what_it_cannot_read(capsys, arguments, text):
    with pytest.raises(SystemExit) as caught:
        cli.main(["bench", *arguments.split()])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_small_figures_have_units():
    problem = bench.softmax((2, 2))
    head = bench_lines(problem, bench.measure(problem, runs=1))[1]
    assert "; a run is 16 FLOP and 32 B; " in head
