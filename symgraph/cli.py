"""The command `symgraph`: what one does before, or instead of, writing a script.

symgraph run script.py ...       run a script for Keras or tf.keras as it is; also -m module, as Python does
symgraph warmup                  compile the kernels that usual networks need, so that first runs do not wait
symgraph doctor                  look whether everything works on this machine
symgraph report model.h5         run a model for some batches, and tell where the time goes
symgraph report a.json b.json    compare two saved profiles
symgraph bench conv2d ...        time one kernel on given shapes, beside what the machine can do at most
symgraph convert FILES           convert a network: from Caffe, from and to ONNX
symgraph scale model.h5 ...      predict how training scales to more nodes
symgraph launch -n 4 train.py    train a script by several processes, and start them again when one is lost
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symgraph import layers
from symgraph.alias.install import answer_imports, run_script, starts_a_script
from symgraph.compiler.observe.profile import Profile
from symgraph.convert.command import add_convert, convert
from symgraph.distributed.launch import add_launch, launch
from symgraph.distributed.scaling.command import add_scale, scale, without_script_arguments
from symgraph.engine.saving import load_model
from symgraph.engine.sequential import Sequential
from symgraph.engine.training_parts.trial import trial_data, trial_run
from symgraph.inspection.compare import compare
from symgraph.inspection.compare.rules import rule
from symgraph.inspection.facts.hardware import hardware_facts
from symgraph.inspection.text.bench import bench_lines, source_lines
from symgraph.inspection.text.doctor import BAD, examine, finding_lines
from symgraph.kernels.bench import measure, problem
from symgraph.kernels.ceilings import measure_ceilings
from symgraph.kernels.run.cache import cache_folder
from symgraph.kernels.run.choices import ALGORITHMS

_OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam")
_BATCH_SIZE, _BATCHES = 32, 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code: 0, 1 where something is wrong, 2 for a wrong command."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if starts_a_script(given):
        return run_script(given[1:])
    given, of_script = without_script_arguments(given)
    options = _parser().parse_args(given)
    if options.command == "scale":
        options.script_arguments = of_script
    if options.command == "warmup":
        return warmup((lambda text: None) if options.quiet else print)
    if options.command == "doctor":
        return doctor()
    try:
        return _answer(options)
    except (ValueError, TypeError, ImportError, OSError, MemoryError) as error:
        print(f"symgraph {options.command}: {error}", file=sys.stderr)
        return 2


def _answer(options: argparse.Namespace) -> int:
    """Run a command that may refuse its options."""
    if options.command == "bench":
        return bench(options)
    if options.command == "convert":
        return convert(options)
    if options.command == "launch":
        return launch(options)
    if options.command == "scale":
        return scale(options, answer_imports)
    if len(options.files) == 2:
        _refuse_options_of_models(options)
        return comparison(options.files[0], options.files[1], options.fail_if)
    return report(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="symgraph", description="Tools around symgraph.")
    commands = parser.add_subparsers(dest="command", required=True)
    # Only for its help: what follows `run` is for Python.
    commands.add_parser(
        "run",
        help="run a script for Keras as it is",
        usage="symgraph run [options of Python] (script.py | -m module | -c code) [arguments]",
        description="Run Python, with symgraph answering for keras, tensorflow.keras and, where that is "
        "missing, for what such scripts use of tensorflow. See docs/old_scripts.md.",
    )
    warm = commands.add_parser("warmup", help="compile the kernels that usual networks need")
    warm.add_argument("--quiet", action="store_true", help="print nothing")
    commands.add_parser("doctor", help="look whether everything works on this machine")
    tell = commands.add_parser("report", help="profile a saved model, or compare two saved profiles")
    tell.add_argument("files", nargs="+", help="a model (.h5), or two profiles (.json)")
    tell.add_argument("--data", help="an .npz file with x and y, or arrays named as inputs and outputs are")
    tell.add_argument("--out", help="a file to write: .html for a page, .json for a profile")
    tell.add_argument("--function", choices=("train", "test", "predict"), help="default: train, if it can")
    tell.add_argument("--batch-size", type=int, help=f"default: {_BATCH_SIZE}")
    tell.add_argument("--batches", type=int, help=f"how many are run, default: {_BATCHES}")
    tell.add_argument("--fail-if", action="append", default=[], metavar="RULE", help="such as 'time>+10%%'")
    _add_bench(commands)
    add_convert(commands)
    add_scale(commands)
    add_launch(commands)
    return parser


_BENCH = """\
Time one kernel on random numbers, beside the machine's measured peaks. The first use of a kernel compiles it,
which is not counted; sides that are compared take turns.

kernels:
  conv2d, conv2d_input_gradient, conv2d_weight_gradient, depthwise_conv2d      --x --w
  max_pool2d, average_pool2d, max_pool2d_gradient, average_pool2d_gradient     --x --pool
  matmul                                                                       --a --b
  softmax, reduce_sum, reduce_mean, reduce_prod, reduce_max, reduce_min        --x
  tanh, exp, add and other element-wise functions                              --x, or --x --y --z

