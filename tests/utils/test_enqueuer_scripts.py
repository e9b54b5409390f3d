"""Scripts that train with processes: with and without a guard, interrupted, and killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.utils.processes import children, environment, gone, wait_until

SCRIPT = """
import os, sys, time
import numpy as np
from symgraph.layers import Dense, Lambda
from symgraph.models import Sequential
from symgraph.utils import Sequence as Batches

class Own(Batches):
    def __init__(self, seconds=0.0):
        self.seconds = seconds

    def __len__(self):
        return 6

    def __getitem__(self, index):
        time.sleep(self.seconds)
        return np.full((4, 1), os.getpid()), np.zeros((4, 1))

def train(seconds=0.0, epochs=1):
    pids = set()
    pick = {"pids": lambda name, value, info: pids.update(value.ravel())}
    layers = [Lambda(lambda v: v * 1, input_shape=(1,), name="pids"), Lambda(lambda v: v * 1e-6), Dense(1)]
    model = Sequential(layers)
    model.compile("sgd", "mse")
    model.fit(np.ones((64, 1)), np.ones((64, 1)), verbose=0)
    model.fit_generator(Own(), epochs=2, workers=4, verbose=0)
    model.fit(Own(seconds), epochs=epochs, workers=2, verbose=0, use_multiprocessing=True, taps=pick)
    print("trained by", "itself" if pids == {os.getpid()} else "others" if os.getpid() not in pids else pids)
"""
BATCHES = """
from symgraph.utils import OrderedEnqueuer
from tests.utils.sequences import Rows

enqueuer = OrderedEnqueuer(Rows(), use_multiprocessing=True)
enqueuer.start(2)
print("begun", flush=True)
for _ in enqueuer.get():
    pass
"""
GUARDED = SCRIPT + 'if __name__ == "__main__":\n    train()\n'


def _ran(tmp_path, text, **more):
    path = tmp_path / "script.py"
    path.write_text(text)
    return subprocess.run(
        [sys.executable, str(path)],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_a_guarded_script_trains_with_processes_after_threads(tmp_path, layer):
    done = _ran(tmp_path, GUARDED, NUMBA_THREADING_LAYER=layer)
    assert (done.returncode, done.stdout) == (0, "trained by others\n"), done.stderr
    assert "Warning" not in done.stderr


def test_a_script_without_a_guard_gets_threads_and_a_warning(tmp_path):
    done = _ran(tmp_path, SCRIPT + "train()\n")
    assert (done.returncode, done.stdout) == (0, "trained by itself\n"), done.stderr
    assert 'script.py, which has no `if __name__ == "__main__":`' in done.stderr


def test_a_guard_around_something_else_is_told_without_a_recursion(tmp_path):
    done = _ran(tmp_path, BATCHES + 'if __name__ == "__main__":\n    pass\n')
    assert done.returncode == 1
    assert "A worker process has come to a call with `use_multiprocessing=True`" in done.stderr
    assert re.search(r"The worker process \d+ ended with exit code 1", done.stderr)
    assert done.stdout == "begun\n"


def test_an_interactive_session_gets_threads_and_a_warning():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + "train()"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "trained by itself\n"), done.stderr
    assert "cannot see what is defined in an interactive session, and Own needs it" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_death_of_the_trainer_leave_no_process(tmp_path, number):
    path = tmp_path / "script.py"
    if number == signal.SIGINT:
        text = SCRIPT + "if __name__ == '__main__':\n    train(0.05, 10**6)\n"
    else:
        text = "if __name__ == '__main__':" + BATCHES.replace("\n", "\n    ")
    path.write_text(text)
    trainer = subprocess.Popen(
        [sys.executable, str(path)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert wait_until(lambda: len(children(trainer.pid)) == 2, 60)
        workers = children(trainer.pid)
        time.sleep(0.3)
        # As a terminal does it: to all processes of the group.
        (os.killpg if number == signal.SIGINT else os.kill)(trainer.pid, number)
        _, errors = trainer.communicate(timeout=20)
        assert wait_until(lambda: all(gone(pid) for pid in workers))
    finally:
        if trainer.poll() is None:
            trainer.kill()
    if number == signal.SIGINT:
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert errors.count("Traceback") == 1
