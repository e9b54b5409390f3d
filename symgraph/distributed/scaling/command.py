"""`symgraph scale`: what training on more nodes would bring."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from symgraph.distributed.scaling.costs import ALGORITHMS
from symgraph.distributed.scaling.measure import Measured, measure
from symgraph.distributed.scaling.network import PRESETS, Network, nbytes, network, rate, seconds
from symgraph.distributed.scaling.observe import (
    PROFILE_ENDINGS,
    model_workload,
    profile_workload,
    script_workload,
)
from symgraph.distributed.scaling.predict import SCALINGS, predict
from symgraph.distributed.scaling.text import measured_lines, scale_data, scale_lines
from symgraph.distributed.scaling.workload import Workload, even_gradients
from symgraph.distributed.world import World, set_world, world

_DESCRIPTION = f"""\
Predict how training scales to more nodes, from the time of a step on one node, the bytes of its gradients,
and the latency and bandwidth of a network: see docs/scaling.md.

the step, one of:
  symgraph scale model.h5 --batch-size 128     a compiled model, timed on random data
  symgraph scale mnist_cnn --batch-size 128    a network of symgraph.models by name: mnist_cnn, ResNet50, ...
  symgraph scale train.py -- --epochs 3        a script, ended after some steps; behind -- its arguments
  symgraph scale profile.json                  a saved profile
  symgraph scale --step-time 27ms --gradient-bytes 4.8MB --batch-size 128

the network, one of:
  --network 10gbe            {", ".join(PRESETS)}
  --network measured.json    as --measure --out wrote it
  --latency 20us --bandwidth 1.1GB/s
  mpirun -n 2 symgraph scale --measure --out measured.json    times messages between these processes