examples:
  symgraph bench conv2d --x 32,56,56,64 --w 3,3,64,64 --against winograd,direct
  symgraph bench conv2d --x 8,28,28,128 --w 1,1,128,128 --blocks 6x4,12x2
  symgraph bench matmul --a 512,512 --b 512,512 --transpose-b --threads 1
  symgraph bench max_pool2d --x 16,24,24,64 --pool 2,2
"""
_HOW = ("against", "blocks", "threads", "seconds", "runs")
_TEXTS = {"source": "python", "llvm": "llvm", "assembly": "assembly"}


def _add_bench(commands: Any) -> None:
    """The options of `symgraph bench`; those that are not given are left out of what is parsed."""
    tell = commands.add_parser(
        "bench",
        help="time one kernel on given shapes",
        description=_BENCH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    tell.add_argument("kernel", help="its name, as above")
    shapes = tell.add_argument_group("shapes, such as 32,56,56,64, and settings of the kernel")
    for name, text in (
        ("x", "samples, height, width, channels of pictures; else any shape"),
        ("w", "height, width, channels / groups, filters"),
        ("y", "the second argument of an element-wise function; default: as --x"),
        ("z", "the third one"),
        ("a", "the first matrix, as it lies in memory; batches come first"),
        ("b", "the second matrix"),
        ("pool", "height, width of windows"),
        ("strides", "along height, width; default: 1,1, for pooling those of --pool"),
        ("dilation", "along height, width; default: 1,1"),
    ):
        shapes.add_argument(f"--{name}", type=_sizes, metavar="SIZES", help=text)
    shapes.add_argument("--padding", type=_padding, help="valid (default), same, or top,bottom,left,right")
    shapes.add_argument("--groups", type=int, help="of channels that are convolved apart")
    shapes.add_argument(
        "--axis", type=_sizes, metavar="AXES", help="such as -1 or 0,1; default: last, or all"
    )
    shapes.add_argument("--dtype", help="float32 (default) or float64; int32 or int64 for functions of bits")
    shapes.add_argument("--transpose-a", action="store_true", help="multiply with the transpose of a")
    shapes.add_argument("--transpose-b", action="store_true", help="multiply with the transpose of b")
    shapes.add_argument("--kept-b", action="store_true", help="pack b once, as weights are")
    shapes.add_argument("--places", action="store_true", help="store which pixel was the largest, too")
    shapes.add_argument("--log", action="store_true", help="the logarithm of the softmax")
    runs = tell.add_argument_group("what is compared, and how long")
    runs.add_argument(
        "--against",
        type=_names,
        metavar="ALGORITHMS",
        help=f"some of {', '.join(ALGORITHMS)}: of convolutions",
    )
    runs.add_argument(
        "--blocks",
        type=_blocks,
        help="blocks of registers as rows x vectors: 6x4,12x2 (matrix products and direct convolutions)",
    )
    runs.add_argument("--threads", type=int, help="default: those of all Functions")
    runs.add_argument("--seconds", type=float, help="for each side, default: 1")
    runs.add_argument("--runs", type=int, help="for each side, instead of --seconds")
    texts = tell.add_argument_group("code of the kernels")
    for name, title in (("source", "Python"), ("llvm", "LLVM IR"), ("assembly", "assembly")):
        texts.add_argument(f"--{name}", action="store_true", help=f"print their {title}")


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 3,3,64,64, got {text!r}") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _blocks(text: str) -> tuple[tuple[int, int], ...]:
    try:
        pairs = [[int(size) for size in part.split("x")] for part in text.split(",")]
        return tuple((rows, vectors) for rows, vectors in pairs)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected blocks such as 6x4,12x2, got {text!r}") from None


def _padding(text: str) -> object:
    if text in ("valid", "same"):
        return text
    try:
        top, bottom, left, right = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected valid, same or numbers top,bottom,left,right, got {text!r}"
        ) from None
    return (top, bottom), (left, right)


def doctor(say: Callable[[str], None] = print) -> int:
    """Look at the machine; 1 where something does not work."""
    hardware = hardware_facts()
    findings = list(examine(hardware.with_ceilings(measure_ceilings(hardware.threads))))
    for line in finding_lines(findings):
        say(line)
    return int(any(finding.verdict == BAD for finding in findings))


def bench(options: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Time one kernel.

    Raises
    ------
    ValueError
        There is no such kernel, or shapes or settings are not what it expects.
    """
    given = {name: value for name, value in vars(options).items() if name not in ("command", "kernel")}
    texts = [text for name, text in _TEXTS.items() if given.pop(name, False)]
    how = {name: given.pop(name) for name in _HOW if name in given}
    made = problem(options.kernel, **given)
    figures = measure(made, **how)
    for line in (*bench_lines(made, figures), *source_lines(figures, texts)):
        say(line)
    return 0


