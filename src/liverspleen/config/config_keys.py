"""The keys of a schema with the properties that `--help`, checks and issues use."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from liverspleen.config.key import Key, Schema

NOUNS: Final[dict[Any, tuple[str, str]]] = {
    bool: ("true or false", "true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    Path: ("a path", "paths"),
    Any: ("a value", "values"),
}


@dataclass(frozen=True)
class ConfigKey:
    """One key of a verb.

    Attributes:
        name: dotted name, such as `trainer.steps`.
        element: type of the value, or of each element of a list: bool, int, float, str, Path, or Any.
        is_list: the value is a list.
        is_map: the value is a map.
        optional: the value may be empty.
        choices: allowed values; empty if there is no such list.
        words: texts that are allowed besides values of the type, such as `auto`.
        key: description, limits and neutral value.
    """

    name: str
    element: Any
    is_list: bool
    is_map: bool
    optional: bool
    choices: tuple[Any, ...]
    words: tuple[str, ...]
    key: Key

    @property
    def description(self) -> str:
        """What the key sets."""
        return self.key.description

    @property
    def neutral(self) -> object:
        """Value with which a run is the same as one from before the key was added, or `NO_NEUTRAL`."""
        return self.key.neutral

    @property
    def is_path(self) -> bool:
        """Whether the value is a path, or a list of paths."""
        return self.element is Path

    @property
    def is_verbatim(self) -> bool:
        """Whether the command line uses the value verbatim: paths, texts, choices, and lists of them."""
        return not self.is_map and self.element in (str, Path)

    @cached_property
    def limits(self) -> str:
        """The allowed values as text.

        >>> from liverspleen.config import SplitConfig
        >>> {key.name: key.limits for key in keys(SplitConfig)}["folds"]
        'a whole number from 2 to 1000, or empty'
        >>> from liverspleen.config import PrepareConfig
        >>> {key.name: key.limits for key in keys(PrepareConfig)}["pixel_mm"]
        'a number from 0.1 to 20, auto, or empty'
        """
        if self.is_map:
            return "a map"
        text = either(self.choices) or f"{NOUNS[self.element][self.is_list]}{_range(self.key)}"
        if self.is_list:
            text = f"a list of {text}"
        parts = [text, *self.words, *(["empty"] if self.optional else [])]
        return f"{', '.join(parts[:-1])}, or {parts[-1]}" if len(parts) > 1 else text


def keys(schema: type[Schema], prefix: str = "") -> Iterator[ConfigKey]:
    """Every key of a schema, keys of groups dotted, in the order of the schema.

    >>> from liverspleen.config import SplitConfig, TrainConfig
    >>> [key.name for key in keys(SplitConfig)][:3]
    ['cohort', 'root', 'output']
    >>> [key.name for key in keys(TrainConfig) if key.name.startswith("optimizer.")]
    ['optimizer.name', 'optimizer.lr', 'optimizer.weight_decay', 'optimizer.momentum']
    """
    for name, hint in field_types(schema).items():
        if (group := group_of(hint)) is not None:
            yield from keys(group, f"{prefix}{name}.")
        else:
            yield _config_key(f"{prefix}{name}", hint)


def field_types(schema: type[Schema]) -> dict[str, Any]:
    """Return the annotation of each field by the name of its key, in order."""
    return _field_types(schema)  # type: ignore[arg-type]


@cache
def _field_types(schema: Any) -> dict[str, Any]:
    found = get_type_hints(schema, include_extras=True)
    return {key_name(field.name): found[field.name] for field in fields(schema)}


def key_name(field: str) -> str:
    """Return the name of the key of a field; a field whose key is a keyword of Python ends in `_`.

    >>> key_name("import_"), key_name("input")
    ('import', 'input')
    """
    return field[:-1] if keyword.iskeyword(field[:-1]) and field.endswith("_") else field


def group_of(hint: Any) -> type[Schema] | None:
    """Return the schema of a config group, or None if the field is not one."""
    for kind in (hint, *get_args(hint)):
        if isinstance(kind, type) and issubclass(kind, Schema):
            return kind
    return None


def either(choices: tuple[Any, ...]) -> str:
    """Return choices as text.

    >>> either(("auto", "cpu", "gpu")), either(("loa",)), either(())
    ('auto, cpu or gpu', 'loa', '')
    """
    texts = [*map(str, choices)]
    return " or ".join([", ".join(texts[:-1]), *texts[-1:]] if len(texts) > 1 else texts)


def _config_key(name: str, hint: Any) -> ConfigKey:
    kind, key = get_args(hint)
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    inner, *others = (one for one in kinds if one is not NoneType)
    words = tuple(word for literal in others for word in get_args(literal))
    is_list, is_map = get_origin(inner) is list, get_origin(inner) is dict
    element = Any if is_map else get_args(inner)[0] if is_list else inner
    choices = key.choices
    if get_origin(element) is Literal:
        choices = get_args(element)
        element = type(choices[0])
    return ConfigKey(name, element, is_list, is_map, NoneType in kinds, choices, words, key)


def _range(key: Key) -> str:
    """Return a range as text, with a leading space."""
    lower = "" if key.ge is None else f" from {number(key.ge)}"
    if key.gt is not None:
        lower = f" above {number(key.gt)}"
    if key.lt is not None:
        return f"{lower} and below {number(key.lt)}"
    if key.le is not None:
        return f"{lower} {'and up ' if key.gt is not None else ''}to {number(key.le)}"
    return lower


def number(value: float) -> str:
    """Return a limit as text.

    >>> number(4294967295), number(1e9), number(0.1)
    ('4294967295', '1000000000', '0.1')
    """
    return str(int(value)) if value == int(value) else f"{value:g}"
