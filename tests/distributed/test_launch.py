"""`symgraph launch`: command lines, and real kills; `tests.distributed.kills` as a program makes many."""

import argparse
import random
import sys

import pytest

from symgraph.distributed.launch import add_launch, launch
from tests.distributed.kills import Moment, check, train
from tests.distributed.mpi import mpirun

SMALL = {"epochs": 1, "every": 3}


def run(*arguments):
    parser = argparse.ArgumentParser()
    add_launch(parser.add_subparsers(dest="command"))
    return launch(parser.parse_args(["launch", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "expected a script to run, got none"),
        (("nowhere.py",), "expected a script to run, got 'nowhere.py', which is no file"),
        (("-n", "0", __file__), "-n: expected at least 1, got 0"),
        (("--max-restarts", "-1", __file__), "--max-restarts: expected at least 0, got -1"),
        (("--every", "0", __file__), "--every: expected at least 1, got 0"),
        (("--timeout", "nan", __file__), "--timeout: expected a number of seconds, got nan"),
        (("--elastic", __file__), "--elastic: expected several ranks"),
        (("-n", "4", "--hosts", "a:2,b:1", __file__), "--hosts: expected places for 4 ranks, got 3"),
        (("--hosts", "a:two", __file__), "--hosts: expected names and places such as a:2,b:2, got 'a:two'"),
    ],
)
def test_wrong_options_are_told(arguments, error):
    with pytest.raises(ValueError, match=error):
        run(*arguments)


def written(tmp_path, text):
    path = tmp_path / "script.py"
    path.write_text(text)
    return str(path)


def test_one_process_needs_no_mpi_and_its_exit_code_is_told(tmp_path, capfd):
    script = written(tmp_path, "import sys; print(sys.argv[1:], 'mpi4py' in sys.modules); sys.exit(7)")
    assert run("--max-restarts", "0", script, "a", "-b") == 7
    assert capfd.readouterr().out == "['a', '-b'] False\n"


def test_an_error_of_the_script_is_not_tried_again(tmp_path, capfd):
    assert run(written(tmp_path, "print('once'); raise ValueError")) == 1
    assert capfd.readouterr().out == "once\n"


def test_a_killed_process_is_started_again_so_many_times(tmp_path, capfd):
    script = written(tmp_path, "import os, signal\nprint('again', flush=True)\nos.kill(os.getpid(), 9)")
    assert run("--max-restarts", "2", script) == 137
    shown = capfd.readouterr()
    assert shown.out == "again\n" * 3
    assert "exit code 137: restart 2 of 2, from its beginning" in shown.err


def test_a_folder_is_for_one_job(tmp_path):
    folder = tmp_path / "checkpoints"
    inner = (
        "import subprocess, sys\n"
        f"command = [sys.executable, '-m', 'symgraph', 'launch', '--checkpoint', {str(folder)!r}, __file__]\n"
        "told = subprocess.run(command, capture_output=True, text=True)\n"
        "assert told.returncode == 2, told\n"
        "assert 'another job uses the folder' in told.stderr\n"
    )
    assert run("--checkpoint", str(folder), written(tmp_path, inner)) == 0
    assert not list(folder.iterdir())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "reference"
    assert train(folder, ranks=1, **SMALL).code == 0
    return folder


def test_one_process_that_is_killed_ends_as_undisturbed(alone, tmp_path):
    kills = (Moment(7, 0.0), Moment(30, 0.02))
    run = train(tmp_path, ranks=1, kills=kills, **SMALL)
    assert check(run, tmp_path, alone) == []
    assert run.restarts == len(run.victims) == 2


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    mpirun()
    folder = tmp_path_factory.mktemp("two") / "reference-elastic"
    assert train(folder, ranks=2, **SMALL).code == 0
    return folder


def test_a_job_with_a_lost_rank_is_started_again(two, tmp_path):
    folder = tmp_path / "run-elastic"
    run = train(folder, ranks=2, kills=(Moment(20, 0.0),), **SMALL)
    assert check(run, folder, two) == []
    assert run.restarts == 1


@pytest.mark.skipif(sys.platform != "linux", reason="Open MPI replaces lost ranks on Linux")
def test_a_lost_rank_is_replaced(two, tmp_path):
    folder = tmp_path / "run-elastic"
    options = ("--elastic", "--timeout", "30")
    run = train(folder, ranks=2, kills=(Moment(20, 0.0),), options=options, seed=1, **SMALL)
    assert check(run, folder, two, elastic=not run.restarts) == []
    assert "was lost and is replaced" in run.output


def test_moments_are_drawn_at_the_beginning_and_among_all_steps():
    drawn = [Moment.drawn(random.Random(seed), 50) for seed in range(200)]
    assert {moment.steps for moment in drawn} >= {0, 1, 50}
    assert max(moment.seconds for moment in drawn if moment.steps) < 0.05
