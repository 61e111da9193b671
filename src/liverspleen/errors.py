"""Issues as the user sees them: one line with a stable code, the case, the file, the message, and a hint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]


def one_line(text: object) -> str:
    r"""`text` with control characters escaped, so that foreign text cannot break a line of a log.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


@dataclass(frozen=True)
class Issue:
    """One finding about the input; `str()` is its line.

    `code` is stable (`LS-AREA-NNN`); scripts may rely on it. `message` says what was found and expected; `hint` is an
    imperative.

    >>> print(Issue("LS-GEO-003", "label map has shape (4, 4, 3), its CT (4, 4, 4)", "resample the label map", "A017"))
    LS-GEO-003 case 'A017': label map has shape (4, 4, 3), its CT (4, 4, 4); resample the label map
    """

    code: str
    message: str
    hint: str
    case_id: str | None = None
    file: str | Path | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        where = "".join(
            [f" case {self.case_id!r}" if self.case_id else "", f" file '{self.file}'" if self.file else ""]
        )
        return one_line(f"{self.code}{where}: {self.message}; {self.hint}")


class InputError(Exception):
    """Input that cannot be used; carries every issue found, and leads to exit code 2.

    >>> error = InputError([Issue("LS-COH-001", "no column 'image'", "add it")])
    >>> str(error)
    "LS-COH-001: no column 'image'; add it"
    """

    def __init__(self, issues: Issue | Iterable[Issue]) -> None:
        self.issues: tuple[Issue, ...] = (issues,) if isinstance(issues, Issue) else tuple(issues)
        if not self.issues:
            raise ValueError("InputError needs at least one issue")
        super().__init__("\n".join(str(issue) for issue in self.issues))


class InputWarning(UserWarning):
    """An issue that does not stop the call, as a Python warning; the command line prints the same line."""
