"""Findings about a cohort: geometry, intensities, labels, anatomy, duplicates. All verbs use those about a CT."""

from typing import TYPE_CHECKING

from liverspleen.lazy import lazy_exports

if TYPE_CHECKING:
    from liverspleen.cohort.findings.duplicates import cohort_issues as cohort_issues
    from liverspleen.cohort.findings.examination import Examination as Examination
    from liverspleen.cohort.findings.examination import examine_case as examine_case

_MODULES = {"Examination": "examination", "cohort_issues": "duplicates", "examine_case": "examination"}

# imported when first used: the examination of a case reads its files by `cohort.checks`, which judges each CT
__getattr__, __dir__ = lazy_exports(__name__, _MODULES)
