"""The audit: check each number and each claim, and report findings with their admissible values."""

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
"""The columns of a finding."""

_CUT: Final = "possible if digits were cut instead of rounded"


@dataclass(frozen=True)
class Finding:
    """A number that contradicts the other numbers in `why`; the audit cannot show which of them is wrong."""

    number: PublishedNumber
    severity: Severity
    admissible: Interval | None
    rule: str
    claim: str
    why: str
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return the finding by `FIELDS`, ready for JSON; a bound is None if infinite or if nothing is admissible."""
        number = self.number
        lower, upper = bounds(self)
        values = (
            *(self.severity, number.id, number.place, number.row, number.column, number.quantity),
            *(number.printed.text, number.unit, number.n, lower, upper, self.rule, self.claim, self.why, self.note),
        )
        return dict(zip(FIELDS, values, strict=True))


@dataclass(frozen=True)
class Audit:
    """All findings, the most severe first; issues of claims that cannot be checked; how much was checked.

    `unclaimed` lists the ids of numbers that no claim contains.
    """

    findings: tuple[Finding, ...]
    issues: tuple[Issue, ...]
    claims: int
    numbers: int
    unclaimed: tuple[str, ...]

    def to_frame(self) -> pandas.DataFrame:
        """Return the findings as a pandas DataFrame with the columns `FIELDS`, one row per finding."""
        import pandas

        return pandas.DataFrame([finding.to_dict() for finding in self.findings], columns=list(FIELDS))

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


def audit(numbers: Iterable[PublishedNumber], claims: Sequence[Claim]) -> Audit:
    """Check each number alone, and each claim.

    A claim that lacks something its rule needs, such as an n, gives an issue LS-AUD-005. The other claims are checked.
    """
    numbers = list(numbers)
    findings = [finding for number in numbers for finding in _quantity_findings(number)]
    issues = []
    for claim in claims:
        try:
            findings += _claim_findings(claim)
        except ValueError as error:
            hint = "add what the rule needs, or remove the claim"
            issues.append(Issue("LS-AUD-005", f"claim {claim.id} cannot be checked: {error}", hint))
    claimed = {number.id for claim in claims for number in claim.numbers}
    return Audit(
        findings=tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        issues=tuple(issues),
        claims=len(claims),
        numbers=len(numbers),
        unclaimed=tuple(number.id for number in numbers if number.id not in claimed),
    )


def bounds(finding: Finding) -> tuple[str | None, str | None]:
    """Return the admissible interval as text, rounded outward to two digits more than printed; None if infinite."""
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


def _quantity_findings(number: PublishedNumber) -> Iterator[Finding]:
    """Find a number that its quantity cannot have: a p value above 1, a negative SD, a count that is not whole."""
    possible = QUANTITIES[number.quantity]
    fits = number.printed.values("rounded").meets(possible)
    if number.quantity == "count" and not number.printed.relation and number.printed.value.denominator != 1:
        yield Finding(number, "impossible", None, "quantity", "", "a count is a whole number", number.note)
    elif not fits:
        why = f"outside the possible values of the quantity {number.quantity}"
        yield Finding(number, "impossible", possible, "quantity", "", why, number.note)


def _claim_findings(claim: Claim) -> Iterator[Finding]:
    found = list(claim.rule.check(claim.relation("rounded")))
    if not found:
        return
    proven = {violation.number.id for violation in claim.rule.check(claim.relation("rounded or cut"))}
    for violation in found:
        yield _finding(claim, violation, is_proven=violation.number.id in proven)


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
