"""What a schema states about a key besides its type: description, limits, choices, neutral value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import Final

from liverspleen.errors import Issue


class _NoNeutral(Enum):
    NO_NEUTRAL = "no neutral value"


NO_NEUTRAL: Final = _NoNeutral.NO_NEUTRAL
"""The key has no neutral value: it was there from the first version on."""


@dataclass(frozen=True)
class Key:
    """Stands in `Annotated[type, Key(...)]` of a schema. For a list, limits and choices hold for each element.

    Attributes:
        description: full sentences, shown by `--help`.
        ge: smallest value.
        gt: limit that a value must exceed.
        le: largest value.
        lt: limit that a value must stay below.
        choices: allowed texts, where another table has them; choices written in the schema are a `Literal`.
        neutral: for a key that was added later, the value with which a run is the same as one from before.

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


class Schema:
    """Base of the schemas: frozen dataclasses whose fields carry a `Key`, or are schemas (config groups)."""

    def conflicts(self) -> Iterator[Issue]:
        """Values that are allowed one by one but not together."""
        yield from ()


def conflict(message: str, hint: str) -> Issue:
    """Values that do not go together.

    >>> print(conflict("all loss weights are 0", "set a weight above 0"))
    LS-CFG-016: all loss weights are 0; set a weight above 0
    """
    return Issue("LS-CFG-016", message, hint)


def not_allowed(message: str, hint: str) -> Issue:
    """A value of one key that limits or choices cannot exclude.

    >>> print(not_allowed("slices.count=2 is even", "use an odd number"))
    LS-CFG-006: slices.count=2 is even; use an odd number
    """
    return Issue("LS-CFG-006", message, hint)


LARGEST_SEED: Final = 2**32 - 1
LARGEST_COUNT: Final = 10**9
"""Of steps and the like."""
MOST_PROCESSES: Final = 1024
