"""Kills ranks of a training at random moments, and looks whether it ends as if nothing had happened.

python -m tests.distributed.kills --tier 1 --runs 100        restarts from checkpoints
python -m tests.distributed.kills --tier 2 --runs 100        lost ranks are replaced
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from symgraph.distributed.processes import descendants, kill_all

SCRIPT = Path(__file__).with_name("killed_script.py")
TICK = 0.02
HANG = 60.0  # seconds without a step, or without an end


@dataclass(frozen=True)
class Moment:
    """So many seconds after so many steps, those of all ranks together, or after the first rank is there."""

    steps: int
    seconds: float

    @classmethod
    def drawn(cls, draws: random.Random, steps: int) -> Moment:
        """In one of four cases while the ranks begin, else somewhere among the steps or behind the last."""
        if draws.random() < 0.25:
            return cls(0, draws.uniform(0, 3))
        return cls(draws.randint(1, steps), draws.uniform(0, 0.05))


@dataclass
class Run:
    """What came of a run."""

    code: int | None
    seconds: float
    victims: list[str]
    faults: list[str]
    output: str

    @property
    def restarts(self) -> int:
        return self.output.count(": restart ")


def train(
    folder: Path,
    *,
    ranks: int = 2,
    epochs: int = 4,
    every: int = 5,
    options: tuple[str, ...] = (),
    kills: tuple[Moment, ...] = (),
    seed: int = 0,
) -> Run:
    """Run the script under `symgraph launch`; a random rank dies at each of these moments."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "symgraph", "launch", "-n", str(ranks), "--every", str(every)]
    command += [*options, str(SCRIPT), str(folder), str(epochs)]
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=_environment())
        victims, seconds, hang = _watch(process, folder, list(kills), random.Random(seed))
        output.seek(0)
        text = output.read()
    return Run(process.returncode, seconds, victims, hang, text)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}


def _watch(
    process: subprocess.Popen, folder: Path, kills: list[Moment], draws: random.Random
) -> tuple[list[str], float, list[str]]:
    """Kill when it is time to, until the process ends; whom, after how long, and whether it hung."""
    victims: list[str] = []
    awake = quiet = reached = 0.0
    steps, last = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(TICK)
        # A machine that stops all processes for a while stops the training too: such time does not count.
        passed, last = min(time.monotonic() - last, 10 * TICK), time.monotonic()
        awake, quiet = awake + passed, quiet + passed
        now = sum(path.read_text().count("\n") for path in folder.glob("steps-*"))
        steps, quiet = (now, 0.0) if now != steps else (steps, quiet)
        if kills and steps >= kills[0].steps and (steps or ranks_of(process.pid)):
            reached += passed
            if reached >= kills[0].seconds and (ranks := ranks_of(process.pid)):
                kill_all([victim := draws.choice(ranks)])
                victims.append(f"{victim} after {awake:.1f} s and {steps} steps")
                kills.pop(0)
                reached = 0.0
        if quiet > HANG:
            kill_all(descendants(process.pid))
            process.send_signal(signal.SIGTERM)
            process.wait()
            return victims, awake, [f"hung: no step for {HANG:.0f} s"]
    return victims, awake, []


def ranks_of(pid: int) -> list[int]:
    """The processes below `pid` that run the script, but for their own launcher's command."""
    found = []
    for child in descendants(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1 and words[1] == str(SCRIPT).encode():
            found.append(child)
    return sorted(found)


def check(run: Run, folder: Path, reference: Path, elastic: bool = False) -> list[str]:
    """What is not as in the undisturbed run of `reference`."""
    faults = list(run.faults)
    if run.code != 0:
        faults.append(f"exit code {run.code}")
    if not (folder / "result.npz").exists():
        return [*faults, "no result"]
    wanted, found = np.load(reference / "result.npz"), np.load(folder / "result.npz")
    different = [name for name in wanted.files if not np.array_equal(wanted[name], found[name])]
    if different:
        faults.append(f"other values than undisturbed: {', '.join(different)}")
    logged = (reference / "log.csv").exists()
    if logged and (folder / "log.csv").read_text() != (reference / "log.csv").read_text():
        faults.append("another log than undisturbed")
    return faults + check_steps(folder, _steps(next(iter(reference.glob("steps-0-*"))))[-1], elastic)


def check_steps(folder: Path, last: int, elastic: bool) -> list[str]:
    """Whether each process has applied steps in their order, and all of them together each step."""
    faults = []
    runs = [_steps(path) for path in folder.glob("steps-*")]
    for steps in runs:
        if steps != list(range(steps[0], steps[0] + len(steps))) if steps else False:
            faults.append(f"steps lost or applied twice by one process: {steps}")
    applied = {step for steps in runs for step in steps}
    if applied != set(range(1, last + 1)):
        faults.append(f"steps 1 to {last} expected, lost: {sorted(set(range(1, last + 1)) - applied)}")
    if elastic:
        # Nobody goes back: whoever has begun before a loss, and is left, has applied all steps.
        whole = [steps for steps in runs if len(steps) == last]
        if not whole:
            faults.append("no rank has applied all steps")
    return faults


def _steps(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tier", type=int, choices=(1, 2), default=1)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="a folder for the outputs of runs with faults")
    options = parser.parse_args()
    extra = ("--elastic", "--timeout", "30") if options.tier == 2 else ()
    mark = "-elastic" if options.tier == 2 else ""
    draws = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        settings = {"ranks": options.ranks, "epochs": options.epochs, "options": extra}
        undisturbed = train(base / f"reference{mark}", **settings)
        print(f"undisturbed: exit code {undisturbed.code}, {undisturbed.seconds:.1f} s", flush=True)
        steps = sum(len(_steps(path)) for path in (base / f"reference{mark}").glob("steps-*"))
        bad = killed = restarts = 0
        for number in range(options.runs):
            place = base / f"{number}{mark}"
            moment = Moment.drawn(draws, steps)
            run = train(place, **settings, kills=(moment,), seed=draws.randrange(2**31))
            faults = check(run, place, base / f"reference{mark}", options.tier == 2 and not run.restarts)
            bad, killed, restarts = bad + bool(faults), killed + len(run.victims), restarts + run.restarts
            verdict = "; ".join(faults) or "as undisturbed"
            what = f"{run.seconds:5.1f} s, killed {run.victims}, {run.restarts} restarts"
            print(f"{number:3d} {what}: {verdict}", flush=True)
            if faults and options.keep:
                shutil.copytree(place, Path(options.keep) / str(number), dirs_exist_ok=True)
            shutil.rmtree(place)
    print(f"{options.runs} runs, {killed} ranks killed, {restarts} restarts, {bad} runs with faults")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
