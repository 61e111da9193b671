"""Issues: one line each, with a stable code, the case, the file, a message, and a hint."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]

_MANY = 3
"""Up to this number, issues of one kind are listed one by one."""

_FRAME = re.compile(r'File "(.+?)", line (\d+)')


def one_line(text: object) -> str:
    r"""Return `text` with control characters escaped, so that text of the input cannot add lines to a log.

    >>> one_line("a\nb")
    'a\\nb'
    """
    line = str(text)
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun in the singular or plural; the plural ends in "s" by default.

    >>> counted(1, "label map"), counted(2, "label map"), counted(0, "study", "studies")
    ('1 label map', '2 label maps', '0 studies')
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


@dataclass(frozen=True)
class Issue:
    """One finding about the input; `str()` gives its line.

    `code` is stable (`LS-AREA-NNN`), so scripts may rely on it. `message` states what was found and expected; `hint` is
    an imperative sentence. `further_files` are files that the issue concerns too, or further examples.

    >>> print(Issue("LS-GEO-003", "label map has shape (4, 4, 3), its CT (4, 4, 4)", "resample the label map", "A017"))
    LS-GEO-003 case 'A017': label map has shape (4, 4, 3), its CT (4, 4, 4); resample the label map
    """

    code: str
    message: str
    hint: str
    case_id: str | None = None
    file: str | Path | None = None
    severity: Severity = "error"
    further_files: tuple[str | Path, ...] = ()

    def __str__(self) -> str:
        return self._line(f" case {self.case_id!r}" if self.case_id else "")

    def _line(self, cases: str) -> str:
        files = ", ".join(f"'{file}'" for file in (self.file, *self.further_files) if file)
        file = f" file{'s' if self.further_files else ''} {files}" if files else ""
        return one_line(f"{self.code}{cases}{file}: {self.message}; {self.hint}")


def collapsed(issues: Iterable[Issue]) -> list[str]:
    r"""Return the lines to print for `issues`; the same issue in more than three cases is one line with a count.

    Issues are the same if code and severity are equal, and message and hint differ only in numbers and in the id of the
    case. The line is that of the first issue. Lines are in the order of the first issue of each kind; lines of
    warnings and notes begin with their severity.

    >>> issues = [Issue("LS-LAB-005", f"found no A{n}.nii", "add it", f"A{n}") for n in range(200)]
    >>> issues.append(Issue("LS-GEO-012", "scan has 3 slices", "check it", "A7", severity="warning"))
    >>> print("\n".join(collapsed(issues)))
    LS-LAB-005 200 cases, first 'A0': found no A0.nii; add it
    warning: LS-GEO-012 case 'A7': scan has 3 slices; check it
    """
    groups: dict[tuple[str, ...], list[Issue]] = {}
    for issue in issues:
        groups.setdefault(_kind(issue), []).append(issue)
    return [line for group in groups.values() for line in _lines(group)]


def _kind(issue: Issue) -> tuple[str, ...]:
    """Return what issues that share a line have in common."""
    text = f"{issue.message}\0{issue.hint}"
    if issue.case_id:
        text = _without_id(text, issue.case_id)
    return issue.code, issue.severity, re.sub(r"[#\d.]*[#\d]", "#", text)


def _without_id(text: str, case_id: str) -> str:
    """Return `text` with # in place of the id, where it is not a part of a longer word; no pattern to compile."""
    found, *others = text.split(case_id)
    for part in others:
        inside = found[-1:].isalnum() or part[:1].isalnum()
        found += f"{case_id if inside else '#'}{part}"
    return found


def _lines(group: Sequence[Issue]) -> list[str]:
    first = group[0]
    mark = "" if first.severity == "error" else f"{first.severity}: "
    if len(group) <= _MANY:
        return [f"{mark}{issue}" for issue in group]
    case = f" {first.case_id!r}" if first.case_id else ""
    each_its_case = len({issue.case_id for issue in group} - {None}) == len(group)
    return [mark + first._line(f" {len(group)} {'cases' if each_its_case else 'times'}, first{case}")]


def unexpected(error: BaseException, *, case_id: str | None = None, file: str | Path | None = None) -> Issue:
    """Return LS-RUN-001, an unexpected error, with the line of this project where it was raised."""
    message = f"unexpected {type(error).__name__}: {error} at {raised_at(error)}"
    return Issue("LS-RUN-001", message, "see the traceback with LIVERSPLEEN_TRACEBACK=1", case_id, file)


def raised_at(error: BaseException) -> str:
    """Return file and line of the innermost frame in this project, and of a frame of another package that it called.

    An error of another process contains its frames as text.
    """
    cause = error.__cause__
    remote = type(cause).__name__ == "_RemoteTraceback"
    text = str(cause) if remote else "".join(traceback.format_tb(error.__traceback__))
    root = Path(__file__).parent
    frames = [(Path(file), line) for file, line in _FRAME.findall(text)]
    own = [f"{file.relative_to(root.parent)}:{line}" for file, line in frames if file.is_relative_to(root)]
    place = own[-1] if own else "an unknown place"
    if not frames or frames[-1][0].is_relative_to(root):
        return place
    file, line = frames[-1]
    return f"{place}, raised in {'/'.join(file.parts[-2:])}:{line}"


class InputError(Exception):
    """Input that cannot be used, with all issues found; the exit code is 2. Its text is that of `collapsed`.

    >>> error = InputError([Issue("LS-COH-001", "no column 'image'", "add it")])
    >>> str(error)
    "LS-COH-001: no column 'image'; add it"
    """

    def __init__(self, issues: Issue | Iterable[Issue]) -> None:
        self.issues: tuple[Issue, ...] = (issues,) if isinstance(issues, Issue) else tuple(issues)
        if not self.issues:
            raise ValueError("InputError needs at least one issue")
        super().__init__("\n".join(collapsed(self.issues)))


class InputWarning(UserWarning):
    """An issue that does not stop the call, as a Python warning; the command line prints the same line."""
