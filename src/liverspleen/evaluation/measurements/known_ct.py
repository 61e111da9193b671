"""The CT of a case of a cohort, for the attenuation of its organs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from liverspleen.cohort.findings.ct import judge_ct
from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.metrics.attenuation import KnownCT
from liverspleen.imaging.files import read_ct

_CLIPPED = "LS-IMG-012"


def known_ct(case: Case | str) -> tuple[KnownCT | None, tuple[Issue, ...]]:
    """Return the CT of a case of a cohort, None for another case; and the issues that concern its attenuation.

    A CT that cannot be read, or whose values are not HU, does not change a volume: it is the warning LS-MEA-035, and
    the attenuation is undefined. LS-IMG-012 (warning): the CT was clipped.
    """
    if isinstance(case, str):
        return None, ()
    try:
        ct = read_ct(case.image, case_id=case.case_id)
    except InputError as rejected:
        return KnownCT(None), tuple(_without_hu(case, rejected.issues))
    issues = judge_ct(ct, case_id=case.case_id, file=case.image).issues
    if errors := [issue for issue in issues if issue.severity == "error"]:
        return KnownCT(None), tuple(_without_hu(case, errors))
    clipped = (issue for issue in issues if issue.code == _CLIPPED and issue.severity == "warning")
    return KnownCT.of(ct), tuple(clipped)


def _without_hu(case: Case, issues: Sequence[Issue]) -> Iterator[Issue]:
    for issue in issues:
        message = f"the attenuation is undefined: {issue.message} ({issue.code})"
        yield Issue("LS-MEA-035", message, issue.hint, case.case_id, case.image, "warning")
