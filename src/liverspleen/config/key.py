"""Properties of a key in a schema besides its type: description, limits, choices, neutral value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import Final

from liverspleen.errors import Issue


class _NoNeutral(Enum):
    NO_NEUTRAL = "no neutral value"


NO_NEUTRAL: Final = _NoNeutral.NO_NEUTRAL
"""The key has no neutral value, because it exists since the first version."""


@dataclass(frozen=True)
class Key:
    """Properties of a key, used in `Annotated[type, Key(...)]`; for a list, limits and choices hold for each element.

    Attributes:
        description: full sentences, shown by `--help`.
        ge: smallest value.
        gt: limit that a value must exceed.
        le: largest value.
        lt: limit that a value must stay below.
        choices: allowed texts, if another table has them; choices that the schema lists are a `Literal`.
        neutral: for a key that was added later, the value that gives the same run as before.
        is_model: whether the path is that of a model, so that `phantom` is the shipped one.

    >>> Key("Number of optimizer steps.", ge=1, le=10**9).le
    1000000000
    """

    description: str
    _: KW_ONLY
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[str, ...] = ()
    neutral: object = field(default=NO_NEUTRAL, hash=False)
    is_model: bool = False


class Schema:
    """Base of the schemas: frozen dataclasses whose fields carry a `Key`, or are schemas (config groups)."""

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of values that are allowed one by one but not together."""
        yield from ()


def conflict(message: str, hint: str) -> Issue:
    """Return LS-CFG-016, values that contradict each other.

    >>> print(conflict("all loss weights are 0", "set a weight above 0"))
    LS-CFG-016: all loss weights are 0; set a weight above 0
    """
    return Issue("LS-CFG-016", message, hint)


def not_allowed(message: str, hint: str) -> Issue:
    """Return LS-CFG-006, a value that is not allowed although limits and choices do not exclude it.

    >>> print(not_allowed("slices.count=2 is even", "use an odd number"))
    LS-CFG-006: slices.count=2 is even; use an odd number
    """
    return Issue("LS-CFG-006", message, hint)


LARGEST_SEED: Final = 2**32 - 1
LARGEST_COUNT: Final = 10**9
"""Limit of numbers of steps and similar counts."""
MOST_MINUTES: Final = 525_600
"""Minutes of a year."""
MOST_PROCESSES: Final = 1024
