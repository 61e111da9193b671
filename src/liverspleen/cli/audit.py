"""what cannot be among the numbers that a paper prints.

Percentages, sums, p values, SD against range, totals against groups, limits, sentences against tables: each relation is
looked at with the interval of values that are printed so, and reported only where no values fit. A number without a
finding is not proven right. Formats, rules and sources: docs/audit.md.

  impossible      no data have these numbers
  contradiction   two statements about the same thing differ
  note            rests on a reading of the text, or holds if digits were cut and not rounded

example
  liverspleen audit published=published.csv claims=claims.yaml output=outputs/audit

inputs
  published=      CSV of id, place, row, column, quantity, printed, unit, n, note: one printed number a row
  claims=         YAML: what these numbers have to do with each other, one relation an entry

outputs, in output=
  findings.csv    severity, id, place, printed, admissible interval, rule, claim, why
  findings.json   the same, with counts, rules, and the numbers that are in no claim
  audit.md        the same, to read
  audit.html      the same, one page that opens from disk
  run.json        what made them

exit codes
  0 done, whatever was found; 2 rows or claims cannot be read, each listed (the others are looked at); 1 failure
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
    """Look, write, and print what is not only a note."""
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
                told = f"{number.id} prints {number.printed.text}, admissible: {admissible_text(finding)}"
                print(one_line(f"  {finding.severity}: {told} ({finding.rule})"))
        return tuple(record.issues)
