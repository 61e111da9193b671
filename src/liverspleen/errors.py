"""Faults as the user meets them: one line with a stable code, the case, the file, what is wrong, and the cure."""

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
class Fault:
    """One finding about the input; `str()` is its line.

    `code` is stable (`LS-AREA-NNN`); scripts may rely on it. `what` names expected and found; `cure` is an imperative.

    >>> print(Fault("LS-GEO-003", "label map has shape (4, 4, 3), its CT (4, 4, 4)", "resample the label map", "A017"))
    LS-GEO-003 case 'A017': label map has shape (4, 4, 3), its CT (4, 4, 4); resample the label map
    """

    code: str
    what: str
    cure: str
    case_id: str | None = None
    file: str | Path | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        where = "".join(
            [f" case {self.case_id!r}" if self.case_id else "", f" file '{self.file}'" if self.file else ""]
        )
        return one_line(f"{self.code}{where}: {self.what}; {self.cure}")


class Refused(Exception):  # noqa: N818 - the input is refused; nothing went wrong
    """Input that cannot be used; carries every fault found, and leads to exit code 2.

    >>> error = Refused([Fault("LS-COH-001", "no column 'image'", "add it")])
    >>> str(error)
    "LS-COH-001: no column 'image'; add it"
    """

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        if not self.faults:
            raise ValueError("Refused needs at least one fault")
        super().__init__("\n".join(str(fault) for fault in self.faults))