"""
_MOST_NODES = 1 << 20
_FIGURES = ("gradient_bytes", "backward_share", "fixed_time")
_SHARE = 2 / 3


def add_scale(commands: Any) -> None:
    """Add the command to a parser's."""
    tell = commands.add_parser(
        "scale",
        help="predict how training scales to more nodes",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tell.add_argument("source", nargs="?", help="a model, a script, a profile, or the name of a network")
    tell.add_argument("--nodes", type=_nodes, metavar="2..1024", help="a range in doubles, or 2,3,8")
    tell.add_argument("--batch-size", type=int, help="samples of a step on one node; default of models: 32")
    tell.add_argument("--scaling", choices=SCALINGS, help="default: both")
    tell.add_argument("--algorithm", choices=tuple(ALGORITHMS), help="of the Allreduce; default: all")
    tell.add_argument(
        "--buckets", type=int, default=4, help="messages that overlap with the backward pass (default: 4)"
    )
    tell.add_argument("--json", action="store_true", help="print all figures as JSON")
    step = tell.add_argument_group("the step as figures")
    step.add_argument("--step-time", type=_with(seconds), help="such as 27ms")
    step.add_argument("--gradient-bytes", type=_with(nbytes), help="such as 4.8MB")
    step.add_argument("--fixed-time", type=_with(seconds), help="of it, whatever the batch size; default: 0")
    step.add_argument("--backward-share", type=float, help="of the backward pass in it; default: 2/3")
    net = tell.add_argument_group("the network")
    net.add_argument("--network", help="its name or its file; default: 10gbe")
    net.add_argument("--latency", type=_with(seconds), help="of a message, such as 20us")
    net.add_argument("--bandwidth", type=_with(rate), help="such as 1.1GB/s or 10Gb/s")
    net.add_argument("--reduction", type=_with(rate), help="bytes a node adds in a second; default: 10GB/s")
    net.add_argument("--measure", action="store_true", help="time messages between processes of MPI")
    net.add_argument("--out", help="with --measure: a .json file to write")


def without_script_arguments(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line up to ``--``, and what is behind it, which a parser would mix up with its own."""
    if given[:1] != ["scale"] or "--" not in given:
        return list(given), []
    place = given.index("--")
    return list(given[:place]), list(given[place + 1 :])


def _with(read: Callable[[str], float]) -> Callable[[str], float]:
    """`read` as a parser wants it."""

    def quantity(text: str) -> float:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return quantity


def _nodes(text: str) -> tuple[int, ...]:
    """Numbers of nodes: 2..1024 doubles from 2 on, and ends with 1024."""
    try:
        if ".." in text:
            first, last = (int(part) for part in text.split(".."))
            doubles = [first << power for power in range(_MOST_NODES.bit_length()) if first << power < last]
            found = tuple([*doubles, last] if first <= last else ())
        else:
            found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or not 1 <= found[0] <= found[-1] <= _MOST_NODES:
        raise argparse.ArgumentTypeError(
            f"expected numbers of nodes from 1 to {_MOST_NODES}, such as 2..1024 or 2,3,8, got {text!r}"
        )
    return found


def scale(
    options: argparse.Namespace,
    prepare_script: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = print,
) -> int:
    """Measure what is to be measured, predict, print.

    Parameters
    ----------
    prepare_script : callable
        Called before a script runs.

    Raises
    ------
    ValueError, OSError, ImportError
        Options are missing or contradict each other, or files are not what they should be.
    """
    _check(options)
    group = world()
    measured = measure(group) if options.measure else None
    net = _network(options, measured)
    if options.out and group.rank == 0:
        net.save(options.out)
    load = None
    if options.source is not None or options.step_time is not None:
        with _alone(group):
            load = _workload(options, prepare_script)
    found = []
    if load is not None:
        scalings = SCALINGS if options.scaling is None else (options.scaling,)
        algorithms = tuple(ALGORITHMS) if options.algorithm is None else (options.algorithm,)
        found = list(predict(load, net, options.nodes, scalings, algorithms, options.buckets))
    if group.rank > 0:
        return 0
    if options.json:
        say(json.dumps(scale_data(load, net, found, options.buckets, measured), indent=1))
        return 0
    for line in measured_lines(measured) if measured is not None else ():
        say(line)
    if load is not None:
        for line in scale_lines(load, net, found, options.buckets):
            say(line)
    return 0


@contextmanager
def _alone(group: World) -> Iterator[None]:
    """What is trained here is trained by each process for itself, by all of them at the same time."""
    if group.size == 1:
        yield
        return
    group.barrier()
    set_world(World())
    try:
        yield
    finally:
        set_world(group)
    group.barrier()


def _check(options: argparse.Namespace) -> None:
    """ValueError for options that are missing, too many, or out of range."""
    given = [name for name in _FIGURES if getattr(options, name) is not None]
    if options.step_time is None and given:
        raise ValueError(f"{_option(given[0])}: expected --step-time, too")
    if options.step_time is not None:
        if options.source is not None:
            raise ValueError(f"--step-time: expected no model or script beside it, got {options.source}")
        for name in ("gradient_bytes", "batch_size"):
            if getattr(options, name) is None:
                raise ValueError(f"{_option(name)}: expected beside --step-time")
        if not options.gradient_bytes > 0:
            raise ValueError(f"--gradient-bytes: expected more than 0, got {options.gradient_bytes:g}")
    stepless = options.source is None and options.step_time is None
    if stepless and not options.measure:
        raise ValueError("expected a model, a script, a profile, --step-time, or --measure")
    if not stepless and options.nodes is None:
        raise ValueError("--nodes: expected numbers of nodes, such as 2..1024")
    if stepless and (options.nodes is not None or options.batch_size is not None):
        raise ValueError("--nodes and --batch-size: expected a model, a script, a profile or --step-time")
    if options.buckets < 1:
        raise ValueError(f"--buckets: expected at least 1, got {options.buckets}")
    if options.batch_size is not None and options.batch_size < 1:
        raise ValueError(f"--batch-size: expected at least 1, got {options.batch_size}")
    if options.out and not options.measure:
        raise ValueError("--out: expected --measure, whose network it is written to")
    if options.out and not options.out.endswith(".json"):
        raise ValueError(f"--out: expected a name that ends in .json, got {options.out!r}")
    if options.script_arguments and not (options.source or "").endswith(".py"):
        raise ValueError(f"{options.script_arguments[0]} behind --: expected a script that takes it")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _network(options: argparse.Namespace, measured: Measured | None) -> Network:
    parts = {name: getattr(options, name) for name in ("latency", "bandwidth", "reduction")}
    given = {name: value for name, value in parts.items() if value is not None}
    if measured is not None:
        wrong = [*given, *(["network"] if options.network else [])]
        if wrong:
            raise ValueError(f"--{wrong[0]}: expected nothing beside --measure, which finds it out")
        return measured.network
    if options.network is not None:
        if "latency" in given or "bandwidth" in given:
            raise ValueError("--network: expected no --latency or --bandwidth beside it")
        chosen = network(options.network)
        return Network(
            chosen.name, chosen.latency, chosen.bandwidth, given.get("reduction", chosen.reduction)
        )
    if ("latency" in given) != ("bandwidth" in given):
        raise ValueError("--latency and --bandwidth: expected both or none of them")
    if "latency" in given:
        return Network("network", **given)
    usual = network("10gbe")
    return Network(usual.name, usual.latency, usual.bandwidth, given.get("reduction", usual.reduction))


def _workload(options: argparse.Namespace, prepare_script: Callable[[], None]) -> Workload:
    if options.step_time is not None:
        share = _SHARE if options.backward_share is None else options.backward_share
        return Workload(
            "figures",
            options.batch_size,
            options.step_time,
            even_gradients(options.gradient_bytes),
            fixed=options.fixed_time or 0.0,
            backward=share,
        )
    source = options.source
    if source.endswith((".py", *PROFILE_ENDINGS)):
        if options.batch_size is not None:
            raise ValueError(f"--batch-size: {source} has its own")
        if not source.endswith(".py"):
            return profile_workload(source)
        prepare_script()
        return script_workload(source, options.script_arguments)
    return model_workload(source, 32 if options.batch_size is None else options.batch_size)
