"""The audit: every claim under its rule, every finding with what would be admissible."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from liverspleen.audit.claims import Claim
from liverspleen.audit.intervals import Bound, Interval
from liverspleen.audit.published import QUANTITIES, PublishedNumber
from liverspleen.audit.rule import Severity, Violation
from liverspleen.errors import Issue

if TYPE_CHECKING:
    import pandas

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)

FIELDS: Final = (
    *("severity", "id", "place", "row", "column", "quantity", "printed", "unit", "n"),
    *("admissible_lower", "admissible_upper", "rule", "claim", "why", "note"),
)
"""What is told of a finding."""

_CUT: Final = "holds if digits were cut and not rounded"


@dataclass(frozen=True)
class Finding:
    """A number that cannot be beside the others that `why` names; which of them is wrong, the numbers cannot say."""

    number: PublishedNumber
    severity: Severity
    admissible: Interval | None
    rule: str
    claim: str
    why: str
    note: str

    def to_dict(self) -> dict[str, Any]:
        """The finding by `FIELDS`, ready for JSON; a bound is None where there is none, or nothing is admissible."""
        number = self.number
        lower, upper = bounds(self)
        values = (
            *(self.severity, number.id, number.place, number.row, number.column, number.quantity),
            *(number.printed.text, number.unit, number.n, lower, upper, self.rule, self.claim, self.why, self.note),
        )
        return dict(zip(FIELDS, values, strict=True))


@dataclass(frozen=True)
class Audit:
    """All findings, the worst first; what could not be checked; how much was looked at."""

    findings: tuple[Finding, ...]
    issues: tuple[Issue, ...]
    claims: int
    numbers: int
    unclaimed: tuple[str, ...]

    def to_frame(self) -> pandas.DataFrame:
        """The findings as a pandas DataFrame, one row each, with the columns `FIELDS`."""
        import pandas

        return pandas.DataFrame([finding.to_dict() for finding in self.findings], columns=list(FIELDS))

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


def audit(numbers: Iterable[PublishedNumber], claims: Sequence[Claim]) -> Audit:
    """Look at every number alone and at every claim.

    A claim whose rule lacks something, such as an n, is an issue LS-AUD-005; the others are checked.
    """
    numbers = list(numbers)
    findings = [finding for number in numbers for finding in _alone(number)]
    issues = []
    for claim in claims:
        try:
            findings += _examined(claim)
        except ValueError as error:
            hint = "give what its rule needs, or leave it out"
            issues.append(Issue("LS-AUD-005", f"claim {claim.id} cannot be checked: {error}", hint))
    named = {number.id for claim in claims for number in claim.numbers}
    return Audit(
        findings=tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        issues=tuple(issues),
        claims=len(claims),
        numbers=len(numbers),
        unclaimed=tuple(number.id for number in numbers if number.id not in named),
    )


def bounds(finding: Finding) -> tuple[str | None, str | None]:
    """The admissible interval as text, two digits more than printed, rounded outward; None where it has no end."""
    admissible = finding.admissible
    if admissible is None or admissible.is_empty:
        return None, None
    unit = finding.number.printed.unit / 100
    return _outward(admissible.lower, unit, math.floor), _outward(admissible.upper, unit, math.ceil)


def _outward(bound: Bound, unit: Any, to_whole: Any) -> str | None:
    if math.isinf(bound):
        return None
    digits = max(0, -math.floor(math.log10(unit)))
    text = f"{float(to_whole(bound / unit) * unit):.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _alone(number: PublishedNumber) -> Iterator[Finding]:
    """A number outside what its quantity can be: a p above 1, a negative SD, a count that is not whole."""
    possible = QUANTITIES[number.quantity]
    fits = number.printed.values("rounded").meets(possible)
    if number.quantity == "count" and not number.printed.relation and number.printed.value.denominator != 1:
        yield Finding(number, "impossible", None, "quantity", "", "a count is a whole number", number.note)
    elif not fits:
        why = f"a {number.quantity.replace('_', ' ')} outside the values it can have"
        yield Finding(number, "impossible", possible, "quantity", "", why, number.note)


def _examined(claim: Claim) -> Iterator[Finding]:
    found = list(claim.rule.check(claim.relation("rounded")))
    if not found:
        return
    remain = {violation.number.id for violation in claim.rule.check(claim.relation("rounded or cut"))}
    for violation in found:
        yield _finding(claim, violation, is_proven=violation.number.id in remain)


def _finding(claim: Claim, violation: Violation, *, is_proven: bool) -> Finding:
    severity: Severity = "note" if claim.is_reading or not is_proven else claim.rule.severity
    remarks = [violation.number.note, claim.note, "" if is_proven else _CUT]
    return Finding(
        number=violation.number,
        severity=severity,
        admissible=violation.admissible,
        rule=claim.rule.name,
        claim=claim.id,
        why=violation.why,
        note="; ".join(filter(None, remarks)),
    )
