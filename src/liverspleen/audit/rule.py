"""What a rule is, and the claim that it looks at: printed numbers in their roles, as intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal

from liverspleen.audit.intervals import Interval
from liverspleen.audit.published import PublishedNumber

Severity = Literal["impossible", "contradiction", "note"]
"""`impossible`: no data have these numbers. `contradiction`: two statements about the same thing differ. `note`: worth
knowing, but it rests on a reading of the text, or goes away if digits were cut and not rounded."""

# 95 % limits are printed as 1.96 SD and computed with 1.96 or with the quantile 1.959964.
MULTIPLIER: Final = Interval.of(Fraction("1.95996"), Fraction("1.96"))

Shape = Literal["one", "some", "sample", "samples"]
"""What stands in a role: one number; one or a list of them; a map of the names of `SAMPLE`; a list of such maps."""

SAMPLE: Final = ("mean", "bias", "sd", "half_width", "minimum", "maximum")
"""The roles of a sample. A `bias` is the mean of differences, a `half_width` is 1.96 SD of them."""


@dataclass(frozen=True)
class Stated:
    """A printed number as the interval of values it may have."""

    number: PublishedNumber
    values: Interval


@dataclass(frozen=True)
class Sample:
    """What is printed about one sample; the number that gives the centre, or the spread, is named."""

    numbers: Mapping[str, Stated]

    @property
    def centre(self) -> Stated | None:
        """The number that is the mean."""
        return self.numbers.get("mean") or self.numbers.get("bias")

    @property
    def spread(self) -> Stated | None:
        """The number that is the SD or 1.96 SD."""
        return self.numbers.get("sd") or self.numbers.get("half_width")

    @property
    def mean(self) -> Interval | None:
        """The mean."""
        return self.centre.values if self.centre else None

    @property
    def sd(self) -> Interval | None:
        """The SD (n - 1)."""
        if "sd" in self.numbers or "half_width" not in self.numbers:
            return self.numbers["sd"].values if "sd" in self.numbers else None
        return self.numbers["half_width"].values * MULTIPLIER.reciprocal

    def values(self, name: str) -> Interval | None:
        """The interval of one role."""
        return self.numbers[name].values if name in self.numbers else None

    @property
    def n(self) -> int:
        """The sample size: that of the first number that states one.

        Raises:
            ValueError: none does, or two differ.
        """
        stated = {stated.number.n for stated in self.numbers.values() if stated.number.n is not None}
        if len(stated) != 1:
            named = ", ".join(stated.number.id for stated in self.numbers.values())
            raise ValueError(f"{named} state {'several n' if stated else 'no n'}")
        return stated.pop()

    def printed_sd(self, sd: Interval) -> Interval:
        """An SD in the terms of the number that is printed for it."""
        return sd if "sd" in self.numbers else sd * MULTIPLIER


@dataclass(frozen=True)
class Relation:
    """A claim with its numbers as intervals. Roles that are not given are left out of the maps."""

    id: str
    one: Mapping[str, Stated] = field(default_factory=dict)
    some: Mapping[str, tuple[Stated, ...]] = field(default_factory=dict)
    samples: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    settings: Mapping[str, tuple[Fraction, ...]] = field(default_factory=dict)

    @property
    def sample(self) -> Sample:
        """The sample that the single roles of the claim itself describe."""
        return Sample({name: stated for name, stated in self.one.items() if name in SAMPLE})


@dataclass(frozen=True)
class Violation:
    """A number that cannot stand beside the others: what would be admissible (None: nothing), and why."""

    number: PublishedNumber
    admissible: Interval | None
    why: str


@dataclass(frozen=True)
class Rule:
    """One rule: its name in claims, the severity of what it finds, what claims must and may give it.

    `roles` and `settings` end on `?` where they may be left out; a setting is a number, or so many of them.
    `check` raises ValueError where numbers or an n that it needs are missing.
    """

    name: str
    severity: Severity
    formula: str
    roles: Mapping[str, Shape]
    check: Callable[[Relation], Iterable[Violation]]
    settings: Mapping[str, int] = field(default_factory=dict)


def outside(stated: Stated, admissible: Interval, why: str) -> Iterable[Violation]:
    """A violation, if no value of the number is admissible."""
    if not stated.values.meets(admissible):
        yield Violation(stated.number, admissible, why)


def names(numbers: Iterable[Stated]) -> str:
    """Numbers as a finding names them: `id (printed)`."""
    return ", ".join(f"{stated.number.id} ({stated.number.printed.text})" for stated in numbers)
