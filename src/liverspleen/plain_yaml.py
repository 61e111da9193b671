"""YAML of users as plain values: bounded in depth and number, without tags, repeated keys and ambiguous numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from yaml.events import Event, ScalarEvent

MAX_DEPTH: Final = 20
MAX_VALUES: Final = 20_000
"""Largest number of keys and values, with those of each alias counted at each place where it is used."""

_NUMBER: Final = re.compile(r"[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][-+]?\d+)?")
_AMBIGUOUS: Final = {
    "a leading zero (octal in YAML 1.1)": re.compile(r"[-+]?0[0-9_]+"),
    "an underscore": re.compile(r"[-+]?[\d.]*\d_[\d_.]*"),
    "a colon (base 60 in YAML 1.1)": re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?"),
}
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


def parse_yaml(text: str) -> Any:
    r"""Return the value of YAML text.

    Raises:
        ValueError: it is not YAML, has more than `MAX_VALUES` values or `MAX_DEPTH` levels, a tag, a repeated key, or a
            number that is not finite or that programs read differently. The message is one line.

    >>> parse_yaml("a: &x [1, 2.5]\nb: *x\n")
    {'a': [1, 2.5], 'b': [1, 2.5]}
    >>> parse_yaml("a: 010\n")
    Traceback (most recent call last):
    ValueError: line 1: the number 010 has a leading zero (octal in YAML 1.1); put it in quotes if it is text
    """
    import yaml

    # Both loaders accept plain values only. The C parser is ten times as fast; not every build of PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        checked = _Bounds()
        for event in yaml.parse(text, Loader=loader):  # without recursion, before any value is built
            checked.add(event)
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{place}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from None


@dataclass
class _Open:
    """A list or map that has not ended; `keys` are those of a map, `is_key` is whether its next value is a key."""

    anchor: str | None
    keys: set[str] | None = None
    is_key: bool = True
    values: int = 1
    levels: int = 0


@dataclass
class _Bounds:
    """Counts the values of a file by its parts, and rejects what `parse_yaml` does not accept."""

    open: list[_Open] = field(default_factory=lambda: [_Open(None)])
    anchors: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Number of values and levels of each complete value with a name."""

    def add(self, event: Event) -> None:
        """Add the next part of the file."""
        import yaml

        if getattr(event, "tag", None) is not None:
            raise _rejected(event, "a tag (!) is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _rejected(event, "an alias refers to no earlier complete value")
            self._count(event, None, *self.anchors[event.anchor])
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self.open) > MAX_DEPTH:
                raise _rejected(event, f"values are nested more than {MAX_DEPTH} deep")
            self.open.append(_Open(event.anchor, set() if isinstance(event, yaml.MappingStartEvent) else None))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self.open.pop()
            self._count(event, ended.anchor, ended.values, ended.levels)

    def _scalar(self, event: ScalarEvent) -> None:
        if event.implicit[0] and (problem := _problem(event.value)):
            raise _rejected(event, f"the number {event.value} {problem}")
        inner = self.open[-1]
        if inner.keys is not None and inner.is_key:
            if event.value in inner.keys:
                raise _rejected(event, f"the key {event.value!r} is repeated")
            inner.keys.add(event.value)
        self._count(event, event.anchor, 1, 0)

    def _count(self, event: Event, anchor: str | None, values: int, levels: int) -> None:
        """Add a complete value to the list or map around it."""
        if anchor is not None:
            self.anchors[anchor] = values, levels
        inner = self.open[-1]
        inner.is_key = not inner.is_key
        inner.values += values
        inner.levels = max(inner.levels, levels + 1)
        if len(self.open) + levels > MAX_DEPTH:
            raise _rejected(event, f"values are nested more than {MAX_DEPTH} deep")
        if inner.values > MAX_VALUES:
            raise _rejected(event, f"it has more than {MAX_VALUES} values, with those of aliases")


def _problem(text: str) -> str | None:
    """Return why an unquoted text is a number that is not accepted; None if it is accepted."""
    for problem, form in _AMBIGUOUS.items():
        if form.fullmatch(text):
            return f"has {problem}; put it in quotes if it is text"
    infinite = _NUMBER.fullmatch(text) and math.isinf(float(text))
    return "is not finite" if infinite or _NOT_FINITE.fullmatch(text) else None


def _rejected(event: Event, problem: str) -> ValueError:
    return ValueError(f"line {event.start_mark.line + 1}: {problem}")
