"""Published against reproduced: for each printed number, what the report of the cases prints, and a verdict.

| verdict | means |
|---|---|
| `equal as printed` | the report's value rounds to the digits that are printed |
| `impossible` | it does not, and cannot: a rule leaves an interval that holds no value which rounds so, while every other number of that rule is equal as printed |
| `not met` | neither; a failure |
| `not made` | the report holds no such number |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rules import Printed, Rule
from transcription import PrintedNumber

from liverspleen.evaluation import formatting

EQUAL: Final = "equal as printed"
IMPOSSIBLE: Final = "impossible"
NOT_MET: Final = "not met"
NOT_MADE: Final = "not made"
VERDICTS: Final = (EQUAL, IMPOSSIBLE, NOT_MET, NOT_MADE)


@dataclass(frozen=True)
class Verdict:
    """A printed number, what was reproduced (empty where the report has no such number), and how they compare."""

    number: PrintedNumber
    reproduced: str
    verdict: str
    because: str = ""

    @property
    def is_failure(self) -> bool:
        """A number that could have been met and was not."""
        return self.verdict == NOT_MET


def verdicts(
    numbers: Sequence[PrintedNumber], reproduced: Mapping[str, float], rules: Iterable[Rule]
) -> tuple[Verdict, ...]:
    """One verdict a number; `reproduced` holds values by id at full precision, those that the report makes."""
    texts = {number.id: number.prints(reproduced[number.id]) for number in numbers if number.id in reproduced}
    equal = frozenset(number.id for number in numbers if number.is_printed_by(texts.get(number.id, "")))
    printed = {number.id: number.interval for number in numbers}
    proofs: dict[str, str] = {}
    for rule in rules:
        if equal.issuperset(rule.given) and rule.is_broken(printed):
            proofs.setdefault(rule.derived, _proof(rule, printed))
    found = []
    for number in numbers:
        if number.id not in texts:
            verdict, because = NOT_MADE, ""
        elif number.id in equal:
            verdict, because = EQUAL, ""
        else:
            because = proofs.get(number.id, "")
            verdict = IMPOSSIBLE if because else NOT_MET
        found.append(Verdict(number, texts.get(number.id, ""), verdict, because))
    return tuple(found)


def _proof(rule: Rule, printed: Printed) -> str:
    low, high = rule.interval(printed)
    return f"{rule.name}: {low:.4g} to {high:.4g}, given {', '.join(rule.given)}"
