"""Find numbers in a publication that cannot be right.

`published.csv` contains the numbers, `claims.yaml` the relations between them. Formats and rules: docs/audit.md.
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
