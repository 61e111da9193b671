"""The one place that judges a CT, for all verbs that read one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from liverspleen.cohort.findings.coverage import coverage_issues
from liverspleen.cohort.findings.geometry import form_issues
from liverspleen.cohort.findings.intensities import clipped_issues, intensity_issues
from liverspleen.cohort.findings.orientation import direction_issues
from liverspleen.cohort.findings.scan import ScanSummary, summarise
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.volume import CTVolume


@dataclass(frozen=True, eq=False)
class JudgedCT:
    """All findings about a CT, and its summary; `has_hu` is False after an error about its values."""

    scan: ScanSummary
    issues: tuple[Issue, ...]

    @property
    def has_hu(self) -> bool:
        """Whether its values are HU, as far as they show it."""
        return not any(issue.severity == "error" for issue in self.issues)

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """The warnings among the issues."""
        return tuple(issue for issue in self.issues if issue.severity == "warning")


def judge_ct(ct: CTVolume, *, case_id: str | None = None, file: str | Path | None = None) -> JudgedCT:
    """Return the findings about the values of a CT: errors, warnings and notes, the same for every verb.

    An error excludes the case. `case_id` and `file` appear in the issues.
    """
    scan = summarise(ct)
    found = [*form_issues(ct.geometry), *_issues(ct, scan)]
    return JudgedCT(scan, tuple(replace(issue, case_id=case_id, file=file) for issue in found))


def accept_ct(ct: CTVolume, *, case_id: str | None = None, file: str | Path | None = None) -> tuple[Issue, ...]:
    """Return the warnings of `judge_ct`.

    Raises:
        InputError: its errors.
    """
    judged = judge_ct(ct, case_id=case_id, file=file)
    if errors := [issue for issue in judged.issues if issue.severity == "error"]:
        raise InputError(errors)
    return judged.warnings


def _issues(ct: CTVolume, scan: ScanSummary) -> Iterator[Issue]:
    values = [*intensity_issues(scan)]
    yield from values
    if not any(issue.severity == "error" for issue in values):
        yield from clipped_issues(None, ct.clipped_voxels)
        yield from [*coverage_issues(scan)] or direction_issues(scan)  # the direction is that of a trunk
