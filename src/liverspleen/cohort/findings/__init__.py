"""What is doubtful in a cohort beyond what the verbs reject: geometry, intensities, labels, anatomy, duplicates."""

from liverspleen.cohort.findings.duplicates import cohort_issues
from liverspleen.cohort.findings.examination import Examination, examine_case

__all__ = ["Examination", "cohort_issues", "examine_case"]
