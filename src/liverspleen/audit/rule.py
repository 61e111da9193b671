"""Rules, and the claims that they check: printed numbers in their roles, as intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Literal

from liverspleen.audit.intervals import Interval
from liverspleen.audit.published import PublishedNumber

Severity = Literal["impossible", "contradiction", "note"]
"""`impossible`: no data have these numbers. `contradiction`: two statements about the same thing differ. `note`: it
depends on an interpretation of the text, or the number is possible if digits were cut instead of rounded."""

# 95 % limits are printed as 1.96 SD and computed with 1.96 or with the quantile 1.959964.
MULTIPLIER: Final = Interval.of(Fraction("1.95996"), Fraction("1.96"))

Shape = Literal["one", "some", "sample", "samples"]
"""The content of a role: one number; one or more numbers; a mapping with keys of `SAMPLE`; several mappings."""

SAMPLE: Final = ("mean", "bias", "sd", "half_width", "minimum", "maximum")
"""The roles of a sample. A `bias` is the mean of differences, a `half_width` is 1.96 SD of them."""


@dataclass(frozen=True)
class Stated:
    """A printed number with the interval of values that it represents."""

    number: PublishedNumber
    values: Interval


@dataclass(frozen=True)
class Sample:
    """The printed numbers about one sample, by role."""

    numbers: Mapping[str, Stated]

    @property
    def centre(self) -> Stated | None:
        """The number that gives the mean."""
        return self.numbers.get("mean") or self.numbers.get("bias")

    @property
    def spread(self) -> Stated | None:
        """The number that gives the SD or 1.96 SD."""
        return self.numbers.get("sd") or self.numbers.get("half_width")

    @property
    def mean(self) -> Interval | None:
        """The mean as an interval."""
        return self.centre.values if self.centre else None

    @property
    def sd(self) -> Interval | None:
        """The SD (n - 1) as an interval."""
        if "sd" in self.numbers or "half_width" not in self.numbers:
            return self.numbers["sd"].values if "sd" in self.numbers else None
        return self.numbers["half_width"].values * MULTIPLIER.reciprocal

    def values(self, name: str) -> Interval | None:
        """Return the interval of one role."""
        return self.numbers[name].values if name in self.numbers else None

    @property
    def n(self) -> int:
        """The sample size, from the numbers that state one.

        Raises:
            ValueError: no number states an n, or two of them differ.
        """
        stated = {stated.number.n for stated in self.numbers.values() if stated.number.n is not None}
        if len(stated) != 1:
            ids = ", ".join(stated.number.id for stated in self.numbers.values())
            raise ValueError(f"{'different n' if stated else 'no n'} for {ids}")
        return stated.pop()

    def printed_sd(self, sd: Interval) -> Interval:
        """Return `sd` in the form of the printed number: as SD, or as half-width 1.96 SD."""
        return sd if "sd" in self.numbers else sd * MULTIPLIER


@dataclass(frozen=True)
class Relation:
    """A claim with its numbers as intervals. The mappings contain only roles that are given."""

    id: str
    one: Mapping[str, Stated] = field(default_factory=dict)
    some: Mapping[str, tuple[Stated, ...]] = field(default_factory=dict)
    samples: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    settings: Mapping[str, tuple[Fraction, ...]] = field(default_factory=dict)

    @property
    def sample(self) -> Sample:
        """The sample made of the single numbers of the claim."""
        return Sample({name: stated for name, stated in self.one.items() if name in SAMPLE})


@dataclass(frozen=True)
class Violation:
    """A number that contradicts the others, its admissible values (None: nothing is admissible), and why."""

    number: PublishedNumber
    admissible: Interval | None
    why: str


@dataclass(frozen=True)
class Rule:
    """One rule: its name in claims, the severity of its findings, and its roles and settings.

    The names of optional roles and settings end with `?`. `settings` gives the number of values of each setting.
    `check` raises ValueError if numbers or an n that it needs are missing.
    """

    name: str
    severity: Severity
    formula: str
    roles: Mapping[str, Shape]
    check: Callable[[Relation], Iterable[Violation]]
    settings: Mapping[str, int] = field(default_factory=dict)


def outside(stated: Stated, admissible: Interval, why: str) -> Iterable[Violation]:
    """Return a violation if no value of the number is admissible."""
    if not stated.values.meets(admissible):
        yield Violation(stated.number, admissible, why)


def names(numbers: Iterable[Stated]) -> str:
    """Return the numbers as text: `id (printed)`."""
    return ", ".join(f"{stated.number.id} ({stated.number.printed.text})" for stated in numbers)
