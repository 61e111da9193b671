"""Writer of the audit: `findings.csv`, `findings.json`, `audit.md`, and one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from liverspleen import __version__
from liverspleen.audit.findings import FIELDS, SEVERITIES, Audit, Finding, bounds
from liverspleen.audit.rules import RULES
from liverspleen.errors import counted
from liverspleen.evaluation.reporting.writers.csv_markdown import escaped
from liverspleen.pages import templates
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import StrPath, write_json, write_text

FILES: Final = ("findings.csv", "findings.json", "audit.md", "audit.html")

_MEANINGS: Final = {
    "impossible": "no data have these numbers",
    "contradiction": "two statements about the same thing differ",
    "note": "depends on an interpretation of the text, or the number is possible if digits were cut instead of rounded",
}
_PLURALS: Final = {"impossible": "impossible", "contradiction": "contradictions", "note": "notes"}
_REMARK: Final = (
    "The audit cannot show which of the numbers of a finding is wrong. A number without a finding is not proven right."
)
_COLUMNS: Final = ("Severity", "Number", "Place", "Printed", "Admissible", "Rule", "Why")


def write_audit(audit: Audit, output: StrPath) -> None:
    """Write the four files to the folder `output`; the same audit gives the same bytes."""
    output = Path(output)
    rows = [finding.to_dict() for finding in audit.findings]
    write_text(output / "findings.csv", csv_text([FIELDS, *([row[name] for name in FIELDS] for row in rows)]))
    write_json(output / "findings.json", {**_summary(audit), "findings": rows})
    write_text(output / "audit.md", _markdown(audit))
    write_text(output / "audit.html", _page(audit))


def admissible_text(finding: Finding) -> str:
    """Return the admissible interval as text: `0.00434 to 0.00705`, `at most 29`, `nothing`."""
    lower, upper = bounds(finding)
    if lower is None and upper is None:
        return "nothing"
    if lower is None or upper is None:
        return f"at most {upper}" if lower is None else f"at least {lower}"
    return lower if lower == upper else f"{lower} to {upper}"


def summary_text(audit: Audit) -> str:
    """Return the number of checked numbers and claims, and the number of findings of each severity."""
    counts = ", ".join(counted(audit.count(severity), severity, _PLURALS[severity]) for severity in SEVERITIES)
    return f"{counted(audit.numbers, 'number')} and {counted(audit.claims, 'claim')}: {counts}"


def _summary(audit: Audit) -> Mapping[str, Any]:
    return {
        "generator": {"name": "liverspleen", "version": __version__},
        "counts": {severity: audit.count(severity) for severity in SEVERITIES},
        "numbers": audit.numbers,
        "claims": audit.claims,
        "numbers_in_no_claim": list(audit.unclaimed),
        "rules": {name: rule.formula for name, rule in RULES.items()},
    }


def _cells(finding: Finding) -> tuple[str, ...]:
    number = finding.number
    where = ", ".join(filter(None, (number.place, number.row, number.column)))
    why = "; ".join(filter(None, (finding.why, finding.note)))
    return (finding.severity, number.id, where, number.printed.text, admissible_text(finding), finding.rule, why)


def _markdown(audit: Audit) -> str:
    parts = ["# Audit of published numbers", summary_text(audit) + ".", _REMARK]
    if audit.findings:
        rows = [_COLUMNS, ("---",) * len(_COLUMNS), *([*map(escaped, _cells(found))] for found in audit.findings)]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    parts.append("\n".join(f"- {severity}: {meaning}" for severity, meaning in _MEANINGS.items()))
    if audit.unclaimed:
        parts.append(f"Checked alone, because no claim contains them: {', '.join(map(escaped, audit.unclaimed))}.")
    return "\n\n".join(parts) + "\n"


def _page(audit: Audit) -> str:
    return (
        templates("liverspleen.audit")
        .get_template("audit.html.j2")
        .render(
            summary=summary_text(audit),
            remark=_REMARK,
            columns=_COLUMNS,
            findings=[_cells(finding) for finding in audit.findings],
            meanings=_MEANINGS,
            rules=RULES,
            unclaimed=audit.unclaimed,
            version=__version__,
        )
    )
