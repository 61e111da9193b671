"""The cohort contract: manifest, checks of a case, patient-level split."""

from liverspleen.cohort.checks import check_case, load_case, load_reference
from liverspleen.cohort.manifest import Case, Cohort, read_cohort, write_cohort
from liverspleen.cohort.row import DEVELOPMENT, Vocabulary, column_table
from liverspleen.cohort.split import Split, read_split, split_by_patient, write_split

__all__ = [
    "DEVELOPMENT",
    "Case",
    "Cohort",
    "Split",
    "Vocabulary",
    "check_case",
    "column_table",
    "load_case",
    "load_reference",
    "read_cohort",
    "read_split",
    "split_by_patient",
    "write_cohort",
    "write_split",
]
