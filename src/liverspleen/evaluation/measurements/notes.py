"""What a reader of a report must know beside its numbers; a note never stops a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from liverspleen.errors import Issue, one_line

_TOLD = 10  # cases named in a line; `cases` has them all


@dataclass(frozen=True)
class Note:
    """A remark about the input of a report, and the cases it concerns.

    >>> print(Note("LS-REP-011", "reader 'dla' has no liver row in 1 of 3 CT", "measure it", ("A017",)).issue)
    LS-REP-011: reader 'dla' has no liver row in 1 of 3 CT (A017); measure it
    """

    code: str
    message: str
    hint: str
    cases: tuple[str, ...] = ()

    @property
    def issue(self) -> Issue:
        """The note as the line of a log: its first cases, and how many more there are."""
        more = [f"and {len(self.cases) - _TOLD} more"] if len(self.cases) > _TOLD else []
        cases = f" ({', '.join([*self.cases[:_TOLD], *more])})" if self.cases else ""
        return Issue(self.code, self.message + cases, self.hint, severity="note")

    def to_dict(self) -> dict[str, Any]:
        """The note ready for JSON; `text` is its line."""
        return {
            "code": self.code,
            "message": one_line(self.message),
            "hint": self.hint,
            "cases": list(self.cases),
            "text": str(self.issue),
        }
