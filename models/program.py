"""What programs have in common: wrong input ends in one line and the exit code 2, not in a traceback."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn, TypeVar

from symgraph import backend as K

Result = TypeVar("Result")


def fail(parser: argparse.ArgumentParser, message: object) -> NoReturn:
    """End the program with a line of error."""
    parser.exit(2, f"{parser.prog}: error: {' '.join(str(message).split())}\n")


def check_counts(parser: argparse.ArgumentParser, options: argparse.Namespace, *names: str) -> None:
    """Refuse options of these names that are given and less than 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            fail(parser, f"--{name.replace('_', '-')} should be at least 1, got {value}")


def run(
    parser: argparse.ArgumentParser,
    program: Callable[[argparse.Namespace], Result],
    options: argparse.Namespace,
) -> Result:
    """What `program` returns; what it says of files and values that are not as they should be ends it."""
    if K.image_data_format() != "channels_last":
        fail(parser, f"expected the image_data_format channels_last, got {K.image_data_format()}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        return program(options)
    except (OSError, ValueError) as error:
        fail(parser, error)