def comparison(a: str, b: str, rules: Sequence[str], say: Callable[[str], None] = print) -> int:
    """Compare two saved profiles; 1 where a rule is broken.

    Raises
    ------
    ValueError
        A file or a rule is none, or cold times would be compared with warm ones.
    """
    for text in rules:
        rule(text)
    found = compare(a, b)
    say(str(found))
    broken = found.broken(rules)
    for line in broken:
        say(f"broken: {line}")
    return int(bool(broken))


def _refuse_options_of_models(options: argparse.Namespace) -> None:
    names = ("data", "out", "function", "batch_size", "batches")
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: expected a model to run, got two profiles to compare")


def report(options: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Run a saved model for some batches and tell where the time went.

    Raises
    ------
    ValueError
        Options contradict each other, or the data do not suit the model.
    """
    if len(options.files) > 2:
        raise ValueError(f"expected a model or two profiles, got {len(options.files)} files")
    if options.files[0].endswith((".json", ".json.gz")):
        raise ValueError(f"{options.files[0]}: give a second profile to compare it with")
    if options.fail_if:
        raise ValueError("--fail-if: expected two profiles to compare")
    suffix = Path(options.out).suffix if options.out else ".txt"
    if suffix not in (".html", ".json", ".txt"):
        raise ValueError(f"--out: expected a name that ends in .html, .json or .txt, got {options.out!r}")
    batch_size = _BATCH_SIZE if options.batch_size is None else options.batch_size
    batches = _BATCHES if options.batches is None else options.batches
    if batch_size < 1 or batches < 2:
        raise ValueError("expected a --batch-size of at least 1 and at least 2 --batches")
    model = load_model(options.files[0])
    data = trial_data(model, batch_size, options.data)
    with Profile() as profile:
        function = trial_run(model, data, options.function, batch_size, batches)
    if suffix == ".html":
        function.report(options.out, profile=profile)
    elif suffix == ".json":
        profile.save(options.out)
    elif options.out:
        Path(options.out).write_text(f"{profile}\n", encoding="utf-8")
    say(f"wrote {options.out}" if options.out else str(profile))
    return 0


def warmup(say: Callable[[str], None] = print) -> int:
    """Train and run usual networks for one small batch each, so that their kernels lie in the cache."""
    folder = cache_folder()
    if folder is None:
        say("There is no folder for compiled kernels (see SYMGRAPH_CACHE), so nothing would be kept.")
        return 1
    start = time.perf_counter()
    for name, model, shape in _networks():
        begin = time.perf_counter()
        _exercise(model, shape)
        say(f"{name:40s} {time.perf_counter() - begin:6.2f} s")
    count = sum(1 for _ in folder.glob("*.o"))
    say(f"{count} kernels in {folder}, {time.perf_counter() - start:.1f} s")
    return 0


def _networks() -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Name, compiled model, input shape with batch."""
    for optimizer in _OPTIMIZERS:
        yield f"dense, {optimizer}", _dense(optimizer), (32, 64)
    for batch in (32, 128):
        yield f"dense 512, batch {batch}", _dense("rmsprop", 512), (batch, 784)
        yield f"mnist convolutions, batch {batch}", _convolutions((28, 28, 1), "valid"), (batch, 28, 28, 1)
    yield "cifar convolutions", _convolutions((32, 32, 3), "same"), (32, 32, 32, 3)
    yield "photograph convolutions", _convolutions((74, 74, 3), "valid", 128), (8, 74, 74, 3)
    yield "batch normalization", _normalized(), (32, 32, 32, 3)


def _dense(optimizer: str, width: int = 64) -> Any:
    model = Sequential()
    model.add(layers.Dense(width, activation="relu", input_shape=(784 if width > 64 else 64,)))
    model.add(layers.Dropout(0.2))
    model.add(layers.Dense(width, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def _convolutions(shape: tuple[int, ...], padding: str, most: int = 64) -> Any:
    model = Sequential()
    model.add(layers.Conv2D(32, (3, 3), activation="relu", padding=padding, input_shape=shape))
    filters = 64
    while filters <= most:
        model.add(layers.Conv2D(filters, (3, 3), activation="relu"))
        model.add(layers.MaxPooling2D((2, 2)))
        filters *= 2
    model.add(layers.Dropout(0.25))
    model.add(layers.Flatten())
    model.add(layers.Dense(128, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adadelta", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _normalized() -> Any:
    model = Sequential()
    model.add(layers.Conv2D(16, (3, 3), padding="same", input_shape=(32, 32, 3)))
    model.add(layers.BatchNormalization())
    model.add(layers.Activation("relu"))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _exercise(model: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[np.arange(shape[0]) % 10]
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
    model.predict_on_batch(x)
