"""Percentage RC of an earlier report, by index and reader."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.formats import REPORT
from liverspleen.records import CHECKSUM, DamagedRecordError, damaged, opened, parsed
from liverspleen.storage import StrPath

_TABLE: Final = "reproducibility"


@dataclass(frozen=True)
class KnownRC:
    """Percentage RC with its interval from `n` patients; an undefined interval is None."""

    rc_pct: float
    rc_ci: Interval | None
    n: int


def read_rc_table(path: StrPath) -> dict[tuple[str, str], KnownRC]:
    """Read the RC by (index, reader) from the table `reproducibility` of `report.json`; undefined and 0 are skipped.

    Raises:
        InputError: LS-FMT-001 the report has another format; LS-FMT-005 it is damaged; LS-CHG-005 the file is not a
            report; LS-CHG-008 it contains no RC.
    """
    path = Path(path)
    try:
        content: Any = parsed(path)
        if isinstance(content, dict) and {"format", "cells", CHECKSUM} & content.keys():
            content = _whole(content, path)
        cells = [cell for cell in content["cells"] if cell["table"] == _TABLE]
        found = {(str(cell["row"]), str(cell["column"])): _known(cell) for cell in cells}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"file is not a report.json ({type(error).__name__})"
        raise InputError(
            Issue("LS-CHG-005", message, "give the report.json of liverspleen report", file=path)
        ) from error
    known = {key: rc for key, rc in found.items() if rc is not None}
    if not known:
        message = "report contains no RC: it has no patient with an external and an internal CT scan"
        raise InputError(
            Issue("LS-CHG-008", message, "give a report with the table reproducibility, or give rc_pct=", file=path)
        )
    return known


def _whole(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the content of a report.json that has the checksum in it, or none."""
    try:
        return opened(content, path, REPORT, required=False)
    except DamagedRecordError as error:
        raise InputError(damaged(path, str(error), REPORT.hint)) from None


def _known(cell: dict[str, Any]) -> KnownRC | None:
    rc, lower, upper = (_number(cell["values"][name]) for name in ("rc_pct", "ci_lower", "ci_upper"))
    if not rc:
        return None
    if not (math.isfinite(rc) and rc > 0 and (lower is None or upper is None or 0 <= lower <= rc <= upper < math.inf)):
        raise ValueError("RC is below 0 or outside its interval")
    return KnownRC(rc, None if lower is None or upper is None else Interval(lower, upper), int(cell["n"]))


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)
