"""Notes: remarks about the input of a report. A note never stops a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from liverspleen.errors import Issue, one_line

_LISTED = 10  # cases in a line; `cases` has all


@dataclass(frozen=True)
class Note:
    """A remark about the input of a report, and the cases it concerns.

    >>> print(Note("LS-REP-011", "reader 'dla' has no liver row in 1 of 3 cases", "measure it", ("A017",)).issue)
    LS-REP-011: reader 'dla' has no liver row in 1 of 3 cases (A017); measure it
    """

    code: str
    message: str
    hint: str
    cases: tuple[str, ...] = ()

    @property
    def issue(self) -> Issue:
        """The note as a line of the log, with its first cases and the number of further cases."""
        more = [f"and {len(self.cases) - _LISTED} more"] if len(self.cases) > _LISTED else []
        cases = f" ({', '.join([*self.cases[:_LISTED], *more])})" if self.cases else ""
        return Issue(self.code, self.message + cases, self.hint, severity="note")

    def to_dict(self) -> dict[str, Any]:
        """Return the note ready for JSON; `text` is its line."""
        return {
            "code": self.code,
            "message": one_line(self.message),
            "hint": self.hint,
            "cases": list(self.cases),
            "text": str(self.issue),
        }
