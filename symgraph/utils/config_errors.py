"""Any failure caused by a damaged configuration becomes a ValueError or TypeError that names its object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What constructors raise for invalid arguments. MemoryError: for declared sizes.
_DAMAGE = (LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError, AssertionError)
_LONG = 1000
"""Characters of a message to which no more is added: deep nesting would make it grow without end."""


@contextmanager
def config_errors(label: str) -> Iterator[None]:
    """In this block errors name `label`, and those that damaged values cause are ValueErrors."""
    try:
        yield
    except (TypeError, ValueError) as error:
        said = str(error)
        if label in said or len(said) > _LONG:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{label}: {said}") from error
    except RecursionError as error:
        raise ValueError(f"{label}: the configuration is nested deeper than any model") from error
    except _DAMAGE as error:
        raise ValueError(
            f"{label}: the configuration is damaged ({type(error).__name__}: {error!s:.300})"
        ) from error


def label_of(class_name: str, config: Any) -> str:
    """How errors call what is made: 'Dense dense_1', or 'Adam' where it has no name."""
    name = config.get("name") if isinstance(config, dict) else None
    return f"{class_name} {name:.100}" if isinstance(name, str) else class_name


def taken(config: Any, key: str, owner: str) -> tuple[Any, dict[str, Any]]:
    """The part `key` of a configuration, and the rest. ValueError that names `owner` if it is missing."""
    if not isinstance(config, dict):
        raise ValueError(f"{owner}: expected a configuration as a dict, got {config!r:.80}")
    rest = dict(config)
    if key not in rest:
        raise ValueError(f"{label_of(owner, config)}: the configuration has no {key!r}")
    return rest.pop(key), rest
