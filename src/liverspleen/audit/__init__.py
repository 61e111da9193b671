"""What cannot be among the numbers that a paper prints.

`published.csv` holds the numbers, `claims.yaml` what they have to do with each other; formats and rules: docs/audit.md.
"""

from __future__ import annotations

from liverspleen.audit.claims import Claim, Claims, read_claims
from liverspleen.audit.files import write_audit
from liverspleen.audit.findings import Audit, Finding, audit
from liverspleen.audit.published import Published, PublishedNumber, read_published

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
