"""Published against reproduced: for each printed number, what the report of the cases prints, and a verdict.

- `equal as printed`: the report's value rounds to the digits that are printed.
- `impossible`: it does not, and cannot: `liverspleen audit` finds the number at odds with others, and a rule whose
  other numbers are all equal as printed leaves it no such value.
- `not met`: neither, or the report holds no such number though it should; a failure.
- `not made`: what the report does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from addresses import address_of
from rules import UNBOUNDED, Interval, Printed, Rule
from transcription import PrintedNumber

EQUAL: Final = "equal as printed"
IMPOSSIBLE: Final = "impossible"
NOT_MET: Final = "not met"
NOT_MADE: Final = "not made"
_NAMED: Final = 6  # numbers that a reason lists
VERDICTS: Final = (EQUAL, IMPOSSIBLE, NOT_MET, NOT_MADE)


Findings = Mapping[str, str]
"""Number to the claim under which the audit finds it impossible or contradicted."""


@dataclass(frozen=True)
class Verdict:
    """A printed number, what was reproduced (empty where the report has no such number), and how they compare."""

    number: PrintedNumber
    reproduced: str
    verdict: str
    because: str = ""

    @property
    def says(self) -> str:
        """The verdict with its reason."""
        return f"{self.verdict} because of {self.because}" if self.because else self.verdict

    @property
    def is_failure(self) -> bool:
        """A number that could have been met and was not."""
        return self.verdict == NOT_MET


def verdicts(
    numbers: Sequence[PrintedNumber], reproduced: Mapping[str, float], rules: Iterable[Rule], findings: Findings
) -> tuple[Verdict, ...]:
    """One verdict a number; `reproduced` holds values by id at full precision, those that the report makes.

    The audit alone says that numbers are at odds, not which of them no cases can meet; so each verdict `impossible`
    needs one of `findings` on that number, and a rule whose other numbers the cases meet.
    """
    texts = {number.id: number.prints(reproduced[number.id]) for number in numbers if number.id in reproduced}
    equal = frozenset(number.id for number in numbers if number.is_printed_by(texts.get(number.id, "")))
    printed = {number.id: number.interval for number in numbers}
    proofs: dict[str, str] = {}
    for rule in rules:
        proof = _proof(rule, printed, equal) if rule.derived in findings else None
        if proof is not None and proof.holds(reproduced.get(rule.derived)):
            proofs.setdefault(rule.derived, f"{proof.text} (audit: {findings[rule.derived]})")
    found = []
    for number in numbers:
        if number.id not in texts:
            verdict, because = NOT_MADE if address_of(number) is None else NOT_MET, ""
        elif number.id in equal:
            verdict, because = EQUAL, ""
        else:
            because = proofs.get(number.id, "")
            verdict = IMPOSSIBLE if because else NOT_MET
        found.append(Verdict(number, texts.get(number.id, ""), verdict, because))
    return tuple(found)


@dataclass(frozen=True)
class _Proof:
    """What a rule leaves to a number that is not among it, and the text that says so."""

    admissible: Interval
    text: str

    def holds(self, value: float | None) -> bool:
        """The cases' own value must lie where the rule says, or one of the two is wrong."""
        return value is not None and self.admissible[0] <= value <= self.admissible[1]


def _proof(rule: Rule, printed: Printed, equal: frozenset[str]) -> _Proof | None:
    """A rule that the printed numbers break, if those it gives from are met by the cases.

    A sentence that sums up numbers is refuted by those that are met, whatever the others are.
    """
    met = tuple(name for name in rule.given if name in equal)
    if met != rule.given and not rule.is_exact:
        return None
    known = {**printed, **dict.fromkeys(set(rule.given).difference(met), UNBOUNDED)}
    if not rule.is_broken(known):
        return None
    low, high = rule.interval(known)
    given = ", ".join(met) if len(met) <= _NAMED else f"{len(met)} numbers"
    return _Proof((low, high), f"{rule.name}: {low:.5g} to {high:.5g} are admissible, given {given}")
