"""Findings of `check` in addition to errors of other verbs: geometry, intensities, labels, anatomy, duplicates."""

from liverspleen.cohort.findings.duplicates import cohort_issues
from liverspleen.cohort.findings.examination import Examination, examine_case

__all__ = ["Examination", "cohort_issues", "examine_case"]
