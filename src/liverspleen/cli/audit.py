"""find numbers in a paper that are impossible or contradict each other.

The audit checks percentages, sums, p values, SD and range, totals and groups, limits of agreement, and statements in
the text. Each number represents the interval of values that round to it; a finding is reported only if no values in
these intervals satisfy a relation. A number without a finding is not proven correct. Formats, rules, sources:
docs/audit.md.

  impossible      no data can have these numbers
  contradiction   two statements about the same quantity differ
  note            the finding depends on how the text is read, or disappears if digits were truncated and not rounded

examples
  liverspleen audit published=published.csv claims=claims.yaml output=outputs/audit

inputs
  published=      CSV with one printed number per row: id, place, row, column, quantity, printed, unit, n, note
  claims=         YAML with the claims: relations between these numbers, one per entry

outputs, in output=
  findings.csv    severity, id, place, printed, admissible interval, rule, claim, why
  findings.json   the same findings, with counts, rules, and the numbers that are in no claim
  audit.md        the same findings as Markdown
  audit.html      the same findings as a page that needs no server
  run.json        command, configuration, versions and hashes

exit codes
  0: finished, with or without findings; 2: rows or claims cannot be read, each listed (the others are checked);
  1: failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.audit import audit, read_claims, read_published, write_audit
from liverspleen.audit.files import FILES, admissible_text, summary_text
from liverspleen.config import AuditConfig
from liverspleen.errors import Issue, one_line
from liverspleen.provenance import recorded
from liverspleen.storage import sha256_of


def run(config: AuditConfig) -> Sequence[Issue]:
    """Run the audit, write its files, and print the findings except notes."""
    with recorded("audit", config, config.output) as record:
        published = read_published(config.published)
        claims = read_claims(config.claims, published.numbers)
        record.inputs["published"] = sha256_of(config.published)
        record.inputs["claims"] = sha256_of(config.claims)
        found = audit(published.numbers.values(), claims.claims)
        write_audit(found, config.output)
        record.outputs += [config.output / name for name in FILES]
        record.issues.extend((*published.issues, *claims.issues, *found.issues))
        print(f"audit: {summary_text(found)}")
        for finding in found.findings:
            if finding.severity != "note":
                number = finding.number
                text = f"{number.id} prints {number.printed.text}, admissible: {admissible_text(finding)}"
                print(one_line(f"  {finding.severity}: {text} ({finding.rule})"))
        return tuple(record.issues)
