"""Compare each printed number with the report on the cases, and give a verdict.

- `equal as printed`: the reproduced value rounds to the printed digits.
- `impossible`: it does not and cannot: `liverspleen audit` finds that the number contradicts others, and a rule whose
  other numbers are all equal as printed excludes the printed value.
- `not met`: neither of these, or the report lacks the number; a failure.
- `not part of the report`: the report has no such number.
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
NOT_IN_REPORT: Final = "not part of the report"
_LISTED: Final = 6  # maximum of numbers that a reason lists
VERDICTS: Final = (EQUAL, IMPOSSIBLE, NOT_MET, NOT_IN_REPORT)


Findings = Mapping[str, str]
"""The claim of each number that the audit finds impossible or contradicted."""


@dataclass(frozen=True)
class Verdict:
    """A printed number, the reproduced one (empty if it is not in the report), and the verdict."""

    number: PrintedNumber
    reproduced: str
    verdict: str
    because: str = ""

    @property
    def text(self) -> str:
        """The verdict with its reason."""
        return f"{self.verdict} because of {self.because}" if self.because else self.verdict

    @property
    def is_failure(self) -> bool:
        """Whether the number could be met and is not."""
        return self.verdict == NOT_MET


def verdicts(
    numbers: Sequence[PrintedNumber], reproduced: Mapping[str, float], rules: Iterable[Rule], findings: Findings
) -> tuple[Verdict, ...]:
    """Return one verdict per number; `reproduced` contains the values of the report by id, at full precision.

    The audit finds contradictions, but not which of the numbers is impossible. So the verdict `impossible` needs one of
    `findings` on the number, and a rule whose other numbers the cases meet.
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
            verdict, because = NOT_IN_REPORT if address_of(number) is None else NOT_MET, ""
        elif number.id in equal:
            verdict, because = EQUAL, ""
        else:
            because = proofs.get(number.id, "")
            verdict = IMPOSSIBLE if because else NOT_MET
        found.append(Verdict(number, texts.get(number.id, ""), verdict, because))
    return tuple(found)


@dataclass(frozen=True)
class _Proof:
    """The interval that a rule admits for a number, and the text of the reason."""

    admissible: Interval
    text: str

    def holds(self, value: float | None) -> bool:
        """Return whether the value of the cases is admissible; if not, the rule or the value is wrong."""
        return value is not None and self.admissible[0] <= value <= self.admissible[1]


def _proof(rule: Rule, printed: Printed, equal: frozenset[str]) -> _Proof | None:
    """Return the proof by a rule that the printed numbers break, if the cases meet its given numbers; else None.

    For an exact rule, such as a sentence that summarizes numbers, those that are met are enough.
    """
    met = tuple(name for name in rule.given if name in equal)
    if met != rule.given and not rule.is_exact:
        return None
    known = {**printed, **dict.fromkeys(set(rule.given).difference(met), UNBOUNDED)}
    if not rule.is_broken(known):
        return None
    low, high = rule.interval(known)
    given = ", ".join(met) if len(met) <= _LISTED else f"{len(met)} numbers"
    return _Proof((low, high), f"{rule.name}: {low:.5g} to {high:.5g} are admissible, given {given}")
