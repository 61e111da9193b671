"""What cannot be among the numbers that a paper prints.

`published.csv` holds the numbers, `claims.yaml` what they have to do with each other; formats and rules: docs/audit.md.
"""

from __future__ import annotations

from liverspleen.evaluation.audit.claims import Claim, Claims, read_claims
from liverspleen.evaluation.audit.files import write_audit
from liverspleen.evaluation.audit.findings import Audit, Finding, audit
from liverspleen.evaluation.audit.published import Published, PublishedNumber, read_published

__all__ = [
    "Audit",
    "Claim",
    "Claims",
    "Finding",
    "Published",
    "PublishedNumber",
    "audit",
    "read_claims",
    "read_published",
    "write_audit",
]
