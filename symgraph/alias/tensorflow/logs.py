"""TensorFlow's logging, on Python's logger of the name 'tensorflow'."""

from __future__ import annotations

import logging
from typing import Any


def get_logger() -> logging.Logger:
    """Python's logger 'tensorflow'."""
    return logging.getLogger("tensorflow")


def set_verbosity(level: Any) -> None:
    """Show records of this level and above: a number or a name, such as ``tf.logging.ERROR``."""
    get_logger().setLevel(level)


def get_verbosity() -> int:
    """The level from which on records are shown."""
    return get_logger().getEffectiveLevel()


def set_autograph_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Accepted without an effect: there is no AutoGraph."""


#: `tf.logging`.
LOGGING: dict[str, Any] = {
    "DEBUG": logging.DEBUG,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "debug": get_logger().debug,
    "error": get_logger().error,
    "fatal": get_logger().critical,
    "get_verbosity": get_verbosity,
    "info": get_logger().info,
    "log": get_logger().log,
    "set_verbosity": set_verbosity,
    "warn": get_logger().warning,
    "warning": get_logger().warning,
}
