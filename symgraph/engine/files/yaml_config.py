"""Model configurations in YAML, read so that no text can run code or grow without limit."""

from __future__ import annotations

from typing import Any

import yaml

_MOST_CHARACTERS = 4_000_000
_MOST_VALUES = 200_000
_MOST_LEVELS = 64
_LONGEST_NUMBER = 100  # 1:59:59:... is one too, to base 60: the work grows with the square of the length
_INT_TAG, _FLOAT_TAG = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_TUPLE_TAG = "tag:yaml.org,2002:python/tuple"


class _Loader(yaml.SafeLoader):
    """Plain values, and the one Python tag that Keras writes, a tuple, which becomes a list."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        """Refuse deep nesting early: the scanner's work grows with its square."""
        if self.flow_level >= _MOST_LEVELS:
            raise yaml.scanner.ScannerError(None, None, "nested deeper than any model", self.get_mark())
        super().fetch_flow_collection_start(TokenClass)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Stop reading at the number of values that is refused anyway."""
        self._composed = getattr(self, "_composed", 0) + 1
        if self._composed > _MOST_VALUES:
            raise yaml.composer.ComposerError(None, None, f"more than {_MOST_VALUES} values; refused")
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse `<<`, which no model has: a merge of merges doubles a mapping again and again."""
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "merge keys are refused", key.start_mark)


def _as_list(loader: _Loader, node: yaml.Node) -> list[Any]:
    if not isinstance(node, yaml.SequenceNode):
        raise yaml.constructor.ConstructorError(
            None, None, "expected a sequence after !!python/tuple", node.start_mark
        )
    return loader.construct_sequence(node, deep=True)


def _as_number(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    if len(node.value) > _LONGEST_NUMBER:
        raise yaml.constructor.ConstructorError(None, None, "expected a number", node.start_mark)
    is_int = node.tag == _INT_TAG
    number: int | float = loader.construct_yaml_int(node) if is_int else loader.construct_yaml_float(node)
    return number


_Loader.add_constructor(_TUPLE_TAG, _as_list)
_Loader.add_constructor(_INT_TAG, _as_number)
_Loader.add_constructor(_FLOAT_TAG, _as_number)


def read_yaml(text: str) -> Any:
    """The value of a YAML text.

    Parameters
    ----------
    text : str

    Returns
    -------
    object
        Dicts, lists, text, numbers; nothing is shared between two places.

    Raises
    ------
    ValueError
        If it is no YAML, has a tag other than `!!python/tuple`, or is larger than any model: in itself, or
        once its aliases are written out.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"the YAML text has {len(text)} characters, more than any model needs; refused")
    try:
        value = yaml.load(text, Loader=_Loader)
        return _Copier().copied(value)
    # Explicit tags (!!bool x, !!timestamp x, !!int "") lead PyYAML to the other errors.
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"this is no YAML of a model: {error}") from error
    except RecursionError as error:
        raise ValueError("the YAML text is nested deeper than any model") from error


class _Copier:
    """Writes aliases out, up to a number of values, and finds values that contain themselves."""

    def __init__(self) -> None:
        self._values = 0
        self._open: set[int] = set()

    def copied(self, value: Any) -> Any:
        """`value` without shared parts."""
        self._values += 1
        if self._values > _MOST_VALUES:
            raise ValueError(f"the YAML text stands for more than {_MOST_VALUES} values; refused")
        if not isinstance(value, list | dict):
            return value
        if id(value) in self._open:
            raise ValueError("the YAML text contains a value that contains itself")
        self._open.add(id(value))
        if isinstance(value, list):
            result: Any = [self.copied(entry) for entry in value]
        else:
            result = {key: self.copied(entry) for key, entry in value.items()}
        self._open.discard(id(value))
        return result
